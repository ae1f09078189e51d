"""TIFF files of 16 bits in colour, which Pillow reads cut down to 8 bits and does not write.

The format is that of TIFF revision 6.0 (Aldus 1992).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from velatura.core.errors import ImageError
from velatura.imaging._exif import upright
from velatura.imaging._pillow import loaded, pixel_limit
from velatura.imaging._planes import Samples, in_rows

__all__ = ["decode_tiff16", "write_tiff"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _CHANNELS, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 274, 277, 278, 279
_X_RESOLUTION, _Y_RESOLUTION, _PLANAR, _RESOLUTION_UNIT, _PREDICTOR = 282, 283, 284, 296, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339

_SHORT, _LONG = 3, 4
_RGB, _PREMULTIPLIED, _UNASSOCIATED, _HORIZONTAL = 2, 1, 2, 2
# None, LZW, deflate (twice), PackBits, LZMA, Zstandard: what packs bytes and knows no pixels.
_BYTEWISE = (1, 5, 8, 32946, 32773, 34925, 50000)
_DEFLATE = 8
_STRIP_BYTES = 1 << 18
_LARGEST_FILE = 2**32 - 1


@dataclass(frozen=True)
class _Directory:
    """The first image file directory of a file: for each tag its type, count and four bytes."""

    order: str
    at: int
    entries: Mapping[int, tuple[int, int, bytes]]

    @classmethod
    def of(cls, data: bytes) -> _Directory | None:
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
        if order is None:
            return None
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        rows = (struct.unpack_from(order + "HHI4s", data, at + 2 + 12 * i) for i in range(count))
        return cls(order, at, {tag: (kind, number, value) for tag, kind, number, value in rows})

    def numbers(self, tag: int, data: bytes, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of a tag."""
        if tag not in self.entries:
            return default
        kind, count, value = self.entries[tag]
        code, size = {_SHORT: ("H", 2), _LONG: ("I", 4)}.get(kind, ("B", 1))
        if count * size <= 4:
            return struct.unpack_from(f"{self.order}{count}{code}", value)
        (offset,) = struct.unpack(self.order + "I", value)
        return struct.unpack_from(f"{self.order}{count}{code}", data, offset)


def decode_tiff16(data: bytes) -> NDArray[np.uint16] | None:
    """The samples of an RGB TIFF file of 16 bits a channel, upright.

    The file is handed to Pillow as if it were grey, of 8 bits, and two bytes for each sample wide:
    so every compression that libtiff knows is undone, and no bit is lost.

    Args:
        data: A whole file, which Pillow has found sound.

    Returns:
        Samples ``(H, W, 3 or 4)``, with alpha unassociated, or None for a file of another kind.
    """
    directory = _Directory.of(data)
    if directory is None:
        return None

    def number(tag: int, default: int) -> int:
        return directory.numbers(tag, data, (default,))[0]

    width, channels = number(_WIDTH, 0), number(_CHANNELS, 1)
    if (
        directory.numbers(_BITS, data) not in ((16,) * 3, (16,) * 4)
        or channels not in (3, 4)
        or set(directory.numbers(_SAMPLE_FORMAT, data, (1,))) != {1}
        or (number(_PHOTOMETRIC, 0), number(_PLANAR, 1), number(_FILL_ORDER, 1)) != (_RGB, 1, 1)
        or number(_COMPRESSION, 1) not in _BYTEWISE
        or number(_PREDICTOR, 1) not in (1, _HORIZONTAL)
    ):
        return None
    file = io.BytesIO(_as_grey(data, directory, 2 * channels))
    with pixel_limit(None), Image.open(file, formats=["TIFF"]) as grey:
        loaded(grey)
        samples = np.asarray(grey).view(directory.order + "u2").astype(np.uint16)
    samples = samples.reshape(len(samples), width, channels)
    if number(_PREDICTOR, 1) == _HORIZONTAL:
        tile = number(_TILE_WIDTH, width)
        for left in range(0, width, tile):
            part = samples[:, left : left + tile]
            np.cumsum(part, axis=1, dtype=np.uint16, out=part)
    turn = number(_ORIENTATION, 1)
    return upright(
        _with_alpha(samples, number(_EXTRA_SAMPLES, _UNASSOCIATED)), turn if turn in range(1, 9) else 1
    )


