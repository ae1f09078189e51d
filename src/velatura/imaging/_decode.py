"""From a Pillow image of any mode to planes of sRGB samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from velatura.core.errors import ImageError
from velatura.imaging import _icc
from velatura.imaging._exif import kept_exif, orientation, upright
from velatura.imaging._pillow import MALFORMED, loaded, one_line
from velatura.imaging._planes import Plane, full_scale, unit_plane, unit_planes
from velatura.imaging._png import decode_png16
from velatura.imaging._resolution import resolution
from velatura.imaging._tiff import decode_tiff16

__all__ = ["Decoded", "colour_shaper", "decode", "needs_tables", "read_exif", "shallow"]

# Pixels beyond which 16 bits in colour take more than 10 s (PNG) or 2 GiB (TIFF).
_LARGEST_16_BIT = {"PNG": 24_000_000, "TIFF": 40_000_000}
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _SIGNED = 258, 339, 2
_ICC_SPACES = {"L": "GRAY", "LA": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}

Planes = tuple[list[Plane], Plane | None]


@dataclass(kw_only=True, eq=False)
class Decoded:
    """A decoded file, before its samples become a picture.

    Args:
        planes: One grey plane or three colour planes, ``(H, W)``, upright.
        alpha: How opaque each pixel is, ``(H, W)``, or None where all are.
        shaper: What still turns the colours into sRGB, once they are floats.
        icc: The profile of the file's colours, None where that was sRGB.
        exif: The EXIF entries worth keeping.
        dpi: Pixels an inch, None where the file does not say.
        notes: What a user should be told, a line each.
    """

    planes: list[Plane]
    alpha: Plane | None
    shaper: _icc.Shaper | None
    icc: bytes | None
    exif: bytes | None
    dpi: float | None
    notes: tuple[str, ...]

    def pixels(self) -> Tensor:
        """Pixels in sRGB, ``(3, H, W)`` float32 in [0, 1]. Takes the planes away with it."""
        pixels = unit_planes(self.planes)
        if self.shaper is not None:
            self.shaper.to_srgb(pixels)
        return pixels

    def opacity(self) -> Tensor | None:
        """Alpha, ``(1, H, W)`` float32 in [0, 1], or None where every pixel is opaque."""
        return None if self.alpha is None else unit_plane(self.alpha)


def decode(image: Image.Image, file: BinaryIO | None = None) -> Decoded:
    """Loads an image and takes it apart.

    Args:
        image: Any mode. Only its present frame is looked at.
        file: What the image was opened from, where samples that Pillow would cut to 8 bits are
            read again.

    Raises:
        ImageError: The samples are no picture: NaN, infinite or too large.
        MALFORMED: The file is broken.
    """
    loaded(image)
    notes: list[str] = []
    # Only now: a PNG file may hold its EXIF behind the pixels, and a TIFF file has been turned.
    turn, exif = read_exif(image, notes)
    profile = image.info.get("icc_profile") or None
    shaper = None
    grey = image.mode in ("I", "F") or image.mode.startswith("I;16")
    deep = _grey(image, notes) if grey else _deep(image, file, profile, notes)
    if deep is None:
        (planes, alpha), profile = shallow(image, profile, notes)
    else:
        planes, alpha = deep
        profile, shaper = colour_shaper(profile, ("RGB",) if len(planes) == 3 else ("GRAY", "RGB"), notes)
    if alpha is not None:
        alpha = None if alpha.min() == full_scale(alpha) else upright(alpha, turn)
    planes = [upright(plane, turn) for plane in planes]
    return Decoded(
        planes=planes,
        alpha=alpha,
        shaper=shaper,
        icc=profile,
        exif=exif,
        dpi=resolution(image),
        notes=tuple(notes),
    )


def read_exif(image: Image.Image, notes: list[str]) -> tuple[int, bytes | None]:
    """How the image is turned, and the EXIF to keep. Broken EXIF makes no picture worse."""
    turn = 1
    try:
        turn = orientation(image)
        return turn, kept_exif(image)
    except MALFORMED as error:
        notes.append(f"its EXIF is broken and was not kept ({one_line(error)})")
        return turn, None


def colour_shaper(
    profile: bytes | None, spaces: tuple[str, ...], notes: list[str]
) -> tuple[bytes | None, _icc.Shaper | None]:
    """The profile to keep and to apply in float32, or neither where it is sRGB or unusable."""
    if profile is None:
        return None, None
    try:
        space = _icc.color_space(profile)
        if space not in spaces:
            raise ValueError(f"it is for {space}, the pixels are {spaces[0]}")
        if space == "RGB" and _icc.is_srgb(profile):
            return None, None
        shaper = _icc.Shaper.of(profile)
        if shaper is None:
            raise ValueError("it is made of tables, and the pixels have more than 8 bits")
    except ValueError as error:
        notes.append(f"its colour profile was not used: {one_line(error)}")
        return None, None
    return profile, shaper


def _grey(image: Image.Image, notes: list[str]) -> Planes:
    """Grey of more than 8 bits. Values beyond the full scale are stretched to fit it, and noted."""
    values = np.asarray(image)
    full = _grey_scale(image)
    low, high = float(values.min()), float(values.max())
    if not high - low <= np.finfo(np.float32).max:
        raise ImageError("it holds values that are NaN, infinite or too large")
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(values == transparent, 0, 255).astype(np.uint8)
    if values.dtype.kind == "u" and full == 65535:
        return [values.astype(np.uint16)], alpha
    black = min(low, 0.0)
    if low < 0 or high > full:
        notes.append(f"its values from {low:g} to {high:g} were scaled to [0, 1]")
        full = max(high - black, float(np.finfo(np.float32).tiny))
    scaled = values.astype(np.float32)
    scaled -= np.float32(black)
    scaled /= np.float32(full)
    return [np.clip(scaled, 0, 1, out=scaled)], alpha


def _grey_scale(image: Image.Image) -> float:
    """The value that stands for white."""
    if image.mode == "F":
        return 1.0
    tags = getattr(image, "tag_v2", {})
    (bits, *_), (kind, *_) = (np.atleast_1d(tags.get(tag, 1)) for tag in (_BITS_PER_SAMPLE, _SAMPLE_FORMAT))
    if bits == 12:
        return 4095.0
    return 32767.0 if (bits, kind) == (16, _SIGNED) else 65535.0


def _deep(
    image: Image.Image, file: BinaryIO | None, profile: bytes | None, notes: list[str]
) -> Planes | None:
    """Colour of 16 bits, of which ``image`` holds the upper 8, read from the file again."""
    if file is None or _bits(image, file) != 16:
        return None
    samples, reason = None, "it is stored in a way that is only read so"
    format_ = image.format or ""
    if image.width * image.height > _LARGEST_16_BIT[format_]:
        reason = f"it has over {_LARGEST_16_BIT[format_] // 1_000_000} megapixels"
    elif profile is not None and needs_tables(profile):
        reason = "its colour profile is made of tables"
    else:
        file.seek(0)
        samples = {"PNG": decode_png16, "TIFF": decode_tiff16}[format_](file.read())
    if samples is None:
        notes.append(f"read with 8 of its 16 bits: {reason}")
        return None
    colors = 1 if samples.shape[2] == 2 else 3
    alpha = samples[..., colors] if samples.shape[2] > colors else None
    return [samples[..., color] for color in range(colors)], alpha


def _bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits per sample in the file, where it is of a format that may have 16."""
    if image.format == "TIFF":
        return int(np.max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 1)))
    if image.format == "PNG":
        file.seek(24)
        return file.read(1)[0]
    return 8


