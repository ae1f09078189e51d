"""Mean and standard deviation: a worked example, blending, and the gradient."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.losses.mean_std import MeanStd

FOUND = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
WANTED = torch.tensor([[0.0, 2.0], [5.0, 1.0]]).reshape(1, 2, 1, 2)
# Means (1.5, 1) and (1, 3), deviations (0.5, 2) and (1, 2): 0.25 + 4 and 0.25 + 0.


@pytest.mark.parametrize(("reduction", "expected"), [("sum", 4.5), ("mean", 2.25)])
def test_a_worked_example(reduction, expected):
    loss = MeanStd(reduction=reduction)
    # The 1e-5 under each root moves the third digit after the point by less than one.
    assert_close(loss.forward(FOUND, loss.target(WANTED)), torch.tensor([expected]), rtol=0, atol=1e-4)


def test_a_blend_is_the_target_of_both_pictures_side_by_side():
    loss = MeanStd()
    one, other = torch.randn(1, 3, 4, 1), torch.randn(1, 3, 4, 3)
    blended = loss.blend([loss.target(one), loss.target(other)], [0.25, 0.75])
    assert_close(blended, loss.target(torch.cat([one, other], dim=3)))


def test_flat_features_have_a_finite_gradient():
    loss = MeanStd()
    features = torch.full((1, 2, 3, 3), 0.1, requires_grad=True)
    loss.forward(features, loss.target(torch.rand(1, 2, 3, 3))).sum().backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(reduction, masked):
    loss = MeanStd(reduction=reduction)
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    target = loss.target(torch.randn(1, 3, 2, 3, dtype=torch.float64))
    mask = torch.rand(1, 1, 2, 3, dtype=torch.float64) if masked else None
    assert gradcheck(lambda f: loss.forward(f, target, mask), (features,))
