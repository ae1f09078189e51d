"""Resizing: sizes of the same aspect, and pictures without patterns."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.resize import fit, resize, same_aspect


@pytest.mark.parametrize(
    ("size", "long_edge", "expected"),
    [
        ((768, 1024), 512, (384, 512)),
        ((1024, 768), 512, (512, 384)),
        ((100, 100), 33, (33, 33)),
        ((3, 4), 512, (384, 512)),
        ((1, 5000), 100, (1, 100)),  # 0.02 rows
        ((333, 1000), 100, (33, 100)),
    ],
)
def test_sizes_by_hand(size, long_edge, expected):
    assert fit(*size, long_edge) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 20_000))
def test_the_longer_edge_is_the_one_asked_for(height, width, long_edge):
    fitted = fit(height, width, long_edge)
    assert max(fitted) == long_edge
    assert min(fitted) >= 1
    assert (fitted[0] >= fitted[1]) == (height >= width) or fitted[0] == fitted[1]
    exact = min(height, width) / max(height, width) * long_edge
    assert abs(min(fitted) - exact) <= 0.5 + 1e-6 or min(fitted) == 1


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_fitting_to_its_own_edge_changes_nothing(height, width):
    assert fit(height, width, max(height, width)) == (height, width)


@pytest.mark.parametrize("size", [(7, 9), (20, 31), (3, 40), (1, 1)])
def test_a_flat_picture_stays_flat(size):
    flat = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(2, 3, 12, 15)
    assert_close(resize(flat, size), flat[:, :, :1, :1].expand(2, 3, *size))


def test_the_same_size_is_a_copy():
    image = torch.rand(1, 3, 5, 6)
    copy = resize(image, (5, 6))
    assert_close(copy, image, rtol=0, atol=0)
    copy.zero_()
    assert image.max() > 0


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_halving_a_checkerboard_leaves_its_mean(memory_format):
    """Without the low-pass it would alias to black or white."""
    rows, columns = torch.arange(32)[:, None], torch.arange(32)[None]
    board = ((rows + columns) % 2).float().expand(1, 3, 32, 32).contiguous(memory_format=memory_format)
    halved = resize(board, (16, 16))
    assert_close(halved[..., 2:-2, 2:-2], torch.full((1, 3, 12, 12), 0.5), rtol=0, atol=0.02)


def test_a_ramp_stays_a_ramp():
    """Pixel centres of the two sizes fall on the same line; a cubic kernel reproduces it."""
    ramp = (torch.arange(24.0) + 0.5) / 24
    larger = resize(ramp.expand(1, 1, 24, 24), (24, 48))
    expected = (torch.arange(48.0) + 0.5) / 48
    assert_close(larger[0, 0, 0, 6:-6], expected[6:-6], rtol=0, atol=1e-5)


def test_an_edge_overshoots():
    step = torch.cat([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)], dim=3)
    larger = resize(step, (8, 48))
    assert larger.max() > 1.01
    assert larger.min() < -0.01


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((300, 400), (150, 200), True),
        ((300, 400), (75, 99), True),
        ((300, 400), (400, 300), False),
        ((100, 100), (100, 103), False),
        ((1, 5000), (1, 2500), False),
    ],
)
def test_the_same_aspect_but_for_whole_pixels(one, other, expected):
    assert same_aspect(one, other) == same_aspect(other, one) == expected
