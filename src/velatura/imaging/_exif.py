"""EXIF: which way up a photograph is, and what of it is worth keeping."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from PIL import ExifTags, Image

__all__ = ["kept_exif", "orientation", "upright"]

_BASE = ExifTags.Base
# Who, when, and with which camera. Not the place, the thumbnail, the maker's notes or the sizes:
# they give the photographer away, or are no longer true of a picture made from the photograph.
_KEPT = (*(_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.DateTime, _BASE.Artist, _BASE.Copyright),)
_KEPT_OF_CAMERA = (
    *(_BASE.DateTimeOriginal, _BASE.DateTimeDigitized, _BASE.OffsetTime, _BASE.OffsetTimeOriginal),
    *(_BASE.ExposureTime, _BASE.FNumber, _BASE.ISOSpeedRatings, _BASE.FocalLength, _BASE.Flash),
    *(_BASE.FocalLengthIn35mmFilm, _BASE.LensMake, _BASE.LensModel, _BASE.UserComment),
)
_LARGEST = 60_000  # A JPEG segment holds 65,533 bytes.


def orientation(image: Image.Image) -> int:
    """The EXIF orientation: 1 where the image is as it should be, to 8.

    Raises:
        MALFORMED: The entries are broken.
    """
    value = image.getexif().get(_BASE.Orientation, 1)
    return value if isinstance(value, int) else 1


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of samples ``(H, W, ...)``, turned as the EXIF orientation asks; none beyond 8 is known."""
    turned = samples.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else samples
    return turned[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def kept_exif(image: Image.Image) -> bytes | None:
    r"""The EXIF entries worth keeping, beginning with ``Exif\0\0``, or None if there are none.

    Raises:
        MALFORMED: The entries are broken.
    """
    found, kept = image.getexif(), Image.Exif()
    for tag in _KEPT:
        if tag in found:
            kept[tag] = found[tag]
    camera = found.get_ifd(ExifTags.IFD.Exif)
    of_camera = {int(tag): camera[tag] for tag in _KEPT_OF_CAMERA if tag in camera}
    if of_camera:
        kept[ExifTags.IFD.Exif] = of_camera
    data = kept.tobytes() if len(kept) else None
    return data if data is not None and len(data) <= _LARGEST else None
