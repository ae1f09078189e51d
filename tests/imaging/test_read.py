"""Reading: every format, depth and kind of transparency."""

import struct
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from velatura.imaging import Picture, read_picture

LADDER = np.array(
    [[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[9, 9, 9], [80, 80, 80], [250, 250, 0]]], np.uint8
)


def percents(picture):
    return (picture.pixels.permute(1, 2, 0) * 100).round().int().tolist()


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ico", "png", "ppm", "tga", "tif"])
def test_lossless_formats_read_exactly(tmp_path, suffix, save):
    image = Image.fromarray(LADDER.repeat(8, axis=0).repeat(8, axis=1))
    picture = read_picture(save(tmp_path / f"a.{suffix}", image, sizes=[(24, 16)]))
    assert np.array_equal(picture.to_array()[::8, ::8], LADDER)
    assert (picture.alpha, picture.icc, picture.name, picture.notes) == (None, None, "a", ())


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats_read_nearly(tmp_path, suffix, save):
    blocks = Image.fromarray(LADDER.repeat(16, axis=0).repeat(16, axis=1))
    picture = read_picture(save(tmp_path / f"a.{suffix}", blocks, quality=100))
    assert np.abs(picture.to_array()[8::16, 8::16].astype(int) - LADDER).max() < 12


def test_the_content_decides_not_the_name(tmp_path, save):
    save(tmp_path / "a.png", Image.fromarray(LADDER)).rename(tmp_path / "a.jpg")
    assert np.array_equal(read_picture(tmp_path / "a.jpg").to_array(), LADDER)


def test_transparency_of_every_kind(tmp_path, save):
    grey = save(tmp_path / "l.png", Image.fromarray(np.array([[7, 9]], np.uint8)), transparency=7)
    deep = save(tmp_path / "i.png", Image.fromarray(np.array([[7, 900]], np.uint16)), transparency=900)
    color = save(tmp_path / "rgb.png", Image.fromarray(LADDER), transparency=(9, 9, 9))
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    one = save(tmp_path / "p.gif", palette, transparency=1)
    each = save(tmp_path / "p.png", palette, transparency=bytes([51, 255]))
    assert read_picture(grey).alpha.tolist() == [[[0.0, 1.0]]]
    assert read_picture(deep).alpha.tolist() == [[[1.0, 0.0]]]
    assert read_picture(color).alpha.tolist() == [[[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]
    assert read_picture(one).alpha.tolist() == [[[1.0, 0.0]]]
    assert read_picture(each).alpha[0, 0].tolist() == pytest.approx([0.2, 1.0])
    assert percents(read_picture(each)) == [[[100, 0, 0], [0, 100, 0]]]


def test_alpha_that_hides_nothing_is_dropped(tmp_path, save):
    path = save(tmp_path / "a.png", Image.new("RGBA", (2, 2), (1, 2, 3, 255)))
    assert read_picture(path).alpha is None


def test_deep_grey_is_scaled_by_its_depth(tmp_path, save):
    half = save(tmp_path / "16.tif", Image.fromarray(np.array([[32768, 65535]], np.uint16)))
    assert percents(read_picture(half)) == [[[50] * 3, [100] * 3]]
    wide = save(tmp_path / "32.tif", Image.fromarray(np.array([[0, 100_000]], np.int32)))
    assert percents(read_picture(wide)) == [[[0] * 3, [100] * 3]]
    assert read_picture(wide).notes == ("its values from 0 to 100000 were scaled to [0, 1]",)
    floats = save(tmp_path / "f.tif", Image.fromarray(np.array([[0.25, 0.5]], np.float32)))
    assert percents(read_picture(floats)) == [[[25] * 3, [50] * 3]]


def test_12_bits_and_signed_16_bits_have_their_own_white(tmp_path):
    def tiff(bits, kind, data):
        tags = {
            256: 2,
            257: 1,
            258: bits,
            259: 1,
            262: 1,
            273: 134,
            277: 1,
            278: 1,
            279: len(data),
            339: kind,
        }
        table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        return (b"II*\0" + struct.pack("<IH", 8, 10) + table + bytes(4)).ljust(134, b"\0") + data

    (tmp_path / "12.tif").write_bytes(tiff(12, 1, bytes.fromhex("fff333")))
    assert percents(read_picture(tmp_path / "12.tif")) == [[[100] * 3, [20] * 3]]
    (tmp_path / "s.tif").write_bytes(tiff(16, 2, struct.pack("<2h", 32767, 6553)))
    assert percents(read_picture(tmp_path / "s.tif")) == [[[100] * 3, [20] * 3]]


def test_16_bits_in_color_are_all_read(tmp_path):
    samples = np.array([[[1, 2, 3], [65535, 300, 0]]], np.uint16)
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        Picture.of(samples).save(path, bits=16)
        picture = read_picture(path)
        assert (picture.pixels * 65535).round().permute(1, 2, 0).tolist() == samples.tolist()
        assert picture.notes == ()


@pytest.mark.parametrize(
    ("suffix", "note"),
    [
        ("gif", "only the first of its frames was read"),
        ("tif", "only the first of its frames was read"),
        ("png", "only the first of its 3 frames was read"),
        ("webp", "only the first of its 3 frames was read"),
        ("avif", "only the first of its 3 frames was read"),
    ],
)
def test_of_several_frames_the_first_is_read_and_that_is_said(tmp_path, suffix, note):
    frames = [Image.new("RGB", (16, 16), color) for color in ("#c86432", "#32c864", "#6432c8")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    picture = read_picture(path)
    assert picture.notes == (note,)
    assert picture.to_array()[8, 8].tolist() == pytest.approx([200, 100, 50], abs=5)


def test_threads_read_at_once_and_leave_the_filters_as_they_were(tmp_path, save):
    path = save(tmp_path / "a.png", Image.fromarray(LADDER))
    before, read = warnings.filters[:], []
    threads = [threading.Thread(target=lambda: read.append(read_picture(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [np.array_equal(picture.to_array(), LADDER) for picture in read] == [True] * 8
    assert warnings.filters == before
