"""Square roots of symmetric positive semi-definite matrices."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

from velatura.ops.threads import computing_threads

__all__ = ["matrix_sqrt", "trace_sqrt_product"]


def matrix_sqrt(matrix: Tensor) -> Tensor:
    r"""The symmetric root :math:`R` with :math:`R R = A`, by eigenvalues.

    For matrices that are kept fixed: the gradient is not finite where two eigenvalues meet.

    Args:
        matrix: Symmetric positive semi-definite, ``(B, N, N)``; eigenvalues below zero count as zero.

    Returns:
        ``(B, N, N)``.
    """
    with _one_thread(matrix):
        values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
    return root


def trace_sqrt_product(root: Tensor, matrix: Tensor, *, least: Tensor | None = None) -> Tensor:
    r"""The trace of the root of a product, :math:`\operatorname{tr} (R A R)^{1/2}`.

    Its gradient :math:`\tfrac12 R (R A R)^{-1/2} R` is written out, so that it stays finite where
    eigenvalues meet. Forming the product squares the condition number: give float64, and matrices
    with a floor under their eigenvalues.

    Args:
        root: Symmetric, held fixed, ``(B, N, N)`` or ``(1, N, N)``.
        matrix: Symmetric positive semi-definite, ``(B, N, N)``.
        least: What the eigenvalues of the product cannot be below, but for rounding, ``(B,)`` or
            ``(1,)``; those that are count as this, and have no gradient. None: zero.

    Returns:
        ``(B,)``.
    """
    if least is None:
        least = matrix.new_zeros(1)
    trace: Tensor = _TraceSqrtProduct.apply(root, matrix, least)  # type: ignore[no-untyped-call]
    return trace


class _TraceSqrtProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, root: Tensor, matrix: Tensor, least: Tensor) -> Tensor:
        with _one_thread(matrix):
            values, vectors = torch.linalg.eigh(root @ matrix @ root)
        roots = torch.maximum(values, least[:, None]).sqrt()
        # Of what rounding took below, the gradient would be one over nothing.
        ctx.save_for_backward(root @ vectors, torch.where(values > least[:, None], roots, torch.inf))
        trace: Tensor = roots.sum(dim=-1)
        return trace

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        carried, roots = ctx.saved_tensors
        weights = gradient[:, None] / (2 * roots)
        return None, (carried * weights[:, None, :]) @ carried.mT, None


def _one_thread(matrix: Tensor) -> contextlib.AbstractContextManager[None]:
    """Eigenvalues in one thread: at a hundred channels, threads do nothing but wait for each other.

    With another busy process on two cores, those of a 128x128 matrix took 160 ms in two threads, 1 ms
    in one.
    """
    return computing_threads(1 if matrix.device.type == "cpu" else None)
