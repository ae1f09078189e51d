import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture

LADDER = np.array(
    [[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[9, 9, 9], [80, 80, 80], [250, 250, 0]]], np.uint8
)


def save(path, image, **options):
    image.save(path, **options)
    return path


def percents(picture):
    return (picture.pixels.permute(1, 2, 0) * 100).round().int().tolist()


@pytest.mark.parametrize("suffix", ["bmp", "gif", "ico", "png", "ppm", "tga", "tif"])
def test_lossless_formats_read_exactly(tmp_path, suffix):
    image = Image.fromarray(LADDER.repeat(8, axis=0).repeat(8, axis=1))
    picture = read_picture(save(tmp_path / f"a.{suffix}", image, sizes=[(24, 16)]))
    assert np.array_equal(picture.to_array()[::8, ::8], LADDER)
    assert (picture.alpha, picture.icc, picture.name, picture.notes) == (None, None, "a", ())


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats_read_nearly(tmp_path, suffix):
    blocks = Image.fromarray(LADDER.repeat(16, axis=0).repeat(16, axis=1))
    picture = read_picture(save(tmp_path / f"a.{suffix}", blocks, quality=100))
    assert np.abs(picture.to_array()[8::16, 8::16].astype(int) - LADDER).max() < 12


def test_the_content_decides_not_the_name(tmp_path):
    save(tmp_path / "a.png", Image.fromarray(LADDER)).rename(tmp_path / "a.jpg")
    assert np.array_equal(read_picture(tmp_path / "a.jpg").to_array(), LADDER)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_orientation_is_applied_once(tmp_path, suffix, orientation):
    upright = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, np.ones((8, 8), np.uint8))
    # How a camera stores it (EXIF 2.32, orientation): rows and columns are counted from ...
    stored = {
        1: upright,
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.T,  # left, top
        6: upright.T[::-1],  # right, top
        7: upright.T[::-1, ::-1],  # right, bottom
        8: upright.T[:, ::-1],  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = "Ada"
    image = Image.fromarray(np.ascontiguousarray(stored))
    path = save(tmp_path / f"a.{suffix}", image, exif=exif, quality=95)
    picture = read_picture(path)
    assert np.abs(picture.to_array()[4::8, 4::8, 0].astype(int) - upright[4::8, 4::8]).max() < 12
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {0x013B: "Ada"}


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_turned_once(tmp_path, suffix):
    picture = Picture.of(np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 3000)
    exif = Image.Exif()
    exif[0x0112] = 8  # the first row is the left side, from below
    Picture(picture.pixels, exif=exif.tobytes()).save(tmp_path / f"a.{suffix}", bits=16)
    read = read_picture(tmp_path / f"a.{suffix}")
    assert read.pixels.equal(picture.pixels.rot90(1, (1, 2)))


def test_exif_keeps_who_when_and_camera_and_no_more(tmp_path):
    exif = Image.Exif()
    exif[0x0110] = "Box Brownie"  # Model
    exif[0x0131] = "Editor 3"  # Software
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0x927C: b"secret" * 50, 0xA002: 4000})
    exif.get_ifd(0x8825).update({1: "N", 2: (46.0, 3.0, 0.0)})  # the place
    read = read_picture(save(tmp_path / "a.jpg", Image.new("RGB", (8, 8)), exif=exif))
    kept = Image.Exif()
    kept.load(read.exif)
    assert kept[0x0110] == "Box Brownie"
    assert set(kept) == {0x0110, 0x8769}
    assert kept.get_ifd(0x8769) == {0x829D: 2.8}


def test_broken_exif_is_noted_and_the_picture_read(tmp_path):
    path = save(tmp_path / "a.webp", Image.new("RGB", (8, 8)), exif=b"Exif\0\0garbage!")
    picture = read_picture(path)
    assert picture.exif is None
    assert picture.notes[0].startswith("its EXIF is broken and was not kept")


def test_transparency_of_every_kind(tmp_path):
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


