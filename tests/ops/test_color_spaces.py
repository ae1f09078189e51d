"""CIELAB and YIQ from their definitions, and the way to a colour that a screen has."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.color import luma
from velatura.ops.color_spaces import LAB, YIQ, chroma_distance, lab_to_srgb, srgb_to_lab, towards

SPACES = pytest.mark.parametrize("space", [LAB, YIQ], ids=["lab", "yiq"])


def _pixel(*color):
    return torch.tensor(color, dtype=torch.float64).reshape(1, 3, 1, 1)


def _image(seed, size=(9, 11)):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("color", "lab"),
    # Lindbloom's calculator: sRGB, D65.
    [
        ((1, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 1, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 1), (32.2970, 79.1875, -107.8602)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((0.5, 0.5, 0.5), (53.3890, 0, 0)),
    ],
)
def test_lab_of_known_colours(color, lab):
    assert_close(srgb_to_lab(_pixel(*color)).flatten(), torch.tensor(lab).double(), rtol=0, atol=0.02)


def test_lab_of_a_pixel_by_the_standard_s_formulas():
    red, green, blue = 0.2, 0.5, 0.03
    linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in (red, green, blue)]
    rows = (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
    x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) / sum(row) for row in rows)
    f = [t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z)]
    expected = [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]
    assert srgb_to_lab(_pixel(red, green, blue)).flatten().tolist() == pytest.approx(expected, abs=1e-9)


def test_the_lightness_of_yiq_is_the_luma():
    image = _image(0)
    assert_close(YIQ.encode(image)[:, :1], luma(image))


@SPACES
@given(seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=20)
def test_there_and_back(space, seed):
    image = _image(seed)
    assert_close(space.decode(space.encode(image)), image, rtol=0, atol=1e-6)
    single = image.float()
    assert_close(space.decode(space.encode(single)), single, rtol=0, atol=1e-5)


def test_dark_colours_are_on_the_straight_part_of_the_curves():
    dark = _image(1) * 0.03
    assert_close(lab_to_srgb(srgb_to_lab(dark)), dark, rtol=0, atol=1e-7)


@SPACES
def test_grey_is_without_chroma_from_black_to_white(space):
    levels = torch.linspace(0, 1, 11, dtype=torch.float64).expand(1, 3, 1, 11)
    encoded = space.encode(levels)
    assert encoded[:, 1:].abs().max() < 1e-12
    assert encoded[0, 0, 0, [0, -1]].tolist() == pytest.approx([0, 1])
    assert_close(space.grey(encoded[:, :1]), levels, rtol=0, atol=1e-6)


def test_chroma_distance_by_hand():
    """A red and a grey pixel against grey: half of red's chroma."""
    red = torch.cat([_pixel(1, 0, 0), _pixel(0.5, 0.5, 0.5)], dim=3)
    grey = torch.full_like(red, 0.2)
    assert chroma_distance(red, grey).item() == pytest.approx((80.0925**2 + 67.2032**2) ** 0.5 / 2, rel=1e-3)


@SPACES
@given(seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=15)
def test_a_lightness_that_a_screen_has_not_gives_way_and_chroma_stays(space, seed):
    photo, other = space.encode(_image(seed)), space.encode(_image(seed + 1))
    wanted = torch.cat([other[:, :1], photo[:, 1:]], dim=1)
    found = towards(photo, wanted, space)
    assert found.min() >= 0
    assert found.max() <= 1
    back = space.encode(found)
    assert_close(back[:, 1:], photo[:, 1:], rtol=0, atol=2e-3)
    # No further than asked for, and not past the photograph's own.
    share = (back - photo)[:, 0] / (wanted - photo)[:, 0]
    assert share.min() > -1e-2
    assert share.max() < 1 + 1e-2


def test_towards_stops_where_the_screen_ends():
    """From grey straight to beyond red: red itself, to the precision of the halvings."""
    grey, beyond = YIQ.encode(_pixel(0.5, 0.5, 0.5)), YIQ.encode(_pixel(1.5, 0.25, 0.25))
    assert_close(towards(grey, beyond, YIQ), _pixel(1, 0.375, 0.375), rtol=0, atol=3e-4)


@SPACES
def test_what_a_screen_has_is_reached(space):
    photo, other = space.encode(_image(2)), _image(3)
    assert_close(towards(photo, space.encode(other), space), other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 4, 5)])
def test_what_has_not_three_channels_is_refused(shape):
    for function in (srgb_to_lab, lab_to_srgb):
        with pytest.raises(ValueError, match=r"expected pictures of shape \(B, 3, H, W\), not \("):
            function(torch.zeros(shape))
