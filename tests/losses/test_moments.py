"""Moments: a worked example, blending, masks, and the gradient."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.moments import Moments

FOUND = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
WANTED = torch.tensor([[0.0, 2.0], [1.0, 1.0]]).reshape(1, 2, 1, 2)
# Means (1.5, 1) and (1, 1): 0.25 apart, the target's squared norm 2.
# Covariances [[0.25, -1], [-1, 4]] and [[1, 0], [0, 0]]: 0.5625 + 1 + 1 + 16 apart, the target's 1.


@pytest.mark.parametrize(
    ("mean_weight", "expected"),
    [(1.0, (0.25 + 18.5625) / (2 + 1)), (0.0, 18.5625), (4.0, (1 + 18.5625) / (8 + 1))],
)
def test_a_worked_example(mean_weight, expected):
    loss = Moments(mean_weight=mean_weight)
    assert_close(loss.forward(FOUND, loss.target(WANTED)), torch.tensor([expected]))


def test_zero_features_cost_one():
    loss = Moments()
    assert_close(loss.forward(torch.zeros_like(FOUND), loss.target(WANTED)), torch.ones(1))


def test_the_scale_of_the_features_does_not_matter():
    loss = Moments(mean_weight=0)
    assert_close(loss.forward(7 * FOUND, loss.target(7 * WANTED)), loss.forward(FOUND, loss.target(WANTED)))


def test_a_blend_is_the_target_of_both_pictures_side_by_side():
    loss = Moments()
    one, other = torch.randn(1, 3, 4, 1), torch.randn(1, 3, 4, 3)
    blended = loss.blend([loss.target(one), loss.target(other)], [0.25, 0.75])
    together = loss.target(torch.cat([one, other], dim=3))
    assert_close(blended, together)


def test_a_mask_takes_the_target_from_a_region():
    loss = Moments()
    features = torch.randn(1, 3, 4, 6)
    mask = torch.zeros(1, 1, 4, 6)
    mask[..., :3] = 1
    assert_close(loss.target(features, mask), loss.target(features[..., :3]))


def test_a_target_of_zeros():
    with pytest.raises(ConfigError, match="relative to a target of zeros is not defined"):
        Moments().target(torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize("masked", [False, True])
def test_gradient(masked):
    loss = Moments(mean_weight=0.7)
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    target = loss.target(torch.randn(1, 3, 2, 3, dtype=torch.float64))
    mask = torch.rand(1, 1, 2, 3, dtype=torch.float64) if masked else None
    assert gradcheck(lambda f: loss.forward(f, target, mask), (features,))
