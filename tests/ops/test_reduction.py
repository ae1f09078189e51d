import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.reduction import Reduction
from velatura.ops.resize import resize


def reduced(pixels, smaller, rows):
    reduction = Reduction((pixels.shape[1], pixels.shape[2]), smaller, channels=len(pixels))
    for strip in pixels.split(rows, dim=1):
        reduction.take(strip)
    return reduction.result


@settings(max_examples=60, deadline=None)
@given(
    # Of pictures one pixel wide, torch takes every row for the first.
    st.tuples(st.integers(2, 90), st.integers(2, 60)),
    st.tuples(st.floats(0.02, 1), st.floats(0.02, 1)),
    st.integers(1, 100),
)
def test_strips_give_what_the_whole_gives(size, part, rows):
    pixels = torch.rand((2, *size), generator=torch.Generator().manual_seed(0))
    smaller = tuple(max(2, round(edge * share)) for edge, share in zip(size, part, strict=True))
    assert_close(reduced(pixels, smaller, rows), resize(pixels[None], smaller)[0], atol=1e-5, rtol=0)


def test_a_plain_picture_stays_plain():
    assert_close(reduced(torch.full((3, 50, 40), 0.3), (7, 9), 8), torch.full((3, 7, 9), 0.3))


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_the_same_size_is_the_same_picture(rows):
    pixels = torch.rand(3, 40, 30)
    assert torch.equal(reduced(pixels, (40, 30), rows), pixels)
