"""The picture: what every door and job takes and gives."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from velatura.core.errors import ImageError
from velatura.imaging._decode import decode
from velatura.imaging._pillow import MALFORMED, collected_warnings, one_line
from velatura.imaging._planes import full_scale, quantized

__all__ = ["Picture", "PictureSource", "WriteOptions"]


class WriteOptions(TypedDict, total=False):
    """The options of ``write_picture``, which says what they mean."""

    bits: Literal[8, 16]
    quality: int | None
    icc: Literal["srgb", "keep"]
    metadata: Mapping[str, str] | None
    protect: Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in sRGB, and what was read with it.

    Args:
        pixels: ``(3, H, W)`` float32 in [0, 1], sRGB with its transfer curve.
        alpha: How opaque each pixel is, ``(1, H, W)`` float32 in [0, 1], not multiplied into
            ``pixels``; None where every pixel is opaque.
        icc: The colour profile that the file had, None where it was sRGB. ``pixels`` are sRGB
            all the same.
        exif: Who, when and with which camera, as EXIF bytes. Never an orientation, which has
            been applied, nor a place.
        dpi: Pixels an inch, as the file said, at which it is printed; None where it did not say.
        name: The file's name without folder and suffix, or empty.
        notes: What a user should be told of how it was read, a line each.

    Raises:
        ImageError: Shape, dtype or range do not fit.
    """

    pixels: Tensor
    alpha: Tensor | None = field(default=None, kw_only=True)
    icc: bytes | None = field(default=None, kw_only=True, repr=False)
    exif: bytes | None = field(default=None, kw_only=True, repr=False)
    dpi: float | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        _check_plane(self.pixels, "pixels", 3)
        if self.alpha is not None:
            _check_plane(self.alpha, "alpha", 1)
            if self.alpha.shape[1:] != self.pixels.shape[1:]:
                sizes = f"{tuple(self.alpha.shape[1:])} and {tuple(self.pixels.shape[1:])}"
                raise ImageError(f"expected alpha and pixels of one size, got {sizes}")
        if self.dpi is not None and not self.dpi > 0:
            raise ImageError(f"expected a number of pixels an inch above 0, got {self.dpi}")

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        alpha = ", with alpha" if self.alpha is not None else ""
        return f"Picture({name}{self.width}x{self.height}{alpha})"

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[2])

    @classmethod
    def of(cls, source: PictureSource) -> Picture:
        """A picture of whatever holds one.

        Args:
            source: A path; a Pillow image of any mode, which is turned upright and into sRGB as a
                file would be; an array ``(H, W)`` or ``(H, W, 1 to 4)`` or a tensor ``(C, H, W)``
                or ``(1, C, H, W)``, with 1 to 4 channels (grey, grey and alpha, RGB, RGBA), of
                bytes, 16-bit numbers, or floats in [0, 1], taken as sRGB; or a picture, which is
                given back as it is.

        Raises:
            ImageError: The source cannot be read, or its shape, dtype or range do not fit.
        """
        if isinstance(source, Picture):
            return source
        if isinstance(source, str | os.PathLike):
            from velatura.imaging.read import read_picture

            return read_picture(source)
        if isinstance(source, Image.Image):
            return _of_image(source)
        if isinstance(source, Tensor):
            return _of_tensor(source)
        return _of_array(source)

    def to_array(self) -> NDArray[np.uint8]:
        """The pixels as bytes, ``(H, W, 3)``, without alpha."""
        return quantized(self.pixels, bits=8).astype(np.uint8, copy=False)

    def to_pil(self) -> Image.Image:
        """The picture as a Pillow image of mode ``RGB``, or ``RGBA`` where it has alpha."""
        planes = self.pixels if self.alpha is None else torch.cat([self.pixels, self.alpha])
        return Image.fromarray(quantized(planes, bits=8))

    def over(self, color: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Picture:
        """The picture laid over a plain colour, opaque.

        Args:
            color: sRGB in [0, 1]; white unless asked otherwise.

        Raises:
            ImageError: ``color`` is not three numbers in [0, 1].
        """
        if len(color) != 3 or not all(0 <= value <= 1 for value in color):
            raise ImageError(f"expected a colour of three numbers in [0, 1], got {color}")
        if self.alpha is None:
            return self
        ground = self.pixels.new_tensor(color)[:, None, None]
        return replace(self, pixels=torch.lerp(ground, self.pixels, self.alpha).clamp_(0, 1), alpha=None)

    def save(self, path: str | os.PathLike[str], **options: Unpack[WriteOptions]) -> tuple[str, ...]:
        """Writes the picture; see ``write_picture`` for the options, the errors and the notes."""
        from velatura.imaging.write import write_picture

        return write_picture(self, path, **options)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.to_pil().save(buffer, "PNG")
        return buffer.getvalue()


PictureSource = str | os.PathLike[str] | Image.Image | NDArray[Any] | Tensor | Picture


def _check_plane(plane: Tensor, what: str, channels: int) -> None:
    if not isinstance(plane, Tensor) or plane.dtype != torch.float32:
        got = plane.dtype if isinstance(plane, Tensor) else type(plane).__name__
        raise ImageError(f"expected {what} as a float32 tensor, got {got}")
    if plane.ndim != 3 or plane.shape[0] != channels or plane.numel() == 0:
        raise ImageError(f"expected {what} of shape ({channels}, H, W), got {tuple(plane.shape)}")
    low, high = (float(value) for value in torch.aminmax(plane.detach()))
    if not (low >= 0 and high <= 1):
        raise ImageError(f"expected {what} in [0, 1], got {_range(low, high)}")


def _range(low: float, high: float) -> str:
    return "NaN" if np.isnan(low) or np.isnan(high) else f"values from {low:g} to {high:g}"


def _of_image(image: Image.Image) -> Picture:
    name = Path(getattr(image, "filename", "") or "").stem
    try:
        with collected_warnings() as warned:
            decoded = decode(image)
    except MALFORMED as error:
        raise ImageError(f"cannot read {name or 'the image'}: {one_line(error)}") from error
    return Picture(
        decoded.pixels(),
        alpha=decoded.opacity(),
        icc=decoded.icc,
        exif=decoded.exif,
        dpi=decoded.dpi,
        name=name,
        notes=(*decoded.notes, *warned),
    )


def _of_array(array: Any) -> Picture:
    if not isinstance(array, np.ndarray):
        kinds = "a path, a Pillow image, an array, a tensor or a Picture"
        raise ImageError(f"expected {kinds}, got {type(array).__name__}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        hint = "; an array has its channels last" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise ImageError(f"expected an array of shape (H, W) or (H, W, 1 to 4), got {array.shape}{hint}")
    if array.dtype == np.bool_:
        planes = array.astype(np.float32)
    elif array.dtype in (np.uint8, np.uint16):
        planes = array.astype(np.float32) / full_scale(array)
    elif array.dtype.kind == "f":
        planes = array.astype(np.float32)
    else:
        raise ImageError(f"expected an array of uint8, uint16 or floats in [0, 1], got {array.dtype}")
    return _of_planes(torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1))))