def test_alpha_that_hides_nothing_is_dropped(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGBA", (2, 2), (1, 2, 3, 255)))
    assert read_picture(path).alpha is None


def test_deep_grey_is_scaled_by_its_depth(tmp_path):
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


def test_a_wide_profile_becomes_srgb_and_is_kept(tmp_path, adobe_rgb):
    # Adobe RGB (144, 255, 60) is the green corner of sRGB; (128, 128, 128) is a little lighter there.
    colors = np.array([[[144, 255, 60], [128, 128, 128], [255, 255, 255]]], np.uint8)
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(colors), icc_profile=adobe_rgb))
    assert picture.icc == adobe_rgb
    expected = np.array([[[0, 255, 0], [129, 129, 129], [255, 255, 255]]])
    assert np.abs(picture.to_array().astype(int) - expected).max() <= 3
    deep = save_deep(tmp_path / "16.png", colors.astype(np.uint16) * 257, adobe_rgb)
    assert np.abs(read_picture(deep).to_array().astype(int) - expected).max() <= 3
    assert read_picture(deep).icc == adobe_rgb


def save_deep(path, samples, profile):
    height, width, channels = samples.shape
    header = struct.pack(">2I5B", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    parts = [(b"IHDR", header), (b"iCCP", b"x\0\0" + zlib.compress(profile))]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_an_srgb_profile_is_as_good_as_none(tmp_path):
    from velatura.imaging._icc import srgb_profile

    path = save(tmp_path / "a.png", Image.fromarray(LADDER), icc_profile=srgb_profile())
    assert read_picture(path).icc is None
    assert np.array_equal(read_picture(path).to_array(), LADDER)


def test_profiles_of_grey(tmp_path, linear_grey, adobe_rgb):
    image = Image.fromarray(np.array([[0, 55, 255]], np.uint8))
    picture = read_picture(save(tmp_path / "a.png", image, icc_profile=linear_grey))
    assert picture.to_array()[0, :, 0].tolist() == pytest.approx([0, 128, 255], abs=1)
    assert picture.icc == linear_grey
    deep = Image.fromarray(np.array([[0, 14027, 65535]], np.uint16))
    picture = read_picture(save(tmp_path / "b.png", deep, icc_profile=linear_grey))
    assert picture.pixels[0, 0].tolist() == pytest.approx([0, 0.5, 1], abs=1e-3)
    deep = save_deep(tmp_path / "d.png", np.array([[[14027, 300]]], np.uint16), linear_grey)
    picture = read_picture(deep)
    assert picture.pixels.flatten().tolist() == pytest.approx([0.5] * 3, abs=1e-3)
    assert float(picture.alpha) == pytest.approx(300 / 65535)
    # A grey photograph out of an RGB editor carries the editor's profile.
    alpha = Image.fromarray(np.array([[[128, 7]]], np.uint8))
    picture = read_picture(save(tmp_path / "c.png", alpha, icc_profile=adobe_rgb))
    assert picture.to_array().ravel().tolist() == pytest.approx([129] * 3, abs=1)
    assert float(picture.alpha) == pytest.approx(7 / 255)


def test_cmyk_with_and_without_its_profile(tmp_path, odd_cmyk):
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain = read_picture(save(tmp_path / "a.jpg", cyan, quality=100))
    assert plain.to_array()[8, 8].tolist() == pytest.approx([0, 255, 255], abs=3)
    assert plain.notes == ("CMYK without a usable colour profile: its colours are approximate",)
    for suffix in ("jpg", "tif"):
        path = save(tmp_path / f"b.{suffix}", cyan, quality=100, icc_profile=odd_cmyk)
        managed = read_picture(path)
        assert managed.to_array()[8, 8].tolist() == pytest.approx([145] * 3, abs=3)  # L* 60
        assert (managed.icc, managed.notes) == (odd_cmyk, ())


def test_lab_is_converted(tmp_path):
    # L*a*b* (53.24, 80.09, 67.20) under D65 is the red of sRGB; under D50, (54.29, 80.81, 69.89).
    lab = Image.new("LAB", (2, 2), (138, 128 + 81, 128 + 70))
    picture = read_picture(save(tmp_path / "a.tif", lab))
    assert picture.to_array()[0, 0].tolist() == pytest.approx([255, 0, 0], abs=6)


@pytest.mark.parametrize(
    ("mode", "profile", "note"),
    [
        ("RGB", "broken", "its colour profile was not used: it is broken"),
        ("RGB", "odd_cmyk", "its colour profile was not used: it is for CMYK, the pixels are RGB"),
        ("RGBA", "linear_grey", "its colour profile was not used: it is for GRAY, the pixels are RGB"),
        ("L", "odd_cmyk", "its colour profile was not used: it is for CMYK, the pixels are GRAY"),
        ("I;16", "odd_cmyk", "its colour profile was not used: it is for CMYK, the pixels are GRAY"),
        ("I;16", "broken", "its colour profile was not used: it is broken"),
    ],
)
def test_a_profile_that_does_not_fit_is_a_note(tmp_path, request, mode, profile, note):
    data = b"broken" * 40 if profile == "broken" else request.getfixturevalue(profile)
    picture = read_picture(save(tmp_path / "a.png", Image.new(mode, (2, 2)), icc_profile=data))
    assert picture.notes == (note,)
    assert picture.icc is None


def test_16_bits_in_color_are_all_read(tmp_path):
    samples = np.array([[[1, 2, 3], [65535, 300, 0]]], np.uint16)
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        Picture.of(samples).save(path, bits=16)
        picture = read_picture(path)
        assert (picture.pixels * 65535).round().permute(1, 2, 0).tolist() == samples.tolist()
        assert picture.notes == ()


def test_16_bits_that_are_cut_to_8_are_noted(tmp_path, monkeypatch, table_rgb):
    samples = np.full((2, 2, 3), 40000, np.uint16)
    path = save_deep(tmp_path / "tables.png", samples, table_rgb)
    assert read_picture(path).notes == ("read with 8 of its 16 bits: its colour profile is made of tables",)
    monkeypatch.setitem(__import__("velatura.imaging._decode", fromlist=["x"])._LARGEST_16_BIT, "TIFF", 3)
    Picture.of(samples).save(tmp_path / "large.tif", bits=16)
    assert read_picture(tmp_path / "large.tif").notes[0].startswith("read with 8 of its 16 bits: it has over")


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


def error_of(path, **options):
    with pytest.raises(ImageError) as caught:
        read_picture(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"cannot read {os.fspath(path)!r}: ")
    return line.removeprefix(f"cannot read {os.fspath(path)!r}: ")


def test_what_is_no_file_is_one_line(tmp_path):
    assert error_of(tmp_path / "none.png") == "there is no such file"
    assert error_of(tmp_path) == "it is a folder"
    (tmp_path / "empty.png").touch()
    assert error_of(tmp_path / "empty.png") == "the file is empty"
    os.mkfifo(tmp_path / "pipe")
    assert error_of(tmp_path / "pipe") == "it is no ordinary file"
    (tmp_path / "text.png").write_text("not a picture")
    assert error_of(tmp_path / "text.png").startswith("it is in no format that is read (AVIF, BMP,")
    assert error_of(tmp_path / "text.png" / "below") == "not a directory"
    assert error_of("nul\0byte.png") == "embedded null byte"
    assert error_of(tmp_path / ("x" * 300)) == "file name too long"


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.new("L", (2, 2)))

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # Root may read everything.
    assert error_of(path) == "permission denied"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "avif", "bmp", "ppm"])