def _as_grey(data: bytes, directory: _Directory, stretch: int) -> bytes:
    """The file with ``stretch`` grey pixels of 8 bits in place of each pixel."""

    def long(value: int) -> tuple[int, int, bytes]:
        return _LONG, 1, struct.pack(directory.order + "I", value)

    same = (_HEIGHT, _COMPRESSION, _STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_COUNTS)
    tiles = (_TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS)
    entries = {tag: directory.entries[tag] for tag in (*same, *tiles) if tag in directory.entries}
    for tag in (_WIDTH, _TILE_WIDTH):
        if tag in directory.entries:
            entries[tag] = long(directory.numbers(tag, data)[0] * stretch)
    entries |= {_BITS: long(8), _PHOTOMETRIC: long(1), _CHANNELS: long(1)}
    table = struct.pack(directory.order + "H", len(entries))
    table += b"".join(
        struct.pack(directory.order + "HHI4s", tag, *entry) for tag, entry in sorted(entries.items())
    )
    table += bytes(4)  # No further directory.
    # Each entry replaces or repeats an old one, so that the table fits where the old one was.
    return b"".join((data[: directory.at], table, data[directory.at + len(table) :]))


def _with_alpha(samples: NDArray[np.uint16], extra: int) -> NDArray[np.uint16]:
    if samples.shape[2] == 3 or extra == _UNASSOCIATED:
        return samples
    if extra != _PREMULTIPLIED:
        return samples[..., :3]
    color, alpha = samples[..., :3].astype(np.float64), samples[..., 3:]
    straight = np.minimum(color * 65535 / np.maximum(alpha, 1) + 0.5, 65535).astype(np.uint16)
    return np.concatenate([straight, alpha], axis=2)


def write_tiff(
    file: BinaryIO,
    blocks: Iterable[Samples],
    shape: tuple[int, int, int],
    *,
    bits: int,
    tags: Mapping[int, Any],
) -> None:
    """A TIFF file of one picture, deflated, with horizontal differences, a strip at a time.

    Args:
        file: At its beginning, and such that it can go back there.
        blocks: RGB or RGBA, ``(any, W, 3 or 4)``, from the top down.
        shape: Height, width and channels of the whole.
        bits: 8 or 16, of a sample.
        tags: What else the file says, by the number of its tag; a nested directory is a mapping.

    Raises:
        ImageError: The file would be larger than TIFF can be.
    """
    height, width, channels = shape
    rows = max(1, _STRIP_BYTES // (width * channels * bits // 8))
    content: dict[int, Any] = {
        _WIDTH: width,
        _HEIGHT: height,
        _BITS: (bits,) * channels,
        _CHANNELS: channels,
        _COMPRESSION: _DEFLATE,
        _PHOTOMETRIC: _RGB,
        _PREDICTOR: _HORIZONTAL,
        _PLANAR: 1,
        _ROWS_PER_STRIP: rows,
        _X_RESOLUTION: 72,
        _Y_RESOLUTION: 72,
        _RESOLUTION_UNIT: 2,
        **({_EXTRA_SAMPLES: (_UNASSOCIATED,)} if channels == 4 else {}),
        **tags,
    }
    # The directory stands in front: how long it is does not depend on how long the strips are.
    file.write(bytes(len(_head(content, [0] * -(-height // rows)))))
    sizes = []
    for strip in in_rows(blocks, rows):
        packed = _strip(strip)
        file.write(packed)
        sizes.append(len(packed))
        if file.tell() > _LARGEST_FILE:
            raise ImageError("it would be larger than the 4 GiB that TIFF holds; write a PNG, or fewer bits")
    file.seek(0)
    file.write(_head(content, sizes))


def _head(content: Mapping[int, Any], sizes: Sequence[int]) -> bytes:
    """What stands in front of the strips."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory.tagtype |= dict.fromkeys((_STRIP_OFFSETS, _STRIP_COUNTS), _LONG)
    strips = {
        # Pillow adds the length of what stands before the strips.
        _STRIP_OFFSETS: tuple(int(start) for start in np.cumsum([0, *sizes[:-1]])),
        _STRIP_COUNTS: tuple(sizes),
    }
    for tag, value in {**content, **strips}.items():
        directory[tag] = value
    file = io.BytesIO()
    directory.save(file)
    return file.getvalue()


def _strip(samples: Samples) -> bytes:
    differences = samples.copy()
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), 6)
