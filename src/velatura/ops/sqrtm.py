"""Square roots of symmetric positive semi-definite matrices."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.threads import computing_threads

__all__ = ["iterated_sqrt", "matrix_sqrt", "trace_sqrt_product"]


def matrix_sqrt(matrix: Tensor) -> Tensor:
    r"""The symmetric root :math:`R` with :math:`R R = A`, by eigenvalues.

    For matrices that are kept fixed: the gradient is not finite where two eigenvalues meet.

    Args:
        matrix: Symmetric positive semi-definite, ``(B, N, N)``; eigenvalues below zero count as zero.

    Returns:
        ``(B, N, N)``; NaN where a matrix is not finite.
    """
    values, vectors = _eigenvalues(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
    return root


def iterated_sqrt(matrix: Tensor, *, steps: int = 16) -> tuple[Tensor, Tensor]:
    r"""The symmetric root and its inverse by matrix products alone: what any runtime can do.

    .. math:: T = \tfrac12 (3 I - Z Y), \quad Y \leftarrow Y T, \quad Z \leftarrow T Z

    from :math:`Y = A / \operatorname{tr} A, Z = I` (Newton and Schulz; Higham 2008, *Functions of
    matrices*, eq. 6.35). A step more than doubles what is small, so that 16 reach the root where no
    eigenvalue is below a hundred-thousandth of the trace; below, root and inverse stay smaller than they
    are, and finite.

    Args:
        matrix: Symmetric positive definite, ``(B, N, N)``.
        steps: How often.

    Returns:
        The root and its inverse, each ``(B, N, N)``.
    """
    trace = matrix.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
    identity = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    root, inverse = matrix / trace, identity.expand_as(matrix)
    for _ in range(steps):
        turn = 1.5 * identity - 0.5 * (inverse @ root)
        root, inverse = root @ turn, turn @ inverse
    return root * trace.sqrt(), inverse * trace.rsqrt()


def trace_sqrt_product(root: Tensor, matrix: Tensor, *, least: Tensor | None = None) -> Tensor:
    r"""The trace of the root of a product, :math:`\operatorname{tr} (R A R)^{1/2}`.

    Its gradient :math:`\tfrac12 R (R A R)^{-1/2} R` is written out, so that it stays finite where
    eigenvalues meet. It can be differentiated once. Forming the product squares the condition number:
    give float64, and matrices with a floor under their eigenvalues.

    Args:
        root: Symmetric, held fixed, ``(B, N, N)`` or ``(1, N, N)``.
        matrix: Symmetric positive semi-definite, ``(B, N, N)``.
        least: What the eigenvalues of the product cannot be below, but for rounding, ``(B,)`` or
            ``(1,)``; those that are count as this, and have no gradient. None: zero.

    Returns:
        ``(B,)``; NaN, with a gradient of zero, where the product is not finite.
    """
    if least is None:
        least = matrix.new_zeros(1)
    trace: Tensor = _TraceSqrtProduct.apply(root, matrix, least)  # type: ignore[no-untyped-call]
    return trace


class _TraceSqrtProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, root: Tensor, matrix: Tensor, least: Tensor) -> Tensor:
        values, vectors = _eigenvalues(root @ matrix @ root)
        roots = torch.maximum(values, least[:, None]).sqrt()
        # Of what rounding took below, the gradient would be one over nothing.
        ctx.save_for_backward(root @ vectors, torch.where(values > least[:, None], roots, torch.inf))
        trace: Tensor = roots.sum(dim=-1)
        return trace

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        carried, roots = ctx.saved_tensors
        weights = gradient[:, None] / (2 * roots)
        return None, (carried * weights[:, None, :]) @ carried.mT, None


def _eigenvalues(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``(B, N)``, NaN where a matrix is not finite, and eigenvectors ``(B, N, N)``.

    There torch raises; but a descent that has gone too far is to see it in its loss, and go back.
    """
    broken = None
    if not math.isfinite(matrix.sum()):
        broken = ~matrix.isfinite().all(dim=2).all(dim=1)[:, None]
        matrix = matrix.masked_fill(broken[:, None], 0)
    # At a hundred channels, threads do nothing but wait for each other. With another busy process on two
    # cores, the eigenvalues of a 128x128 matrix took 160 ms in two threads, 1 ms in one.
    with computing_threads(1 if matrix.device.type == "cpu" else None):
        values, vectors = torch.linalg.eigh(matrix)
    return values if broken is None else values.masked_fill(broken, math.nan), vectors
