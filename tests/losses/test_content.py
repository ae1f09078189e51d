"""Content: the papers' normalisations by hand, standardisation, and what is refused."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.content import Content

FOUND = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
WANTED = torch.tensor([[0.0, 2.0], [1.0, 1.0]]).reshape(1, 2, 1, 2)
# Squared errors: 1, 0, 4, 4.


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("mean", 9 / 4), ("sum", 9.0), ("half_sum", 9 / 2), ("relative", 9 / 6)],
)
def test_a_worked_example(reduction, expected):
    loss = Content(reduction=reduction)
    assert_close(loss.forward(FOUND, loss.target(WANTED)), torch.tensor([expected]))


@pytest.mark.parametrize(
    ("reduction", "expected"),
    # Positions count 1 and 3: squared errors 1 + 4 and 0 + 4; squares of the target 1 and 5.
    [("mean", 17 / 8), ("sum", 17.0), ("half_sum", 17 / 2), ("relative", 17 / 16)],
)
def test_a_mask_weighs_the_positions(reduction, expected):
    loss = Content(reduction=reduction)
    mask = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
    assert_close(loss.forward(FOUND, loss.target(WANTED), mask), torch.tensor([expected]))


def test_standardized_features_forget_contrast_and_brightness():
    loss = Content(standardize=True)
    features = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    gain = torch.tensor([2.0, 0.5, 7.0], dtype=torch.float64)[:, None, None]
    changed = features * gain + 3
    assert loss.forward(changed, loss.target(features)).item() < 1e-8
    assert loss.forward(features.flip(3), loss.target(features)).item() > 0.5


def test_standardized_features_of_one_position_are_zero():
    loss = Content(standardize=True)
    assert loss.forward(torch.rand(1, 3, 1, 1), loss.target(torch.rand(1, 3, 1, 1))).item() == 0


def test_relative_and_standardized_exclude_each_other():
    with pytest.raises(ConfigError, match="the mean square of standardized features is 1 already"):
        Content(standardize=True, reduction="relative")


def test_a_relative_error_needs_a_target():
    with pytest.raises(ConfigError, match="nothing is active at this layer; choose another layer"):
        Content(reduction="relative").target(torch.zeros(1, 2, 3, 3))


def test_a_target_of_another_size():
    loss = Content()
    with pytest.raises(
        ValueError, match=r"features is \(1, 2, 1, 2\) where the features give \(1, 2, 1, 1\)"
    ):
        loss.forward(FOUND[..., :1], loss.target(WANTED))


@pytest.mark.parametrize(
    "loss",
    [Content(), Content(reduction="half_sum"), Content(reduction="relative"), Content(standardize=True)],
)
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(loss, masked):
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    target = loss.target(torch.randn(1, 3, 2, 3, dtype=torch.float64))
    mask = torch.rand(1, 1, 2, 3, dtype=torch.float64) if masked else None
    assert gradcheck(lambda f: loss.forward(f, target, mask), (features,))
