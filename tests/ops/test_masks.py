"""Shares, soft edges and windows, against loops over the pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.masks import box_means, feathered, greatest_seen, least_seen, nearest_colors, shares

WINDOWS = [(0, 1, 1, 9), (-3, 2, 7, 5), (-7, 4, 18, 3), (0, 2, 3, 4), (-1, 1, 3, 9), (2, 3, 2, 3)]


def loop(mask, size, first, step, length, of):
    """What ``of`` makes of the pixels of each window that are inside the frame."""
    height, width = mask.shape
    out = torch.empty(size)
    for row in range(size[0]):
        for column in range(size[1]):
            down = [y for y in range(first + row * step, first + row * step + length) if 0 <= y < height]
            across = [
                x for x in range(first + column * step, first + column * step + length) if 0 <= x < width
            ]
            out[row, column] = of(torch.stack([mask[y, x] for y in down for x in across]))
    return out


@pytest.mark.parametrize(("first", "step", "length", "count"), WINDOWS)
@pytest.mark.parametrize(
    ("function", "of"), [(box_means, torch.mean), (least_seen, torch.min), (greatest_seen, torch.max)]
)
def test_windows_are_what_a_loop_finds(function, of, first, step, length, count):
    masks = torch.rand(2, 11, 9, generator=torch.Generator().manual_seed(3))
    size = (count, min(count, (9 - first - 1) // step + 1))
    found = function(masks, size, first=first, step=step, length=length)
    assert found.shape == (2, *size)
    for number in range(2):
        assert_close(found[number], loop(masks[number], size, first, step, length, of))


@given(st.integers(1, 4), st.integers(0, 2**31))
@settings(deadline=None, max_examples=25)
def test_shares_are_parts_of_a_whole(count, seed):
    masks = torch.rand(count, 5, 4, generator=torch.Generator().manual_seed(seed))
    parts = shares(masks)
    total = masks.sum(dim=0)
    assert bool((parts >= 0).all())
    assert_close(parts.sum(dim=0), total.clamp(max=1))
    # Each keeps its proportion to the others.
    assert_close(parts * total, masks * total.clamp(max=1))


def test_what_is_kept_is_nobodys():
    kept = torch.tensor([[[1.0, 0.25], [0.0, 0.0]]])
    masks = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.5]]])
    expected = torch.tensor([[[0, 0.375], [1, 0]], [[0, 0.375], [0, 0.5]]])
    assert_close(shares(masks, kept=kept), expected)


def test_a_feathered_edge_is_the_gaussians_integral():
    mask = torch.zeros(1, 3, 81)
    mask[..., 40:] = 1
    soft = feathered(mask, 8)
    assert_close(soft[0, 0], soft[0, 2])
    # The edge lies between pixels 39 and 40; two deviations are 8 pixels.
    expected = [0.5 * (1 + math.erf((column - 39.5) / 4 / math.sqrt(2))) for column in range(81)]
    assert_close(soft[0, 1], torch.tensor(expected), atol=4e-3, rtol=0)


def test_nothing_is_feathered_by_nothing_and_a_frame_stays_full():
    masks = torch.rand(2, 6, 7)
    assert torch.equal(feathered(masks, 0), masks)
    assert_close(feathered(torch.ones(1, 9, 5), 12), torch.ones(1, 9, 5))


def test_the_nearest_colour_is_found_whatever_a_jpeg_did():
    palette = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [1.0, 1.0, 0]])
    picture = torch.tensor([[[0.9, 0.1, 0.8]], [[0.1, 0.05, 0.9]], [[0.1, 0.8, 0.2]]])
    assert nearest_colors(picture, palette).tolist() == [[0, 1, 2]]
