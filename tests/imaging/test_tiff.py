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
from velatura.imaging._tiff import decode_tiff16, write_tiff


def encoded(samples, tags, rows=1000):
    """The file of samples that come so many rows at a time."""
    file = io.BytesIO()
    blocks = (samples[first : first + rows] for first in range(0, len(samples), rows))
    write_tiff(file, blocks, samples.shape, bits=8 * samples.dtype.itemsize, tags=tags)
    return file.getvalue()


def tiff(order, entries, blocks):
    """A TIFF file of one directory; ``blocks`` stand behind it, and 273 or 324 says where."""
    at = 8 + 2 + 12 * len(entries) + 4
    extra = b""
    table = struct.pack(order + "H", len(entries))
    spare = at + sum(4 * len(values) for values in entries.values() if len(values) > 1)
    starts = [spare + sum(map(len, blocks[:i])) for i in range(len(blocks))]
    for tag, values in sorted(entries.items()):
        values = starts if tag in (273, 324) else values
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            extra, packed = extra + packed, struct.pack(order + "I", at + len(extra))
        table += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", 8) + table + bytes(4) + extra + b"".join(blocks)


def rgb(samples, **more):
    height, width, channels = samples.shape
    bits = {256: [width], 257: [height], 258: [16] * channels, 262: [2], 277: [channels]}
    return bits | {int(tag.strip("t")): value for tag, value in more.items()}


@pytest.mark.parametrize("order", ["<", ">"])
def test_plain_strips_in_either_byte_order(order):
    samples = np.arange(4 * 3 * 3, dtype=np.uint16).reshape(4, 3, 3) * 1800
    strips = [samples[:3].astype(order + "u2").tobytes(), samples[3:].astype(order + "u2").tobytes()]
    entries = rgb(samples, t259=[1], t273=[0, 0], t278=[3], t279=[54, 18])
    assert np.array_equal(decode_tiff16(tiff(order, entries, strips)), samples)


@pytest.mark.parametrize("order", ["<", ">"])
def test_deflated_tiles_with_differences(order):
    samples = np.random.default_rng(0).integers(0, 65536, (20, 40, 4)).astype(np.uint16)
    tiles = []
    for y in (0, 16):
        for x in (0, 16, 32):
            tile = np.zeros((16, 16, 4), np.uint16)
            part = samples[y : y + 16, x : x + 16]
            tile[: part.shape[0], : part.shape[1]] = part
            tile[:, 1:] = tile[:, 1:] - tile[:, :-1]
            tiles.append(zlib.compress(tile.astype(order + "u2").tobytes()))
    places = {"t322": [16], "t323": [16], "t324": [0] * 6, "t325": [len(tile) for tile in tiles]}
    entries = rgb(samples, t259=[8], t317=[2], t338=[2], **places)
    assert np.array_equal(decode_tiff16(tiff(order, entries, tiles)), samples)


def one_strip(samples, **more):
    data = samples.astype("<u2").tobytes()
    return tiff("<", rgb(samples, t259=[1], t273=[0], t278=[1], t279=[len(data)], **more), [data])


def test_premultiplied_alpha_is_divided_out():
    samples = np.array([[[100, 200, 0, 40000], [7, 7, 7, 0], [9, 8, 7, 65535]]], np.uint16)
    expected = [[[164, 328, 0, 40000], [65535, 65535, 65535, 0], [9, 8, 7, 65535]]]
    assert decode_tiff16(one_strip(samples, t338=[1])).tolist() == expected


def test_a_fourth_channel_of_no_meaning_is_dropped():
    samples = np.array([[[1, 2, 3, 4]]], np.uint16)
    assert decode_tiff16(one_strip(samples, t338=[0])).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    "entry", [{"t284": [2]}, {"t339": [3, 3, 3]}, {"t266": [2]}, {"t317": [3]}, {"t262": [5]}]
)
def test_other_kinds_are_left_to_pillow(entry):
    samples = np.zeros((1, 2, 3), np.uint16)
    data = samples.tobytes()
    entries = rgb(samples, t259=[1], t273=[0], t278=[1], t279=[len(data)]) | {
        int(tag.strip("t")): value for tag, value in entry.items()
    }
    assert decode_tiff16(tiff("<", entries, [data])) is None
    assert decode_tiff16(b"\x89PNG") is None


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4])))
    )
)
def test_what_is_written_is_a_tiff_to_pillow(samples):
    data = encoded(samples, {})
    if samples.dtype == np.uint16:
        assert np.array_equal(decode_tiff16(data), samples)
        samples = samples >> 8
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), samples)


def test_many_strips_and_tags_are_kept():
    samples = np.random.default_rng(0).integers(0, 256, (900, 300, 3)).astype(np.uint8)
    with Image.open(io.BytesIO(encoded(samples, {315: "Ada", 34665: {37510: b"x"}}))) as image:
        assert len(image.tag_v2[273]) > 1
        assert image.getexif()[315] == "Ada"
        assert np.array_equal(np.asarray(image), samples)


@pytest.mark.parametrize("rows", [1, 7, 299, 300])
def test_written_in_strips_it_is_the_same_file(rows):
    samples = np.random.default_rng(1).integers(0, 65536, (300, 200, 3)).astype(np.uint16)
    assert encoded(samples, {315: "Ada"}, rows) == encoded(samples, {315: "Ada"})


def test_more_than_tiff_holds_is_refused(monkeypatch):
    monkeypatch.setattr("velatura.imaging._tiff._LARGEST_FILE", 50_000)
    samples = np.random.default_rng(1).integers(0, 65536, (300, 200, 3)).astype(np.uint16)
    with pytest.raises(ImageError, match="larger than the 4 GiB that TIFF holds"):
        encoded(samples, {})
