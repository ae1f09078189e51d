"""ICC profiles: from a file's colours to sRGB, and back.

Eight-bit pictures go through LittleCMS. It has no more than eight bits to give through Pillow, so
profiles made of tone curves and a matrix, which nearly every RGB profile is, are also computed
here, in float32. Both use the relative colorimetric intent; colours outside sRGB are clipped.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

__all__ = ["Shaper", "color_space", "from_srgb", "is_srgb", "srgb_profile", "to_srgb"]

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

# Linear sRGB to XYZ under D50, the white of every profile (IEC 61966-2-1, adapted by Bradford).
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_STEPS = 65535
_BLOCK_PIXELS = 1 << 20


@functools.cache
def srgb_profile() -> bytes:
    """The sRGB profile to embed, the same bytes on every day."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # LittleCMS puts the present time here.
    return bytes(profile)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except OSError:
        raise ValueError("it is broken") from None


def color_space(profile: bytes) -> str:
    """What the profile describes: ``"RGB"``, ``"GRAY"``, ``"CMYK"``, ``"Lab"`` or another ICC name.

    Raises:
        ValueError: The profile is broken.
    """
    try:
        return str(_opened(profile).profile.xcolor_space).strip()
    except UnicodeError:
        raise ValueError("it is broken") from None


def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile changes no 8-bit colour by more than one step.

    Raises:
        ValueError: The profile is broken.
    """
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = np.asarray(to_srgb(Image.fromarray(colors), profile))
    return int(np.abs(converted.astype(int) - colors).max()) <= 1


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The same colours in sRGB, mode ``RGB``.

    Args:
        image: Mode ``RGB``, ``RGBA``, ``L``, ``CMYK`` or ``LAB``, as the profile wants it.
        profile: What the image's numbers mean.

    Raises:
        ValueError: The profile is broken, or does not fit the image's mode.
    """
    return _transformed(image, _opened(profile), _opened(srgb_profile()))


