"""Wasserstein distance of Gaussians: closed forms, and what makes it a distance."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops.gaussians import wasserstein_squared


def _gaussian(seed, channels=3):
    generator = torch.Generator().manual_seed(seed)
    mean, root = (
        torch.randn(1, *shape, generator=generator).double() for shape in ((channels,), (channels,) * 2)
    )
    return mean, root @ root.mT


def test_in_one_dimension():
    """W^2 = (2 - 5)^2 + (1 - 3)^2: means 2 and 5, deviations 1 and 3."""
    one = torch.tensor([[2.0]]).double(), torch.tensor([[[1.0]]]).double()
    other = torch.tensor([[5.0]]).double(), torch.tensor([[[9.0]]]).double()
    assert_close(wasserstein_squared(*one, *other), torch.tensor([13.0]).double())


def test_covariances_that_share_their_axes():
    """Deviations 1, 2 and 4, 1: (1 - 4)^2 + (2 - 1)^2."""
    mean = torch.zeros(1, 2).double()
    matrices = [torch.diag(torch.tensor(v).double())[None] for v in ([1.0, 4.0], [16.0, 1.0])]
    assert_close(wasserstein_squared(mean, matrices[0], mean, matrices[1]), torch.tensor([10.0]).double())


def test_covariances_that_do_not():
    """In two dimensions tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB))."""
    one, other = _gaussian(1, 2), _gaussian(2, 2)
    product = one[1][0] @ other[1][0]
    cross = (product.trace() + 2 * product.det().sqrt()).sqrt()
    expected = (one[0] - other[0]).square().sum() + one[1][0].trace() + other[1][0].trace() - 2 * cross
    assert_close(wasserstein_squared(*one, *other)[0], expected)


def test_flat_gaussians_are_measured_too():
    mean, matrix = _gaussian(3)
    flat = torch.zeros_like(matrix)
    assert_close(wasserstein_squared(mean, flat, mean, matrix)[0], matrix[0].trace())
    assert_close(wasserstein_squared(mean, flat, mean, flat).item(), 0.0)


@settings(deadline=None, max_examples=25)
@given(seeds=st.tuples(*[st.integers(0, 2**31)] * 3))
def test_it_is_a_distance(seeds):
    a, b, c = map(_gaussian, seeds)

    def distance(one, other):
        return wasserstein_squared(*one, *other).sqrt().item()

    assert distance(a, a) < 1e-5
    assert abs(distance(a, b) - distance(b, a)) < 1e-5
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-5
