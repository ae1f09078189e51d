"""Diversity: Ulyanov et al. 2017, by hand and by the paper's double loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.diversity import Diversity

TINY = Diversity(epsilon=1e-12)


def _pictures(*values):
    """One pixel of one channel a number; a list is a row of pixels."""
    rows = [value if isinstance(value, list) else [value] for value in values]
    return torch.tensor(rows).double()[:, None, None]


def test_diversity_of_a_worked_example():
    """0, 3 and 10: the nearest are 3, 3 and 7 away."""
    found = TINY.forward(_pictures(0.0, 3.0, 10.0), {})
    assert_close(found, -torch.tensor([3.0, 3.0, 7.0]).double().log())


def test_the_distance_is_that_of_whole_pictures():
    """(0, 0) and (3, 4) are 5 apart."""
    assert_close(TINY.forward(_pictures([0.0, 0.0], [3.0, 4.0]), {}), torch.full((2,), -math.log(5)).double())


def test_the_gradient_of_a_worked_example():
    """Of - log(b - a) twice, with c far off: -1 / d each, and c is held by b alone, at -log(c - b)."""
    pictures = _pictures(0.0, 2.0, 10.0).requires_grad_()
    TINY.forward(pictures, {}).sum().backward()
    # a and b: d/db of -2 log(b - a) is -2 / 2; c: d/dc of -log(c - b) is -1 / 8, and + 1 / 8 at b.
    assert_close(pictures.grad.flatten(), torch.tensor([1.0, -1.0 + 1 / 8, -1 / 8]).double())


def test_it_is_the_double_loop_of_the_paper():
    pictures = torch.rand(5, 3, 4, 6, dtype=torch.float64)
    expected = []
    for i, one in enumerate(pictures):
        others = [other for j, other in enumerate(pictures) if j != i]
        expected.append(-math.log(min(math.dist(one.flatten(), other.flatten()) for other in others)))
    assert_close(TINY.forward(pictures, {}), torch.tensor(expected).double())


@given(scale=st.floats(1e-2, 1e2), shift=st.floats(-10, 10))
def test_twice_the_distance_is_a_logarithm_less_and_a_shift_is_nothing(scale, shift):
    pictures = torch.rand(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = TINY.forward(scale * pictures + shift, {})
    assert_close(found, TINY.forward(pictures, {}) - math.log(scale))


def test_gradcheck():
    pictures = torch.rand(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(1, 1, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: Diversity().forward(x, {}), pictures)
    assert torch.autograd.gradcheck(lambda x: Diversity().forward(x, {}, mask), pictures)


def test_two_of_the_same_have_the_least_diversity_and_no_gradient():
    pictures = torch.full((3, 3, 4, 4), 0.3, dtype=torch.float64)
    pictures[2] = 0.8
    pictures.requires_grad_()
    found = Diversity(epsilon=0.01).forward(pictures, {})
    assert found[0].item() == pytest.approx(-math.log(0.01) - math.log(48) / 2)
    assert found[2].item() == pytest.approx(-math.log(48 * (0.5**2 + 0.01**2)) / 2)
    found[:2].sum().backward()
    assert pictures.grad.abs().max() == 0


def test_a_mask_weighs_squares_of_differences():
    """0 and (3, 4), where only a quarter of the second pixel counts: 9 + 16 / 4."""
    mask = torch.tensor([1.0, 0.25]).double().reshape(1, 1, 1, 2)
    found = TINY.forward(_pictures([0.0, 0.0], [3.0, 4.0]), {}, mask)
    assert_close(found, torch.full((2,), -math.log(13) / 2).double())


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0]])
def test_a_mask_that_weighs_nothing_or_less_is_refused(weights):
    mask = torch.tensor(weights).double().reshape(1, 1, 1, 2)
    with pytest.raises(ValueError, match="weights >= 0 that are not all zero"):
        TINY.forward(_pictures([0.0, 0.0], [3.0, 4.0]), {}, mask)


def test_a_single_picture_is_refused():
    with pytest.raises(ConfigError, match="needs 2 or more, not 1; it is for training networks"):
        Diversity().forward(torch.rand(1, 3, 4, 4), {})
