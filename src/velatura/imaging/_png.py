"""PNG files: their checksums, and 16 bits in colour, of which Pillow reads 8 and writes none.

The format is that of the PNG specification, third edition (W3C 2025); filter and section names
are the specification's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from velatura.core.errors import ImageError
from velatura.imaging._planes import Samples, in_rows

__all__ = ["check_png", "decode_png16", "write_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 4: 2, 6: 4}  # by colour type; grey alone is Pillow's to read
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_BLOCK_ROWS = 64
_BLOCK_BYTES = 1 << 20
_MAX_CHUNKS = 200_000

Bytes = NDArray[np.uint8]


def check_png(file: BinaryIO) -> None:
    """Does for a PNG file what Pillow leaves out: holds its pixels to their checksums.

    Args:
        file: Any file; one that is no PNG passes.

    Raises:
        ImageError: A checksum is wrong, or chunks are so many that going through them is an attack.
    """
    file.seek(0)
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] != b"IDAT":
            file.seek(length + 4, 1)
            continue
        checksum = zlib.crc32(b"IDAT")
        while length > 0 and (block := file.read(min(length, _BLOCK_BYTES))):
            checksum, length = zlib.crc32(block, checksum), length - len(block)
        stored = file.read(4)
        if len(stored) == 4 and stored != struct.pack(">I", checksum):
            raise ImageError("the checksum of its pixels is wrong")
    raise ImageError(f"it has more than the limit of {_MAX_CHUNKS} chunks")


def decode_png16(data: bytes) -> NDArray[np.uint16] | None:
    """The samples of a PNG file of 16 bits in colour, or in grey with alpha.

    Args:
        data: A whole file, which Pillow has found sound.

    Returns:
        Samples ``(H, W, C)``: RGB, RGBA or grey and alpha. A transparent colour becomes an alpha
        channel. None for a file of another kind.
    """
    header, packed, transparent = b"", [], None
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"tRNS":
            transparent = np.frombuffer(body, ">u2")
    width, height, bits, color, _, _, interlaced = struct.unpack(">2I5B", header)
    if bits != 16 or color not in _CHANNELS:
        return None
    channels = _CHANNELS[color]
    samples = np.empty((height, width, channels), np.uint16)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    views = [view for y, x, dy, dx in passes if (view := samples[y::dy, x::dx]).size]
    length = sum(view.shape[0] * (1 + 2 * view.shape[1] * channels) for view in views)
    raw = np.frombuffer(zlib.decompressobj().decompress(b"".join(packed), length), np.uint8)
    for view in views:
        rows, columns = view.shape[:2]
        stride = 1 + 2 * columns * channels
        view[:] = _unfiltered(raw[: rows * stride].reshape(rows, stride), 2 * channels).reshape(view.shape)
        raw = raw[rows * stride :]
    if transparent is not None and channels == 3:
        alpha = np.where((samples == transparent).all(axis=-1), 0, 65535).astype(np.uint16)
        return np.dstack([samples, alpha])
    return samples


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _unfiltered(rows: Bytes, step: int) -> NDArray[np.uint16]:
    """Undoes the row filters (section 9), one diagonal of the picture at a time.

    A pixel depends on those left of it, above it, and above left. All three lie on the two
    diagonals before its own, so that a whole diagonal is worked out at once.

    Args:
        rows: The filter type of each row, then its filtered bytes, ``(H, 1 + W step)``.
        step: Bytes a pixel.
    """
    result = rows[:, 1:].copy()
    height, width = result.shape[0], result.shape[1] // step
    if rows[:, 0].any():
        filters = _Filters(rows[:, 0], step)
        # The last three diagonals by row, below a row of zeros. What is left of the picture is
        # zero too, as a diagonal has nothing yet in the rows that it has not reached.
        older, newer, newest = (np.zeros((height + 1) * step, np.uint8) for _ in range(3))
        for diagonal in range(height + width - 1):
            first, last = max(0, diagonal - width + 1), min(height - 1, diagonal) + 1
            pixels = _diagonal(result, first, diagonal - first, last - first, step)
            here, below = slice(first * step, last * step), slice((first + 1) * step, (last + 1) * step)
            value = newest[below]
            value[:] = pixels.copy().view(np.uint8)
            value += filters.prediction(here, newer[below], newer[here], older[here])
            pixels[:] = value.view(pixels.dtype)
            older, newer, newest = newer, newest, older
    return result.view(">u2").astype(np.uint16)


def _diagonal(plane: Bytes, row: int, column: int, count: int, step: int) -> NDArray[np.void]:
    """A view of ``count`` pixels, each one row further down and one column further left."""
    stride = plane.strides[0]
    return np.ndarray(
        (count,), f"V{step}", buffer=plane.data, offset=row * stride + column * step, strides=(stride - step,)
    )


class _Filters:
    """The filter of each row of a picture, ready to be asked about ranges of bytes of its rows."""

    def __init__(self, kinds: Bytes, step: int) -> None:
        every = np.repeat(kinds, step)
        self._masks = {kind: (every == kind).view(np.uint8) * np.uint8(255) for kind in set(kinds.tolist())}

    def prediction(self, rows: slice, left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
        predicted = np.zeros_like(left)
        if 1 in self._masks:
            predicted |= left & self._masks[1][rows]
        if 2 in self._masks:
            predicted |= above & self._masks[2][rows]
        if 3 in self._masks:
            mean = (left >> 1) + (above >> 1) + (left & above & 1)
            predicted |= mean & self._masks[3][rows]
        if 4 in self._masks:
            predicted |= _paeth(left, above, corner) & self._masks[4][rows]
        return predicted


def _paeth(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """Whichever neighbour is nearest to left + above - corner (section 9.4)."""
    from_above = above.astype(np.int16) - corner
    from_left = left.astype(np.int16) - corner
    of_left, of_above, of_corner = np.abs(from_above), np.abs(from_left), np.abs(from_above + from_left)
    choice = np.where(of_above <= of_corner, above, corner)
    return np.asarray(np.where((of_left <= of_above) & (of_left <= of_corner), left, choice))


def write_png(
    file: BinaryIO,
    blocks: Iterable[Samples],
    shape: tuple[int, int, int],
    *,
    bits: int,
    chunks: Sequence[tuple[bytes, bytes]],
) -> None:
    """A PNG file, some rows at a time.

    Args:
        file: Where it goes.
        blocks: RGB or RGBA, ``(any, W, 3 or 4)``, from the top down.
        shape: Height, width and channels of the whole.
        bits: 8 or 16, of a sample.
        chunks: Type and body of what else the file says, in the order in which it shall stand
            between the header and the pixels.
    """
    height, width, channels = shape
    header = struct.pack(">2I5B", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, 0)
    file.write(_SIGNATURE)
    for kind, body in [(b"IHDR", header), *chunks]:
        _write_chunk(file, kind, body)
    packer = zlib.compressobj(6)
    step = channels * bits // 8
    above = np.zeros((1, width * step), np.uint8)
    for block in in_rows(blocks, _BLOCK_ROWS):
        big_endian = block.astype(block.dtype.newbyteorder(">"))
        rows = np.concatenate([above, big_endian.reshape(len(block), -1).view(np.uint8)])
        if part := packer.compress(_filtered(rows, step).tobytes()):
            _write_chunk(file, b"IDAT", part)
        above = rows[-1:]
    _write_chunk(file, b"IDAT", packer.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, kind: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def _filtered(rows: Bytes, step: int) -> Bytes:
    """Each row by the filter that leaves the smallest sum (section 12.7), its type in front.

    Args:
        rows: The row above the first, then the rows to filter.
        step: Bytes a pixel.
    """
    shifted = np.pad(rows, ((0, 0), (step, 0)))[:, : rows.shape[1]]
    pixel, left, above, corner = rows[1:], shifted[1:], rows[:-1], shifted[:-1]
    candidates = np.stack([pixel, pixel - left, pixel - above, pixel - _paeth(left, above, corner)])
    best = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=-1).argmin(axis=0)
    types = np.array([0, 1, 2, 4], np.uint8)[best]
    return np.column_stack([types, candidates[best, np.arange(len(pixel))]])
