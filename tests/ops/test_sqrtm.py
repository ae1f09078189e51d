"""Matrix square roots: worked examples, and gradients where eigenvalues meet or vanish."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.ops.sqrtm import iterated_sqrt, matrix_sqrt, trace_sqrt_product


def _covariance(seed, size=4, samples=12):
    samples_of = torch.randn(
        1, size, samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return samples_of @ samples_of.mT / samples


def test_the_root_of_a_worked_example():
    # [[2, 1], [1, 2]] squared
    matrix = torch.tensor([[[5.0, 4.0], [4.0, 5.0]]], dtype=torch.float64)
    assert_close(matrix_sqrt(matrix), torch.tensor([[[2.0, 1.0], [1.0, 2.0]]], dtype=torch.float64))


def test_the_root_of_a_singular_matrix():
    matrix = torch.tensor([[[4.0, 0.0], [0.0, -1e-9]]], dtype=torch.float64)
    assert_close(matrix_sqrt(matrix), torch.tensor([[[2.0, 0.0], [0.0, 0.0]]], dtype=torch.float64))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_root_squared_is_the_matrix(seed):
    matrix = _covariance(seed)
    root = matrix_sqrt(matrix)
    assert_close(root @ root, matrix)
    assert_close(root, root.mT)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31))
def test_the_trace_for_two_by_two_is_known_in_closed_form(seed):
    one, other = _covariance(seed, size=2), _covariance(seed + 1, size=2)
    product = one @ other
    trace, determinant = product.diagonal(dim1=1, dim2=2).sum(1), torch.linalg.det(product)
    assert_close(trace_sqrt_product(matrix_sqrt(one), other), (trace + 2 * determinant.sqrt()).sqrt())


def test_gradient():
    root = matrix_sqrt(_covariance(0))
    matrix = _covariance(1).requires_grad_()
    assert gradcheck(lambda m: trace_sqrt_product(root, (m + m.mT) / 2), (matrix,))


def test_the_gradient_is_finite_where_all_eigenvalues_are_equal():
    identity = torch.eye(3, dtype=torch.float64)[None]
    matrix = identity.clone().requires_grad_()
    trace_sqrt_product(identity, matrix).sum().backward()
    # d tr(A^1/2) = 1/2 A^-1/2
    assert_close(matrix.grad, identity / 2)


def test_the_gradient_is_finite_where_all_eigenvalues_are_zero():
    matrix = torch.zeros(1, 3, 3, dtype=torch.float64, requires_grad=True)
    trace = trace_sqrt_product(torch.eye(3, dtype=torch.float64)[None], matrix)
    trace.sum().backward()
    assert_close(trace.detach(), torch.zeros(1, dtype=torch.float64))
    assert matrix.grad.isfinite().all()


def test_eigenvalues_that_rounding_took_below_the_least_have_no_gradient():
    """By hand: roots of 4 and of the least, 0.25, and the gradient 1/2 A^-1/2 of the first alone."""
    matrix = torch.diag(torch.tensor([4.0, -1e-9], dtype=torch.float64))[None].requires_grad_()
    identity = torch.eye(2, dtype=torch.float64)[None]
    trace = trace_sqrt_product(identity, matrix, least=torch.tensor([0.25], dtype=torch.float64))
    trace.sum().backward()
    assert_close(trace.detach(), torch.tensor([2.5], dtype=torch.float64))
    expected = torch.diag(torch.tensor([0.25, 0.0], dtype=torch.float64))[None]
    assert_close(matrix.grad, expected)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_not_finite_has_a_root_that_is_not_a_number(odd):
    """Beside a sample that is finite, whose root and gradient stay as they were."""
    identity = torch.eye(2, dtype=torch.float64)[None]
    matrix = torch.cat([identity, torch.full_like(identity, odd)]).requires_grad_()
    root = matrix_sqrt(matrix.detach())
    assert_close(root[0], identity[0])
    assert root[1].isnan().all()
    trace = trace_sqrt_product(identity, matrix)
    trace.sum().backward()
    assert_close(trace.detach(), torch.tensor([2, math.nan], dtype=torch.float64), equal_nan=True)
    assert_close(matrix.grad, torch.cat([identity / 2, torch.zeros_like(identity)]))


def test_a_second_derivative_is_refused():
    identity = torch.eye(2, dtype=torch.float64)[None]
    matrix = _covariance(0, size=2).requires_grad_()
    trace = trace_sqrt_product(identity, matrix).square().sum()
    (gradient,) = torch.autograd.grad(trace, matrix, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_the_iterated_root_of_a_worked_example():
    """[[5, 4], [4, 5]] has the eigenvalues 9 and 1: its root is [[2, 1], [1, 2]]."""
    root, inverse = iterated_sqrt(torch.tensor([[[5.0, 4.0], [4.0, 5.0]]]))
    assert_close(root[0], torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    assert_close(inverse[0], torch.tensor([[2.0, -1.0], [-1.0, 2.0]]) / 3)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 24))
def test_the_iterated_root_is_the_root_by_eigenvalues(seed, size):
    matrix = _covariance(seed, size=size)
    matrix = matrix + 1e-2 * matrix.diagonal(dim1=1, dim2=2).mean() * torch.eye(size, dtype=matrix.dtype)
    root, inverse = iterated_sqrt(matrix)
    assert_close(root, matrix_sqrt(matrix), rtol=1e-6, atol=1e-6)
    assert_close(inverse @ root, torch.eye(size, dtype=matrix.dtype)[None], rtol=0, atol=1e-5)


def test_where_an_eigenvalue_is_too_small_the_iterated_root_is_smaller_and_finite():
    matrix = torch.diag(torch.tensor([1.0, 1e-12], dtype=torch.float64))[None]
    root, inverse = iterated_sqrt(matrix)
    assert 0 < root[0, 1, 1] < 1e-6
    assert 1 < inverse[0, 1, 1] < 1e6
