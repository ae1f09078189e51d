"""Distance between Gaussians, given by mean and covariance."""

from __future__ import annotations

from torch import Tensor

from velatura.ops.sqrtm import matrix_sqrt, trace_sqrt_product

__all__ = ["wasserstein_squared"]


def wasserstein_squared(mean: Tensor, matrix: Tensor, other_mean: Tensor, other_matrix: Tensor) -> Tensor:
    r"""Squared 2-Wasserstein distance, which is also Fréchet's.

    .. math:: W^2 = |m_1 - m_2|^2 +
        \operatorname{tr}\bigl(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\bigr)

    (Dowson and Landau 1982.) For measuring, not for descending: give float64; the gradient is not
    finite where eigenvalues vanish.

    Args:
        mean: ``(B, C)``.
        matrix: Covariance, ``(B, C, C)``.
        other_mean: ``(B, C)``.
        other_matrix: ``(B, C, C)``.

    Returns:
        ``(B,)``, >= 0; what rounding leaves below zero is zero.
    """
    traces = (matrix + other_matrix).diagonal(dim1=1, dim2=2).sum(dim=1)
    cross = trace_sqrt_product(matrix_sqrt(matrix), other_matrix)
    return ((mean - other_mean).square().sum(dim=1) + traces - 2 * cross).clamp_min(0)
