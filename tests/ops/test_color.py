"""Luma and the chroma histogram: worked examples from their definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.color import chroma_histogram, luma


def _flat(*color):
    return torch.tensor(color, dtype=torch.float64).reshape(1, 3, 1, 1).expand(1, 3, 4, 5)


def test_luma_of_the_primaries():
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])[:, :, None, None]
    assert_close(luma(colors).flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0]))


def test_luma_keeps_sample_and_position():
    image = torch.rand(2, 3, 4, 5)
    found = luma(image)
    assert found.shape == (2, 1, 4, 5)
    red, green, blue = image[1, :, 2, 3].tolist()
    assert found[1, 0, 2, 3].item() == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue)


def test_a_histogram_of_one_pixel_by_the_papers_loop():
    """Afifi et al. 2021: log-chroma, inverse-quadratic kernel, weight by intensity, sum of 1."""
    red, green, blue = 0.8, 0.4, 0.1
    bins, width = 5, 0.7
    centres = [-3, -1.5, 0, 1.5, 3]
    expected = torch.zeros(3, bins, bins, dtype=torch.float64)
    for plane, (c, u, v) in enumerate(((red, green, blue), (green, red, blue), (blue, red, green))):
        for i, at_u in enumerate(centres):
            for j, at_v in enumerate(centres):
                near_u = 1 / (1 + (abs(math.log(c / u) - at_u) / width) ** 2)
                near_v = 1 / (1 + (abs(math.log(c / v) - at_v) / width) ** 2)
                expected[plane, i, j] = near_u * near_v
    found = chroma_histogram(_flat(red, green, blue), bins=bins, width=width)
    assert_close(found[0], expected / expected.sum(), rtol=1e-4, atol=1e-6)


def test_bright_pixels_count_more():
    """A red and a blue pixel, the blue one half as bright: two thirds and one third of the weight."""
    image = torch.tensor([[0.9, 0.0], [0.0, 0.0], [0.0, 0.45]], dtype=torch.float64).reshape(1, 3, 1, 2)
    red, blue = (chroma_histogram(image[..., k : k + 1], bins=16, width=0.5) for k in (0, 1))
    totals = []
    for k in (0, 1):
        pixel = image[..., k : k + 1]
        scaled = chroma_histogram(torch.cat([pixel, pixel], dim=3), bins=16, width=0.5)
        totals.append(scaled)
    assert_close(totals[0], red)
    both = chroma_histogram(image, bins=16, width=0.5)
    share = ((both - blue) * (red - blue)).sum() / (red - blue).square().sum()
    assert_close(both, share * red + (1 - share) * blue)
    assert 0.5 < share.item() < 0.9


def test_brightness_alone_does_not_matter():
    assert_close(
        chroma_histogram(_flat(0.8, 0.4, 0.2)), chroma_histogram(_flat(0.4, 0.2, 0.1)), rtol=1e-2, atol=1e-6
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_histogram_sums_to_one_and_forgets_where_pixels_are(seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    shuffled = image.flatten(2)[..., torch.randperm(30, generator=generator)].reshape(2, 3, 6, 5)
    found = chroma_histogram(image, bins=9, width=0.3)
    assert found.min() >= 0
    assert_close(found.sum(dim=(1, 2, 3)), torch.ones(2, dtype=torch.float64))
    assert_close(chroma_histogram(shuffled, bins=9, width=0.3), found)


def test_a_black_picture_has_an_empty_histogram():
    assert_close(chroma_histogram(_flat(0, 0, 0)).sum().item(), 0.0)


@pytest.mark.parametrize("function", [luma, chroma_histogram])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 4, 5)])
def test_what_has_not_three_channels_is_refused(function, shape):
    with pytest.raises(ValueError, match=r"expected pictures of shape \(B, 3, H, W\), not \("):
        function(torch.zeros(shape))