def test_a_truncated_file_is_one_line(tmp_path, suffix, capfd):
    noise = Image.merge("RGB", [Image.effect_noise((64, 64), 60)] * 3)
    path = save(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    error_of(path)
    path.write_bytes(whole[:30])
    error_of(path)
    assert capfd.readouterr() == ("", "")


def test_libtiff_is_kept_from_standard_error(tmp_path, capfd):
    path = save(tmp_path / "a.tif", Image.linear_gradient("L"), compression="tiff_adobe_deflate")
    data = path.read_bytes()
    with Image.open(path) as image:
        strip = image.tag_v2[273][0]
    path.write_bytes(data[: strip + 2] + b"\xff" * 40 + data[strip + 42 :])
    error_of(path)
    os.write(2, b"still open")
    assert capfd.readouterr().err == "still open"


def test_limits_are_named(tmp_path):
    path = save(tmp_path / "a.png", Image.new("L", (30, 20)))
    assert error_of(path, max_pixels=599) == "it has 0.0006 megapixels, more than the limit of 0.000599"
    read_picture(path, max_pixels=600)
    webp = save(tmp_path / "a.webp", Image.new("L", (30, 20)))
    assert error_of(webp, max_pixels=600) == "it has 0.0006 megapixels, more than the limit of 0.00054"
    path.write_bytes(path.read_bytes() + bytes(2**20))
    assert error_of(path, max_bytes=2**20) == "the file has 1 MiB, more than the limit of 1 MiB"


def test_more_pixels_than_pillow_allows_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = save(tmp_path / "a.png", Image.new("L", (30, 20)))
    assert read_picture(path).width == 30
    assert Image.MAX_IMAGE_PIXELS == 100


def test_bombs_are_refused(tmp_path):
    def png(width, height, *chunks):
        header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

    flood = zlib.compress(bytes(20 * 2**20), 9)
    path = tmp_path / "bomb"
    path.write_bytes(png(100_000, 100_000))
    assert error_of(path) == "it has 10000 megapixels, more than the limit of 110"
    path.write_bytes(png(2, 2, chunk(b"zTXt", b"x\0\0" + flood)))
    assert error_of(path) == "its text unpacks to more than the limit of 1 MiB"
    path.write_bytes(png(2, 2, chunk(b"iCCP", b"x\0\0" + flood)))
    assert error_of(path) == "its text unpacks to more than the limit of 1 MiB"
    path.write_bytes(
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b",\0\0\0\0\xff\xff\xff\xff\0\2\0;"
    )
    assert error_of(path) == "it has 4294.84 megapixels, more than the limit of 110"


def test_a_tiff_of_one_pixel_in_a_giant_tile_is_refused(tmp_path):
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 1}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4))
    assert error_of(tmp_path / "a.tif") == "in a tile, it has 3600 megapixels, more than the limit of 110"


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    file = io.BytesIO()
    Image.new("L", (64, 64), 90).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(data[:-2] + data[last:-2] * 100 + data[-2:])
    assert error_of(tmp_path / "a.jpg") == "it has 65 scans, more than the limit of 64"