def needs_tables(profile: bytes) -> bool:
    """Whether a profile of pixels of three colours or grey has no curves that could be applied to floats."""
    try:
        return _icc.color_space(profile) in ("RGB", "GRAY") and _icc.Shaper.of(profile) is None
    except ValueError:
        return False


def shallow(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Planes, bytes | None]:
    """Whatever Pillow holds in 8 bits a channel, or fewer."""
    image = _expanded(image)
    alpha = np.asarray(image.getchannel("A")) if image.mode in ("LA", "RGBA") else None
    image, profile = _in_srgb(image, profile, notes)
    colors = "RGB" if image.mode.startswith("RGB") else "L"
    # One after the other: a large picture's memory counts.
    return ([np.asarray(image.getchannel(color)) for color in colors], alpha), profile


def _expanded(image: Image.Image) -> Image.Image:
    """The image in mode L, LA, RGB, RGBA, CMYK or LAB."""
    transparent = "transparency" in image.info
    if image.mode in ("P", "PA"):
        palette = image.palette.mode if image.palette is not None else "RGB"
        return image.convert("RGBA" if transparent or image.mode == "PA" or palette == "RGBA" else "RGB")
    if image.mode in ("1", "L", "RGB") and transparent:
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    same = {"1": "L", "La": "LA", "RGBX": "RGB", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
    return image.convert(same[image.mode]) if image.mode in same else image


def _in_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """The image in sRGB, and the profile that it had if it had another. Alpha may get lost."""
    if profile is not None:
        try:
            space, wanted = _icc.color_space(profile), _ICC_SPACES[image.mode]
            if space not in (wanted, "RGB" if wanted == "GRAY" else wanted):
                raise ValueError(f"it is for {space}, the pixels are {wanted}")
            if space == "RGB" and _icc.is_srgb(profile):
                return image, None
            if wanted == "GRAY":
                image = image.convert("L" if space == "GRAY" else "RGB")
            return _icc.to_srgb(image, profile), profile
        except ValueError as error:
            notes.append(f"its colour profile was not used: {one_line(error)}")
    if image.mode == "CMYK":
        notes.append("CMYK without a usable colour profile: its colours are approximate")
    return image.convert("RGB") if image.mode in ("CMYK", "LAB") else image, None