def _of_tensor(tensor: Tensor) -> Picture:
    planes = tensor.detach()
    if planes.ndim == 4 and planes.shape[0] == 1:
        planes = planes[0]
    if planes.ndim != 3 or planes.shape[0] not in (1, 2, 3, 4):
        hint = (
            "; a tensor has its channels first" if planes.ndim == 3 and planes.shape[2] in (1, 3, 4) else ""
        )
        shapes = "(1 to 4, H, W), or a batch of one such"
        raise ImageError(f"expected a tensor of shape {shapes}, got {tuple(tensor.shape)}{hint}")
    full = {torch.uint8: 255, torch.uint16: 65535, torch.bool: 1}.get(planes.dtype)
    if full is None and not planes.is_floating_point():
        raise ImageError(f"expected a tensor of uint8, uint16 or floats in [0, 1], got {planes.dtype}")
    planes = planes.to("cpu", torch.float32, copy=True)
    return _of_planes(planes if full is None else planes.div_(full))


def _of_planes(planes: Tensor) -> Picture:
    """A picture of grey, grey and alpha, RGB or RGBA planes in [0, 1], ``(1 to 4, H, W)``."""
    channels = planes.shape[0]
    alpha = planes[-1:].clone() if channels in (2, 4) else None
    color = planes[:3] if channels >= 3 else planes[:1].expand(3, -1, -1)
    return Picture(color.contiguous(), alpha=alpha)