def from_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An sRGB image of mode ``RGB`` in the colours of an RGB profile.

    Raises:
        ValueError: The profile is broken, or has no way back from sRGB.
    """
    return _transformed(image, _opened(srgb_profile()), _opened(profile))


def _transformed(
    image: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile
) -> Image.Image:
    try:
        transform = ImageCms.buildTransform(source, target, image.mode, "RGB", _INTENT, _FLAGS)
        return transform.apply(image)
    except (ImageCms.PyCMSError, ValueError, OSError) as error:
        raise ValueError(f"it cannot be applied ({str(error).lower()})") from None


@dataclass(frozen=True, eq=False)
class Shaper:
    """A profile of tone curves, and for RGB a matrix, in float32.

    Args:
        curves: Light for each of 65,536 evenly spaced values in [0, 1], ``(1 or 3, 65536)``.
        matrix: Linear RGB of the profile to linear sRGB, ``(3, 3)``.
    """

    curves: NDArray[np.float64]
    matrix: NDArray[np.float64]

    @classmethod
    def of(cls, profile: bytes) -> Shaper | None:
        """The profile's curves and matrix, or None where it is made of tables.

        Raises:
            ValueError: The profile is broken.
        """
        try:
            tags = _tags(profile)
            space, connection = profile[16:20], profile[20:24]
            if connection != b"XYZ " or b"A2B0" in tags:
                return None
            if space == b"GRAY" and b"kTRC" in tags:
                return cls(_curve(tags[b"kTRC"])[None], np.eye(3))
            names = (b"r", b"g", b"b")
            if space != b"RGB " or not all(n + b"TRC" in tags and n + b"XYZ" in tags for n in names):
                return None
            matrix = np.linalg.solve(_SRGB_TO_XYZ, np.stack([_xyz(tags[n + b"XYZ"]) for n in names], axis=1))
            if abs(np.linalg.det(matrix)) < 1e-6:
                raise ValueError("it is broken")
            return cls(np.stack([_curve(tags[n + b"TRC"]) for n in names]), matrix)
        except (struct.error, ZeroDivisionError) as error:
            raise ValueError("it is broken") from error

    def to_srgb(self, pixels: Tensor) -> None:
        """Turns pixels of the profile, ``(3, H, W)`` in [0, 1], into sRGB, in place."""
        curves = torch.from_numpy(self.curves).float().expand(3, -1)
        matrix = torch.from_numpy(self.matrix).float()
        for block in _row_blocks(pixels):
            index = block.mul(_STEPS).add_(0.5).long()
            light = torch.stack([curve[rows] for curve, rows in zip(curves, index, strict=True)])
            light = torch.einsum("ij,jhw->ihw", matrix, light).clamp_(0, 1)
            block.copy_(torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.pow(1 / 2.4) - 0.055))

    def from_srgb(self, pixels: Tensor) -> Tensor:
        """Pixels of the profile for sRGB pixels, both ``(3, H, W)`` in [0, 1]."""
        result = torch.empty_like(pixels)
        matrix = torch.from_numpy(np.linalg.inv(self.matrix)).float()
        tables = [_inverse(curve) for curve in self.curves]
        for block, into in zip(_row_blocks(pixels), _row_blocks(result), strict=True):
            light = torch.where(block <= 0.04045, block / 12.92, ((block + 0.055) / 1.055).pow(2.4))
            light = torch.einsum("ij,jhw->ihw", matrix, light)
            position = light.clamp_(0, 1).sqrt_().mul_(_STEPS)
            below = position.long().clamp_(max=_STEPS - 1)
            part = position.sub_(below)
            for channel, table, low, between in zip(into, tables, below, part, strict=True):
                channel.copy_(torch.lerp(table[low], table[low + 1], between))
        return result


def _inverse(curve: NDArray[np.float64]) -> Tensor:
    """Values of a rising curve at evenly spaced roots of light, which leaves none of them steep."""
    values = np.linspace(0, 1, _STEPS + 1)
    return torch.from_numpy(np.interp(values**2, curve, values)).float()


def _row_blocks(pixels: Tensor) -> Iterator[Tensor]:
    rows = max(1, _BLOCK_PIXELS // pixels.shape[2])
    for first in range(0, pixels.shape[1], rows):
        yield pixels[:, first : first + rows]


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > len(profile) // 12:
        raise ValueError("it is broken")
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count))
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536  # s15Fixed16Number


def _curve(tag: bytes) -> NDArray[np.float64]:
    """Light for 65,536 evenly spaced values, rising (ICC.1:2022, 10.6 and 10.18)."""
    x = np.linspace(0, 1, _STEPS + 1)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        table = np.array(struct.unpack_from(f">{count}H", tag, 12))
        if count == 0:
            return x
        light = (
            x ** (table[0] / 256) if count == 1 else np.interp(x * (count - 1), range(count), table / 65535)
        )
    elif tag[:4] == b"para":
        light = _parametric(tag, x)
    else:
        raise ValueError("it is broken")
    if not np.isfinite(light).all():
        raise ValueError("it is broken")
    return np.maximum.accumulate(np.clip(light, 0, 1))


def _parametric(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The five kinds of ICC curve, all as (ax + b)^g + e above d and cx + f below it."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError("it is broken")
    numbers = [n / 65536 for n in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    match numbers:
        case [g]:
            numbers = [g, 1, 0, 0, 0, 0, 0]
        case [g, a, b]:
            numbers = [g, a, b, 0, -b / a, 0, 0]
        case [g, a, b, c]:
            numbers = [g, a, b, 0, -b / a, c, c]
        case [g, a, b, c, d]:
            numbers = [g, a, b, c, d, 0, 0]
    g, a, b, c, d, e, f = numbers
    with np.errstate(all="ignore"):
        above = np.maximum(a * x + b, 0) ** g + e
    return np.asarray(np.where(x >= d, above, c * x + f))
