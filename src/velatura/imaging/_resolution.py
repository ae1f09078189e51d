"""How many pixels a file says there are to an inch, and saying it.

JPEG, PNG and TIFF have places of their own for it, and Pillow knows them; elsewhere EXIF says it.
"""

from __future__ import annotations

from PIL import ExifTags, Image, TiffImagePlugin

from velatura.imaging._pillow import MALFORMED

__all__ = ["resolution", "with_resolution"]

_X, _Y, _UNIT = ExifTags.Base.XResolution, ExifTags.Base.YResolution, ExifTags.Base.ResolutionUnit
_INCH, _CENTIMETRE = 2, 3
_LARGEST = 100_000.0
_ROUNDING = 0.02
"""PNG counts whole pixels a metre: 300 an inch come back as 299.9994, and 72 as 72.009."""


def resolution(image: Image.Image) -> float | None:
    """Pixels an inch; None where the file does not say, or says what cannot be.

    Nothing is resampled for it: where pixels are not square, the one along the rows is taken.
    """
    try:
        given = image.info.get("dpi") or _in_exif(image)
        value = float(given[0] if isinstance(given, tuple) else given or 0)
    except MALFORMED:  # A picture is none the worse for it.
        return None
    if not 0 < value <= _LARGEST:
        return None
    whole = float(round(value))
    return whole if abs(value - whole) <= _ROUNDING and whole > 0 else round(value, 2) or None


def _in_exif(image: Image.Image) -> float | None:
    found = image.getexif()
    if _X not in found:
        return None
    inches = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(found.get(_UNIT, _INCH))
    return None if inches is None else float(found[_X]) * inches


def with_resolution(exif: bytes | None, dpi: float) -> bytes:
    """EXIF that says it too."""
    entries = Image.Exif()
    if exif is not None:
        entries.load(exif)
    entries[_X] = entries[_Y] = TiffImagePlugin.IFDRational(round(dpi * 100), 100)
    entries[_UNIT] = _INCH
    return entries.tobytes()
