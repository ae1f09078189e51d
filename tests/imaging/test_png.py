import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from velatura.core.errors import ImageError
from velatura.imaging._png import check_png, decode_png16, write_png


def encoded(samples, chunks=(), rows=1000):
    """The file of samples that come so many rows at a time."""
    file = io.BytesIO()
    blocks = (samples[first : first + rows] for first in range(0, len(samples), rows))
    write_png(file, blocks, samples.shape, bits=8 * samples.dtype.itemsize, chunks=chunks)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, color, rows, *, interlaced=0, extra=()):
    header = struct.pack(">2I5B", width, height, 16, color, 0, 0, interlaced)
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def unfilter(rows, width, step):
    """Section 9 of the specification, byte by byte."""
    result, above = [], [0] * (width * step)
    for row in rows:
        kind, values = row[0], list(row[1:])
        for i in range(len(values)):
            a, b = values[i - step] if i >= step else 0, above[i]
            c = above[i - step] if i >= step else 0
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            paeth = a if pa <= pb and pa <= pc else b if pb <= pc else c
            values[i] = (values[i] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
        result.append(values)
        above = values
    return np.array(result, np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_filters_are_undone_as_the_specification_says(data):
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    color, channels = data.draw(st.sampled_from([(2, 3), (4, 2), (6, 4)]))
    step = 2 * channels
    rows = data.draw(arrays(np.uint8, (height, 1 + width * step)))
    rows[:, 0] = data.draw(arrays(np.uint8, height, elements=st.integers(0, 4)))
    expected = unfilter(rows.tolist(), width, step).view(">u2").reshape(height, width, channels)
    assert np.array_equal(decode_png16(png(width, height, color, rows.tobytes())), expected)


def test_interlaced_pixels_find_their_places():
    height, width = 11, 9
    samples = np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3) * 200
    order = [(0, 0, 8), (4, 0, 8), (0, 4, 4), (2, 0, 4), (0, 2, 2), (1, 0, 2), (0, 1, 1)]  # x, y, dx
    rows = b""
    for index, (x, y, dx) in enumerate(order):
        dy = (8, 8, 8, 4, 4, 2, 2)[index]
        for row in samples[y::dy, x::dx] if x < width else ():
            rows += b"\0" + row.astype(">u2").tobytes()
    assert np.array_equal(decode_png16(png(width, height, 2, rows, interlaced=1)), samples)


def test_a_transparent_color_becomes_alpha():
    rows = b"\0" + np.array([[1, 2, 3], [1, 2, 4]], ">u2").tobytes()
    data = png(2, 1, 2, rows, extra=[(b"tRNS", struct.pack(">3H", 1, 2, 4))])
    assert decode_png16(data).tolist() == [[[1, 2, 3, 65535], [1, 2, 4, 0]]]


def test_other_kinds_are_left_to_pillow():
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")
    assert decode_png16(file.getvalue()) is None


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint16, st.tuples(st.integers(1, 70), st.integers(1, 6), st.sampled_from([3, 4]))))
def test_what_is_written_is_a_png_to_pillow_and_the_same_to_us(samples):
    data = encoded(samples)
    assert np.array_equal(decode_png16(data), samples)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), samples >> 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("rows", [1, 63, 65, 128])
def test_written_in_strips_it_is_the_same_file(dtype, rows):
    samples = np.random.default_rng(1).integers(0, 200, (150, 7, 4)).astype(dtype)
    assert encoded(samples, rows=rows) == encoded(samples)


def test_eight_bits_in_strips_are_a_png_to_pillow():
    samples = np.random.default_rng(2).integers(0, 256, (150, 40, 4)).astype(np.uint8)
    with Image.open(io.BytesIO(encoded(samples))) as image:
        assert np.array_equal(np.asarray(image), samples)


def test_a_wrong_checksum_of_the_pixels_is_found():
    data = encoded(np.zeros((2, 2, 3), np.uint16))
    check_png(io.BytesIO(data))
    at = data.index(b"IDAT")
    broken = data[: at + 5] + bytes([data[at + 5] ^ 1]) + data[at + 6 :]
    with pytest.raises(ImageError, match="the checksum of its pixels is wrong"):
        check_png(io.BytesIO(broken))


def test_a_flood_of_chunks_is_refused(monkeypatch):
    monkeypatch.setattr("velatura.imaging._png._MAX_CHUNKS", 10)
    data = encoded(np.zeros((2, 2, 3), np.uint16), [(b"teSt", b"")] * 9)
    with pytest.raises(ImageError, match="more than the limit of 10 chunks"):
        check_png(io.BytesIO(data))


def test_what_is_no_png_passes_the_check():
    check_png(io.BytesIO(b"something else"))
