"""Pixels an inch: read, kept, written in every format."""

import errno
import struct
import zlib

import pytest
import torch
from PIL import Image

from velatura.core.errors import ImageError, OutputError
from velatura.imaging import WRITABLE, Picture, read_picture, write_picture

PIXELS = torch.linspace(0, 1, 3 * 4 * 5).reshape(3, 4, 5)


@pytest.mark.parametrize("suffix", sorted(set(WRITABLE) - {".jpeg", ".tif"}))
@pytest.mark.parametrize("dpi", [72.0, 300.0, None])
def test_round_trip(tmp_path, suffix, dpi):
    write_picture(Picture(PIXELS, dpi=dpi), tmp_path / f"a{suffix}")
    # A TIFF has to say something, and says 72.
    expected = 72.0 if dpi is None and suffix == ".tiff" else dpi
    assert read_picture(tmp_path / f"a{suffix}").dpi == expected


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_round_trip_of_sixteen_bits_and_of_parts(tmp_path, suffix):
    write_picture(Picture(PIXELS, dpi=299.5), tmp_path / f"a{suffix}", bits=16)
    assert read_picture(tmp_path / f"a{suffix}").dpi == pytest.approx(299.5, abs=0.02)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_as_pillow_reads_it(tmp_path, suffix):
    write_picture(Picture(PIXELS, dpi=240.0), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.info["dpi"] == pytest.approx((240, 240), abs=0.02)


def test_exif_of_the_camera_stays_beside_it(tmp_path):
    exif = Image.Exif()
    exif[315] = "Ada"
    picture = Picture(PIXELS, dpi=300.0, exif=exif.tobytes())
    write_picture(picture, tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as image:
        assert image.getexif()[315] == "Ada"
        assert image.getexif()[282] == 300


def test_what_cannot_be_is_not_taken(tmp_path):
    """The specification of PNG: 0 pixels a metre is a number that a file may hold."""
    write_picture(Picture(PIXELS), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"pHYs" + struct.pack(">IIB", 0, 0, 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    assert read_picture(tmp_path / "a.png").dpi is None


def test_a_picture_refuses_what_cannot_be():
    with pytest.raises(ImageError, match="pixels an inch above 0, got -1"):
        Picture(PIXELS, dpi=-1.0)


@pytest.mark.parametrize(("name", "bits"), [("a.png", 16), ("a.tiff", 8), ("a.tiff", 16), ("a.jpg", 8)])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, name, bits):
    (tmp_path / name).write_bytes(b"before")
    taken = 0

    def write(file, data):
        nonlocal taken
        taken += len(data)
        if taken > 2000:
            raise OSError(errno.ENOSPC, "No space left on device")

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            write(self.file, data)
            return self.file.write(data)

        def __getattr__(self, attribute):
            return getattr(self.file, attribute)

    from pathlib import Path

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r", **rest: Full(opened(self, mode, **rest)))
    pixels = torch.rand((3, 300, 300), generator=torch.Generator().manual_seed(0))
    with pytest.raises(OutputError, match="the disk is full"):
        write_picture(Picture(pixels), tmp_path / name, bits=bits)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"before"
