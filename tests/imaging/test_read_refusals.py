"""Reading: what is refused, in one line."""

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from velatura.core.errors import ImageError
from velatura.imaging import read_picture


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


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch, save):
    path = save(tmp_path / "a.png", Image.new("L", (2, 2)))

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # Root may read everything.
    assert error_of(path) == "permission denied"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "avif", "bmp", "ppm"])
def test_a_truncated_file_is_one_line(tmp_path, suffix, capfd, save):
    noise = Image.merge("RGB", [Image.effect_noise((64, 64), 60)] * 3)
    path = save(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    error_of(path)
    path.write_bytes(whole[:30])
    error_of(path)
    assert capfd.readouterr() == ("", "")


def test_libtiff_is_kept_from_standard_error(tmp_path, capfd, save):
    path = save(tmp_path / "a.tif", Image.linear_gradient("L"), compression="tiff_adobe_deflate")
    data = path.read_bytes()
    with Image.open(path) as image:
        strip = image.tag_v2[273][0]
    path.write_bytes(data[: strip + 2] + b"\xff" * 40 + data[strip + 42 :])
    error_of(path)
    os.write(2, b"still open")
    assert capfd.readouterr().err == "still open"


def test_limits_are_named(tmp_path, save):
    path = save(tmp_path / "a.png", Image.new("L", (30, 20)))
    assert error_of(path, max_pixels=599) == "it has 0.0006 megapixels, more than the limit of 0.000599"
    read_picture(path, max_pixels=600)
    webp = save(tmp_path / "a.webp", Image.new("L", (30, 20)))
    assert error_of(webp, max_pixels=600) == "it has 0.0006 megapixels, more than the limit of 0.00054"
    path.write_bytes(path.read_bytes() + bytes(2**20))
    assert error_of(path, max_bytes=2**20) == "the file has 1 MiB, more than the limit of 1 MiB"


def test_more_pixels_than_pillow_allows_can_be_asked_for(tmp_path, monkeypatch, save):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = save(tmp_path / "a.png", Image.new("L", (30, 20)))
    assert read_picture(path).width == 30
    assert Image.MAX_IMAGE_PIXELS == 100


def test_bombs_are_refused(tmp_path, chunk):
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


def test_too_little_memory_is_one_line(tmp_path, monkeypatch, save):
    path = save(tmp_path / "a.png", Image.new("L", (2, 2)))

    def fail(self):
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    assert error_of(path) == "there is not enough memory"
