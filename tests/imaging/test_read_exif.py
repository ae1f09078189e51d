"""Reading: what a camera wrote beside the pixels."""

import numpy as np
import pytest
from PIL import Image

from velatura.imaging import Picture, read_picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_orientation_is_applied_once(tmp_path, suffix, orientation, save):
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


def test_exif_keeps_who_when_and_camera_and_no_more(tmp_path, save):
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


def test_broken_exif_is_noted_and_the_picture_read(tmp_path, save):
    path = save(tmp_path / "a.webp", Image.new("RGB", (8, 8)), exif=b"Exif\0\0garbage!")
    picture = read_picture(path)
    assert picture.exif is None
    assert picture.notes[0].startswith("its EXIF is broken and was not kept")


def test_a_warning_becomes_a_note(tmp_path, save):
    exif = Image.Exif()
    exif[0x013B] = "A name longer than four letters"
    data = exif.tobytes()[:-12]
    path = save(tmp_path / "a.jpg", Image.new("L", (8, 8)), exif=data)
    assert read_picture(path).notes == ("Truncated File Read",)