def test_too_little_memory_is_one_line(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.new("L", (2, 2)))

    def fail(self):
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    assert error_of(path) == "there is not enough memory"


def test_a_warning_becomes_a_note(tmp_path):
    exif = Image.Exif()
    exif[0x013B] = "A name longer than four letters"
    data = exif.tobytes()[:-12]
    path = save(tmp_path / "a.jpg", Image.new("L", (8, 8)), exif=data)
    assert read_picture(path).notes == ("Truncated File Read",)


def test_what_a_terminal_would_obey_is_not_quoted(tmp_path, adobe_rgb):
    evil = adobe_rgb[:16] + b"\x1b[2J" + adobe_rgb[20:]
    path = save(tmp_path / "a.png", Image.new("RGB", (2, 2)), icc_profile=evil)
    assert read_picture(path).notes == ("its colour profile was not used: it is for [2J, the pixels are RGB",)
    (tmp_path / "\x1b[2J\n.png").write_text("x")
    with pytest.raises(ImageError, match=r"cannot read '.*\\x1b\[2J\\n.png'"):
        read_picture(tmp_path / "\x1b[2J\n.png")


def test_threads_read_at_once_and_leave_the_filters_as_they_were(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(LADDER))
    before, read = warnings.filters[:], []
    threads = [threading.Thread(target=lambda: read.append(read_picture(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [np.array_equal(picture.to_array(), LADDER) for picture in read] == [True] * 8
    assert warnings.filters == before
