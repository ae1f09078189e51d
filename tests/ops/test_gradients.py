"""Gradients by hand, and what a normalised one forgets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.gradients import normalize_gradient


def _gradient(x, weights, **options):
    x = x.clone().requires_grad_()
    (normalize_gradient(x, **options) * weights).sum().backward()
    return x.grad


def test_a_gradient_of_a_worked_example():
    """The gradient of 3a - b + 0c is (3, -1, 0), of L1 norm 4."""
    x = torch.tensor([0.5, 2.0, -1.0], dtype=torch.float64)
    weights = torch.tensor([3.0, -1.0, 0.0], dtype=torch.float64)
    assert_close(_gradient(x, weights), torch.tensor([0.75, -0.25, 0.0], dtype=torch.float64))
    assert_close(_gradient(x, weights, strength=8.0), torch.tensor([6.0, -2.0, 0.0], dtype=torch.float64))
    assert_close(_gradient(x, weights, epsilon=4.0), torch.tensor([0.375, -0.125, 0.0], dtype=torch.float64))


def test_the_gradient_of_a_square_by_hand():
    """At (1, -3) the gradient of the sum of squares is (2, -6); over 8, (1/4, -3/4)."""
    x = torch.tensor([1.0, -3.0], dtype=torch.float64, requires_grad=True)
    normalize_gradient(x).square().sum().backward()
    assert_close(x.grad, torch.tensor([0.25, -0.75], dtype=torch.float64))


def test_forward_changes_nothing():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(normalize_gradient(x, strength=7.0), x)


def test_the_norm_is_that_of_the_whole_batch():
    weights = torch.tensor([[1.0, 1.0], [3.0, 3.0]])
    found = _gradient(torch.zeros(2, 2), weights)
    assert_close(found.abs().sum(dim=1), torch.tensor([0.25, 0.75]))


@given(scale=st.floats(1e-3, 1e6), strength=st.floats(1e-3, 1e3))
def test_the_scale_of_the_loss_is_forgotten(scale, strength):
    weights = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(3, 4)
    x = torch.zeros(3, 4, dtype=torch.float64)
    found = _gradient(x, scale * weights, strength=strength, epsilon=1e-15)
    assert_close(found, strength * weights / weights.abs().sum())


def test_no_gradient_stays_none():
    assert _gradient(torch.ones(4), torch.zeros(4)).abs().max() == 0


def test_a_sum_past_the_range_of_half_precision_is_taken_wider():
    """4096 gradients of 100 sum to 409600, above the 65504 of float16."""
    found = _gradient(
        torch.zeros(4096, dtype=torch.float16), torch.full((4096,), 100.0).half(), strength=4096
    )
    assert found.dtype == torch.float16
    assert_close(found.float(), torch.ones(4096))


def test_the_original_is_not_touched():
    x = torch.ones(3, requires_grad=True)
    passed = normalize_gradient(x)
    (passed * 5).sum().backward()
    assert torch.equal(x.detach(), torch.ones(3))
    assert passed is not x


@pytest.mark.parametrize("option", ["strength", "epsilon"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_what_is_not_above_zero_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be above 0"):
        normalize_gradient(torch.ones(2), **{option: value})
