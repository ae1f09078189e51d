"""Square roots of symmetric positive semi-definite matrices."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["matrix_sqrt", "trace_sqrt_product"]


def matrix_sqrt(matrix: Tensor) -> Tensor:
    r"""The symmetric root :math:`R` with :math:`R R = A`, by eigenvalues.

    For matrices that are kept fixed: the gradient is not finite where two eigenvalues meet.

    Args:
        matrix: Symmetric positive semi-definite, ``(B, N, N)``; eigenvalues below zero count as zero.

    Returns:
        ``(B, N, N)``.
    """
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.mT
    return root


def trace_sqrt_product(root: Tensor, matrix: Tensor) -> Tensor:
    r"""The trace of the root of a product, :math:`\operatorname{tr} (R A R)^{1/2}`.

    Only eigenvalues are differentiated, so that the gradient
    :math:`\tfrac12 R (R A R)^{-1/2} R` stays finite where eigenvalues meet. Forming the product
    squares the condition number: give float64, and matrices with a floor under their eigenvalues.

    Args:
        root: Symmetric, held fixed, ``(B, N, N)`` or ``(1, N, N)``.
        matrix: Symmetric positive semi-definite, ``(B, N, N)``.

    Returns:
        ``(B,)``.
    """
    values: Tensor = torch.linalg.eigvalsh(root @ matrix @ root)
    return values.clamp_min(torch.finfo(values.dtype).tiny).sqrt().sum(dim=-1)
