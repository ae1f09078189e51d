import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.testing import assert_close

from velatura.imaging import _icc

# The corners of sRGB in Adobe RGB (1998), which many tables list.
SRGB_IN_ADOBE = {(255, 0, 0): (219, 0, 0), (0, 255, 0): (144, 255, 60), (0, 0, 255): (0, 0, 250)}


def pixel(color, full=255):
    return torch.tensor(color, dtype=torch.float32)[:, None, None] / full


@pytest.mark.parametrize(("srgb", "adobe"), SRGB_IN_ADOBE.items())
def test_the_corners_of_srgb_in_adobe_rgb(adobe_rgb, srgb, adobe):
    shaper = _icc.Shaper.of(adobe_rgb)
    # Both curves are steep at zero: the last digit of a matrix moves a dark channel by a step.
    assert_close(shaper.from_srgb(pixel(srgb)) * 255, pixel(adobe) * 255, atol=1.5, rtol=0)
    there = pixel(adobe)
    shaper.to_srgb(there)
    assert_close(there * 255, pixel(srgb) * 255, atol=4.0, rtol=0)


def test_a_grey_curve_by_hand(linear_grey):
    pixels = torch.tensor([0.0, 0.21404, 1.0]).expand(3, 1, 3).clone()
    _icc.Shaper.of(linear_grey).to_srgb(pixels)
    assert_close(pixels[0, 0], torch.tensor([0.0, 0.5, 1.0]), atol=1e-4, rtol=0)


def parametric(kind, *numbers):
    body = struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + body


@pytest.mark.parametrize(
    "curve",
    [
        parametric(0, 2.2),
        parametric(1, 2.4, 1.1, -0.1),
        parametric(2, 2.0, 0.9, 0.1, -0.01),
        parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
        parametric(4, 2.0, 0.9, 0.1, 0.442, 0.2, 0.01, 0.0),
        b"curv\0\0\0\0" + struct.pack(">I", 0),
        b"curv\0\0\0\0" + struct.pack(">I9H", 9, *(round(65535 * (i / 8) ** 2) for i in range(9))),
    ],
    ids=["para0", "para1", "para2", "para3", "para4", "identity", "table"],
)
def test_every_kind_of_curve_agrees_with_littlecms(matrix_profile, curve):
    profile = matrix_profile(curve)
    colors = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    expected = np.asarray(_icc.to_srgb(Image.fromarray(colors), profile)).astype(float)
    pixels = torch.from_numpy(colors).permute(2, 0, 1).float() / 255
    _icc.Shaper.of(profile).to_srgb(pixels)
    assert np.abs(pixels.permute(1, 2, 0).numpy() * 255 - expected).max() < 1.6


@given(st.lists(st.integers(0, 65535), min_size=3, max_size=3))
def test_there_and_back_keeps_every_srgb_color(adobe_rgb, color):
    shaper = _icc.Shaper.of(adobe_rgb)
    pixels = shaper.from_srgb(pixel(color, 65535))
    shaper.to_srgb(pixels)
    assert_close(pixels * 255, pixel(color, 65535) * 255, atol=0.2, rtol=0)


def test_srgb_is_known_by_what_it_does(adobe_rgb):
    assert _icc.is_srgb(_icc.srgb_profile())
    assert not _icc.is_srgb(adobe_rgb)


def test_the_srgb_profile_has_no_date_of_today():
    assert _icc.srgb_profile()[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def test_tables_are_left_to_littlecms(table_rgb, odd_cmyk):
    assert _icc.Shaper.of(table_rgb) is None
    assert _icc.Shaper.of(odd_cmyk) is None
    white, cyan = (_icc.to_srgb(Image.new("CMYK", (1, 1), ink), odd_cmyk) for ink in (0, (255, 0, 0, 0)))
    assert white.getpixel((0, 0)) == (255, 255, 255)
    assert cyan.getpixel((0, 0)) == pytest.approx((145, 145, 145), abs=1)  # L* 60


@pytest.mark.parametrize("length", [0, 10, 128, 131, 140, 200])
def test_a_cut_profile_is_broken(adobe_rgb, length):
    with pytest.raises(ValueError, match="it is broken"):
        _icc.color_space(adobe_rgb[:length])


@pytest.mark.parametrize(
    "curve",
    [b"curv\0\0\0\0\0\0\xff\xff\0\0", b"none\0\0\0\0", parametric(5), parametric(1, 2.2, 0.0, 0.1)],
)
def test_a_broken_curve_is_an_error(matrix_profile, curve):
    with pytest.raises(ValueError, match="it is broken"):
        _icc.Shaper.of(matrix_profile(curve))


def test_primaries_in_one_plane_are_an_error(matrix_profile):
    with pytest.raises(ValueError, match="it is broken"):
        _icc.Shaper.of(matrix_profile(parametric(0, 2.2), [(0.3, 0.3, 0.3)] * 3))
