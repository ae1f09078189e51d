"""Gram: each published convention by hand, and that the matrix stays in the graph."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.gram import Gram

FOUND = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
WANTED = torch.tensor([[0.0, 2.0], [1.0, 1.0]]).reshape(1, 2, 1, 2)
# Unscaled Gram matrices [[5, 1], [1, 10]] and [[4, 2], [2, 2]]: squared errors 1 + 1 + 1 + 64 = 67.


@pytest.mark.parametrize(
    ("source", "scale", "reduction", "expected"),
    [
        ("Gatys et al. 2016, eq. 4: 67 / (4 * 2^2 * 2^2)", "none", "gatys", 67 / 64),
        ("the same, sizes may differ", "hw", "gatys", 67 / 64),
        ("the same from the smallest matrices", "chw", "gatys", 67 / 64),
        ("Gatys' code: matrices over 2, mean of 4 entries", "hw", "mean", 67 / 16),
        ("Guillaumin 2017: expectation, over C^2", "hw", "mean", 67 / 4 / 2**2),
        ("Saric 2020, eq. 2.3: matrices over 2, sum", "hw", "sum", 67 / 4),
        ("Johnson et al. 2016, eq. 4: matrices over 4, squared norm", "chw", "sum", 67 / 16),
        ("neural-style, Li and Zhao 2018: matrices over a*b*c*d = 4, mean", "chw", "mean", 67 / 64),
        ("relative to the target's squared norm, 16 + 4 + 4 + 4", "hw", "relative", 67 / 28),
    ],
)
def test_published_conventions(source, scale, reduction, expected):
    loss = Gram(scale=scale, reduction=reduction)
    assert_close(loss.forward(FOUND, loss.target(WANTED)), torch.tensor([expected]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "gatys", "relative"])
def test_a_painting_of_another_size(reduction):
    loss = Gram(scale="hw", reduction=reduction)
    once, twice = WANTED, WANTED.repeat(1, 1, 3, 2)
    assert_close(loss.forward(FOUND, loss.target(twice)), loss.forward(FOUND, loss.target(once)))


def test_gatys_under_a_mask_counts_the_weight_of_the_positions():
    loss = Gram(scale="none", reduction="gatys")
    mask = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 2)
    # 2 * [[1, 3], [3, 9]] against [[4, 2], [2, 2]]: 4 + 16 + 16 + 256 = 292, over 4 * 2^2 * 2^2.
    assert_close(loss.forward(FOUND, loss.target(WANTED), mask), torch.tensor([292 / 64]))


def test_each_sample_is_compared_with_one_target():
    loss = Gram()
    batch = torch.cat([FOUND, WANTED])
    assert_close(loss.forward(batch, loss.target(WANTED)), torch.tensor([67 / 64, 0.0]))


def test_the_matrix_stays_in_the_graph():
    """A Gram matrix cut out of the graph leaves the style loss constant (Li and Zhao 2018)."""
    loss = Gram()
    features = FOUND.clone().requires_grad_()
    target = loss.target(WANTED)
    before = loss.forward(features, target)
    before.sum().backward()
    moved = features.detach() - 0.1 * features.grad
    assert loss.forward(moved, target).item() < before.item()


def test_a_relative_error_needs_a_target():
    with pytest.raises(ConfigError, match="relative to a target of zeros is not defined"):
        Gram(reduction="relative").target(torch.zeros(1, 2, 3, 3))


def test_a_target_of_another_layer_or_loss():
    loss = Gram()
    with pytest.raises(
        ValueError, match=r"the target's gram is \(1, 3, 3\) where the features give \(1, 2, 2\)"
    ):
        loss.forward(FOUND, loss.target(torch.rand(1, 3, 2, 2)))
    with pytest.raises(ValueError, match="the target holds mean but no 'gram'; take it with the same loss"):
        loss.forward(FOUND, {"mean": torch.zeros(1, 2)})


@pytest.mark.parametrize("reduction", ["mean", "sum", "gatys", "relative"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(reduction, masked):
    loss = Gram(scale="hw", reduction=reduction)
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    target = loss.target(torch.randn(1, 3, 2, 3, dtype=torch.float64))
    mask = torch.rand(1, 1, 2, 3, dtype=torch.float64) if masked else None
    assert gradcheck(lambda f: loss.forward(f, target, mask), (features,))
