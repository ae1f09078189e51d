"""Reading: colours of any profile become sRGB."""

import numpy as np
import pytest
from PIL import Image

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture
from velatura.imaging._icc import srgb_profile


def test_a_wide_profile_becomes_srgb_and_is_kept(tmp_path, adobe_rgb, save_deep, save):
    # Adobe RGB (144, 255, 60) is the green corner of sRGB; (128, 128, 128) is a little lighter there.
    colors = np.array([[[144, 255, 60], [128, 128, 128], [255, 255, 255]]], np.uint8)
    picture = read_picture(save(tmp_path / "a.png", Image.fromarray(colors), icc_profile=adobe_rgb))
    assert picture.icc == adobe_rgb
    expected = np.array([[[0, 255, 0], [129, 129, 129], [255, 255, 255]]])
    assert np.abs(picture.to_array().astype(int) - expected).max() <= 3
    deep = save_deep(tmp_path / "16.png", colors.astype(np.uint16) * 257, adobe_rgb)
    assert np.abs(read_picture(deep).to_array().astype(int) - expected).max() <= 3
    assert read_picture(deep).icc == adobe_rgb


def test_an_srgb_profile_is_as_good_as_none(tmp_path, save):
    colors = np.array([[[250, 0, 0], [0, 250, 0], [80, 80, 80]]], np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(colors), icc_profile=srgb_profile())
    assert read_picture(path).icc is None
    assert np.array_equal(read_picture(path).to_array(), colors)


def test_profiles_of_grey(tmp_path, linear_grey, adobe_rgb, save_deep, save):
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


def test_cmyk_with_and_without_its_profile(tmp_path, odd_cmyk, save):
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain = read_picture(save(tmp_path / "a.jpg", cyan, quality=100))
    assert plain.to_array()[8, 8].tolist() == pytest.approx([0, 255, 255], abs=3)
    assert plain.notes == ("CMYK without a usable colour profile: its colours are approximate",)
    for suffix in ("jpg", "tif"):
        path = save(tmp_path / f"b.{suffix}", cyan, quality=100, icc_profile=odd_cmyk)
        managed = read_picture(path)
        assert managed.to_array()[8, 8].tolist() == pytest.approx([145] * 3, abs=3)  # L* 60
        assert (managed.icc, managed.notes) == (odd_cmyk, ())


def test_lab_is_converted(tmp_path, save):
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
def test_a_profile_that_does_not_fit_is_a_note(tmp_path, request, mode, profile, note, save):
    data = b"broken" * 40 if profile == "broken" else request.getfixturevalue(profile)
    picture = read_picture(save(tmp_path / "a.png", Image.new(mode, (2, 2)), icc_profile=data))
    assert picture.notes == (note,)
    assert picture.icc is None


def test_what_a_terminal_would_obey_is_not_quoted(tmp_path, adobe_rgb, save):
    evil = adobe_rgb[:16] + b"\x1b[2J" + adobe_rgb[20:]
    path = save(tmp_path / "a.png", Image.new("RGB", (2, 2)), icc_profile=evil)
    assert read_picture(path).notes == ("its colour profile was not used: it is for [2J, the pixels are RGB",)
    (tmp_path / "\x1b[2J\n.png").write_text("x")
    with pytest.raises(ImageError, match=r"cannot read '.*\\x1b\[2J\\n.png'"):
        read_picture(tmp_path / "\x1b[2J\n.png")


def test_16_bits_that_are_cut_to_8_are_noted(tmp_path, monkeypatch, table_rgb, save_deep):
    samples = np.full((2, 2, 3), 40000, np.uint16)
    path = save_deep(tmp_path / "tables.png", samples, table_rgb)
    assert read_picture(path).notes == ("read with 8 of its 16 bits: its colour profile is made of tables",)
    monkeypatch.setitem(__import__("velatura.imaging._decode", fromlist=["x"])._LARGEST_16_BIT, "TIFF", 3)
    Picture.of(samples).save(tmp_path / "large.tif", bits=16)
    assert read_picture(tmp_path / "large.tif").notes[0].startswith("read with 8 of its 16 bits: it has over")
