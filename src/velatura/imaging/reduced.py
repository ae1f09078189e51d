"""Pictures too large to be read whole: in strips, made smaller on the way.

libvips decodes a strip at a time (``pip install 'velatura[tiled]'``). Each becomes floats in sRGB as of any
file, and is resampled as any picture is (:class:`velatura.ops.reduction.Reduction`), so that no more than a
strip of the large picture is ever in memory.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from velatura.core.errors import ImageError
from velatura.imaging import _icc
from velatura.imaging._decode import colour_shaper, needs_tables, read_exif, shallow
from velatura.imaging._exif import upright
from velatura.imaging._pillow import MALFORMED, collected_warnings, one_line, pixel_limit
from velatura.imaging._planes import unit_plane, unit_planes
from velatura.imaging._resolution import resolution
from velatura.imaging.picture import Picture
from velatura.imaging.read import (
    MAX_BYTES,
    MAX_PIXELS,
    check_file,
    check_scans,
    frame_notes,
    read_picture,
    too_large,
)
from velatura.ops.reduction import Reduction
from velatura.ops.resize import fit

__all__ = ["MAX_STREAMED_BYTES", "MAX_STREAMED_PIXELS", "read_at_most"]

MAX_STREAMED_PIXELS = 2_500_000_000
"""Pixels beyond which a file is refused in strips too: 100,000 by 25,000, which take minutes."""

MAX_STREAMED_BYTES = 16 * 2**30
"""The same of a file's size."""

_FORMATS = {"JPEG": "jpegload", "PNG": "pngload", "TIFF": "tiffload"}
_STRIP_PIXELS = 1 << 22
_TURNED = (5, 6, 7, 8)
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA_SAMPLES, _PREMULTIPLIED = 278, 322, 323, 338, 1
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_HINT = "pip install 'velatura[tiled]' reads such files in strips"


def read_at_most(
    path: str | os.PathLike[str],
    long_edge: int,
    *,
    max_pixels: int = MAX_STREAMED_PIXELS,
    max_bytes: int = MAX_STREAMED_BYTES,
    whole_pixels: int = MAX_PIXELS,
    whole_bytes: int = MAX_BYTES,
) -> Picture:
    """The picture in a file that may be too large to be read whole, made smaller if it is.

    What ``read_picture`` reads is read by it, at its own size. A larger JPEG, PNG or TIFF is read in strips,
    upright and in sRGB as there, and resampled to ``long_edge``; the colours are the same, and resampling
    again to a smaller size differs a little from doing it at once. Its EXIF is that of the beginning.

    Args:
        path: A file.
        long_edge: Pixels of the longer edge, where the picture is made smaller; no picture is made larger.
        max_pixels: More are refused in strips too.
        max_bytes: Larger files are refused in strips too.
        whole_pixels: More are read in strips.
        whole_bytes: Larger files are read in strips.

    Raises:
        ImageError: The file cannot be read; or only whole, and is too large for that; or the package that
            reads strips is not installed.
    """
    try:
        if not _is_large(Path(path), whole_pixels, whole_bytes):
            return read_picture(path, max_pixels=whole_pixels, max_bytes=whole_bytes)
        check_file(Path(path), max_bytes)
        with (
            Path(path).open("rb") as file,
            pixel_limit(None),
            collected_warnings(),
            Image.open(file, formats=tuple(_FORMATS)) as image,
        ):
            _check_size(image, file, long_edge, max_pixels, whole_pixels)
            return _in_strips(Path(path), image, long_edge)
    except (ImageError, *MALFORMED) as error:
        if isinstance(error, ImageError) and str(error).startswith("cannot read"):
            raise
        raise ImageError(f"cannot read {os.fspath(path)!r}: {one_line(error)}") from error
    except MemoryError as error:
        raise ImageError(f"cannot read {os.fspath(path)!r}: there is not enough memory") from error


def _is_large(path: Path, pixels: int, size: int) -> bool:
    """Whether it is too large to be read whole, and of a kind that is read in strips."""
    # What is wrong with a file is said when it is read.
    with (
        contextlib.suppress(UnidentifiedImageError, *MALFORMED),
        path.open("rb") as file,
        pixel_limit(None),
        collected_warnings(),
        Image.open(file, formats=tuple(_FORMATS)) as image,
    ):
        return image.width * image.height > pixels or path.stat().st_size > size
    return False


def _vips() -> Any:
    try:
        return importlib.import_module("pyvips")
    except (ImportError, OSError) as error:
        raise ImageError(f"it is too large to be read whole; {_HINT}") from error


