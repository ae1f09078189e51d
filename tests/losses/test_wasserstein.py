"""Wasserstein: known distances, symmetry, blending, and stability in float32."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.wasserstein import Wasserstein

EXACT = Wasserstein(reduction="sum", epsilon=1e-12)


def _features(rows):
    values = torch.tensor(rows, dtype=torch.float64)
    return values.reshape(1, len(rows), 1, -1)


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        # One dimension: the squared differences of means and of deviations.
        ([[0.0, 4.0]], [[1.0, 3.0]], 0 + (2 - 1) ** 2),
        ([[5.0, 9.0]], [[1.0, 3.0]], (7 - 2) ** 2 + (2 - 1) ** 2),
        # Axes apart: one dimension each. Deviations (3, 1) and (1, 2).
        ([[-3.0, -3, 3, 3], [-1, 1, -1, 1]], [[-1.0, -1, 1, 1], [-2, 2, -2, 2]], 2**2 + 1**2),
        # The same ellipse on its side: covariances diag(9, 1) and diag(1, 9).
        ([[-3.0, -3, 3, 3], [-1, 1, -1, 1]], [[-1.0, 1, -1, 1], [-3, -3, 3, 3]], 2**2 + 2**2),
    ],
)
def test_known_distances(found, wanted, expected):
    distance = EXACT.forward(_features(found), EXACT.target(_features(wanted)))
    assert_close(distance, torch.tensor([float(expected)], dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    # Two channels; mean square of the target: 1 + 4.
    [("sum", 5.0), ("mean", 5 / 2), ("relative", 5 / 5)],
)
def test_reductions(reduction, expected):
    loss = Wasserstein(reduction=reduction, epsilon=1e-12)
    found = _features([[-3.0, -3, 3, 3], [-1, 1, -1, 1]])
    wanted = _features([[-1.0, -1, 1, 1], [-2, 2, -2, 2]])
    expected = torch.tensor([expected], dtype=torch.float64)
    assert_close(loss.forward(found, loss.target(wanted)), expected, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_dimensions_in_closed_form(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = (torch.randn(1, 2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    covariances = [torch.cov(features[0].flatten(1), correction=0) for features in (one, other)]
    product = covariances[0] @ covariances[1]
    # For 2x2 matrices tr(A^1/2) = (tr A + 2 det(A)^1/2)^1/2.
    root = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    means = (one - other).mean(dim=(2, 3)).square().sum()
    expected = means + covariances[0].trace() + covariances[1].trace() - 2 * root
    assert_close(EXACT.forward(one, EXACT.target(other))[0], expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_ways_are_equally_far(seed):
    generator = torch.Generator().manual_seed(seed)
    one, other = (torch.randn(1, 5, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    there = EXACT.forward(one, EXACT.target(other))
    assert_close(there, EXACT.forward(other, EXACT.target(one)), rtol=1e-5, atol=1e-5)


def test_a_shift_costs_its_square():
    features = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    shift = torch.tensor([1.0, -2, 0, 0.5], dtype=torch.float64)[:, None, None]
    loss = Wasserstein(reduction="sum")
    moved = loss.forward(features + shift, loss.target(features))
    assert_close(moved, torch.tensor([5.25], dtype=torch.float64))


def test_a_blend_is_the_target_of_both_pictures_side_by_side():
    loss = Wasserstein()
    one, other = torch.randn(1, 3, 4, 1), torch.randn(1, 3, 4, 3)
    blended = loss.blend([loss.target(one), loss.target(other)], [0.25, 0.75])
    together = loss.target(torch.cat([one, other], dim=3))
    assert_close(blended, together)
    assert loss.forward(torch.cat([one, other], dim=3), blended).abs().item() < 1e-6


def test_float32_is_stable_where_positions_are_fewer_than_channels():
    """Half of the eigenvalues are zero up to rounding, and relu leaves a large mean."""
    loss = Wasserstein(reduction="relative")
    features = (10 * torch.randn(1, 128, 8, 8)).relu()
    assert loss.forward(features, loss.target(features)).abs().item() < 1e-6
    other = (10 * torch.randn(1, 128, 8, 8)).relu().requires_grad_()
    single = loss.forward(other, loss.target(features))
    double = loss.forward(other.double(), loss.target(features.double()))
    assert_close(single.double(), double, rtol=1e-4, atol=0)
    (gradient,) = torch.autograd.grad(single, other)
    (exact,) = torch.autograd.grad(double, other)
    assert (gradient - exact).norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("flat", [0.0, 0.3])
def test_flat_pictures_have_a_finite_loss_and_gradient(flat):
    loss = Wasserstein()
    level, varied = torch.full((1, 4, 3, 3), flat), torch.randn(1, 4, 3, 3)
    for found, wanted in ((level, varied), (varied, level), (level, level)):
        features = found.clone().requires_grad_()
        distance = loss.forward(features, loss.target(wanted))
        distance.sum().backward()
        assert distance.isfinite().all()
        assert features.grad.isfinite().all()


def test_autocast_changes_nothing():
    loss = Wasserstein()
    features, wanted = torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)
    plain = loss.forward(features, loss.target(wanted))
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(loss.forward(features, loss.target(wanted)), plain, rtol=0, atol=0)


def test_a_target_of_zeros():
    with pytest.raises(ConfigError, match="relative to a target of zeros is not defined"):
        Wasserstein(reduction="relative").target(torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize("reduction", ["mean", "sum", "relative"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(reduction, masked):
    loss = Wasserstein(reduction=reduction, epsilon=1e-3)
    features = torch.randn(2, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    target = loss.target(torch.randn(1, 3, 3, 4, dtype=torch.float64))
    mask = torch.rand(1, 1, 3, 4, dtype=torch.float64) if masked else None
    assert gradcheck(lambda f: loss.forward(f, target, mask), (features,))


@pytest.mark.parametrize("brightness", [0.0, 1e2, 1e4])
def test_rounding_of_bright_flat_features_leaves_the_gradient_finite(brightness):
    """Fewer positions than channels, and a mean far above the deviation: covariances below zero."""
    generator = torch.Generator().manual_seed(0)
    wanted = torch.rand(1, 32, 6, 8, generator=generator)
    features = (brightness + torch.rand(1, 32, 3, 4, generator=generator)).requires_grad_()
    loss = Wasserstein(reduction="relative")
    loss.forward(features, loss.target(wanted)).sum().backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().max() < 1e6