def _in_strips(path: Path, image: Image.Image, long_edge: int) -> Picture:
    vips, notes = _vips(), list(frame_notes(image))
    turn, exif = read_exif(image, notes)
    try:
        source = getattr(vips.Image, _FORMATS[image.format or ""])(
            str(path), access="sequential", fail_on="truncated"
        )
        strips = _Strips(
            source=source,
            profile=image.info.get("icc_profile") or None,
            notes=notes,
        )
        height, width = source.height, source.width
        long = max(height, width)
        smaller = fit(height, width, min(long_edge, long))
        reduction: Reduction | None = None
        for strip in strips.floats():
            if reduction is None:
                reduction = Reduction((height, width), smaller, channels=len(strip))
            reduction.take(strip)
    except vips.Error as error:
        raise ImageError(str(error).replace("\n", " ")) from error
    assert reduction is not None
    planes = torch.from_numpy(
        np.ascontiguousarray(upright(reduction.result.clamp_(0, 1).permute(1, 2, 0).numpy(), turn))
    ).permute(2, 0, 1)
    alpha = planes[3:].contiguous() if len(planes) == 4 else None
    if smaller != (height, width):
        shown = smaller[::-1] if turn in _TURNED else smaller
        notes.append(f"of its {width}x{height} pixels, {shown[1]}x{shown[0]} were made while it was read")
    return Picture(
        planes[:3].contiguous(),
        alpha=None if alpha is None or bool((alpha == 1).all()) else alpha,
        icc=strips.kept_profile,
        exif=exif,
        dpi=resolution(image),
        name=path.stem,
        notes=tuple(notes),
    )


def _check_size(
    image: Image.Image, file: BinaryIO, long_edge: int, max_pixels: int, whole_pixels: int
) -> None:
    """Refuses too many pixels, and what would have to be whole in memory after all."""
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise ImageError(too_large(pixels, max_pixels))
    height, width = fit(image.height, image.width, min(long_edge, max(image.height, image.width)))
    if height * width > whole_pixels:
        raise ImageError(
            f"it has {pixels / 1e6:.6g} megapixels and would be read at {width}x{height}, more than the "
            f"limit of {whole_pixels / 1e6:.6g} megapixels; choose a smaller size"
        )
    _check_layout(image, file, whole_pixels)


def _check_layout(image: Image.Image, file: BinaryIO, most: int) -> None:
    if image.info.get("progressive") or image.info.get("interlace"):
        raise ImageError(
            f"it has {image.width * image.height / 1e6:.6g} megapixels, and is stored so that it can only be "
            "read whole (progressive or interlaced); save it without that"
        )
    check_scans(image, file)
    tags = getattr(image, "tag_v2", {})
    rows = min(int(tags.get(_ROWS_PER_STRIP, image.height)), image.height)
    tile = int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_HEIGHT, 0))
    if image.format == "TIFF" and (tile or rows * image.width) > most:
        raise ImageError(
            f"it is stored in pieces of {(tile or rows * image.width) / 1e6:.6g} megapixels, more than the "
            f"limit of {most / 1e6:.6g}; save it in smaller strips or tiles"
        )
    if _PREMULTIPLIED in np.atleast_1d(tags.get(_EXTRA_SAMPLES, 0)):
        raise ImageError("its colours are multiplied by alpha, which is only read whole; save it without")


@dataclass(kw_only=True, eq=False)
class _Strips:
    """A picture as floats, a strip at a time.

    Args:
        source: What libvips opened.
        profile: The file's colour profile.
        notes: What a user should be told; the first strip adds to it.
    """

    source: Any
    profile: bytes | None
    notes: list[str]
    kept_profile: bytes | None = field(default=None, init=False)
    _shaper: _icc.Shaper | None = field(default=None, init=False)

    def floats(self) -> Iterator[Tensor]:
        """Colours in sRGB and alpha where there is any, ``(3 or 4, rows, W)`` in [0, 1], from the top."""
        image = self.source
        if image.format not in ("uchar", "ushort") or image.bands not in _MODES:
            raise ImageError(
                f"its samples are of a kind that is only read whole ({image.bands} of {image.format})"
            )
        deep = image.format == "ushort"
        if deep and self.profile is not None and needs_tables(self.profile):
            self.notes.append("read with 8 of its 16 bits: its colour profile is made of tables")
            deep, image = False, (image >> 8).cast("uchar")
        rows = max(1, _STRIP_PIXELS // image.width)
        region = _vips().Region.new(image)
        for first in range(0, image.height, rows):
            count = min(rows, image.height - first)
            data = region.fetch(0, first, image.width, count)
            samples = np.frombuffer(data, np.uint16 if deep else np.uint8)
            samples = samples.reshape(count, image.width, image.bands)
            yield self._deep(samples, first) if deep else self._shallow(samples, first)

    def _deep(self, samples: NDArray[Any], first: int) -> Tensor:
        colors = 3 if samples.shape[2] >= 3 else 1
        if self.source.interpretation == "cmyk":
            raise ImageError("CMYK of 16 bits is only read whole")
        if first == 0:
            spaces = ("RGB",) if colors == 3 else ("GRAY", "RGB")
            self.kept_profile, self._shaper = colour_shaper(self.profile, spaces, self.notes)
        pixels = unit_planes([samples[..., color] for color in range(colors)])
        if self._shaper is not None:
            self._shaper.to_srgb(pixels)
        if samples.shape[2] == colors:
            return pixels
        return torch.cat([pixels, unit_plane(samples[..., colors])])

    def _shallow(self, samples: NDArray[Any], first: int) -> Tensor:
        mode = "CMYK" if self.source.interpretation == "cmyk" else _MODES[samples.shape[2]]
        image = Image.frombuffer(mode, samples.shape[1::-1], samples.tobytes(), "raw", mode, 0, 1)
        (planes, alpha), kept = shallow(image, self.profile, self.notes if first == 0 else [])
        self.kept_profile = kept
        pixels = unit_planes(planes)
        return pixels if alpha is None else torch.cat([pixels, unit_plane(alpha)])
