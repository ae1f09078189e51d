"""Features carried from one Gaussian to another, by matrix products alone."""

from __future__ import annotations

import torch
from torch import Tensor

from velatura.ops.moments import covariance
from velatura.ops.precision import at_least_float32, in_float64, without_autocast
from velatura.ops.sqrtm import iterated_sqrt

__all__ = ["Moments", "transport", "transported"]

Moments = tuple[Tensor, Tensor]
"""Mean ``(B, C)`` and second raw moment ``(B, C, C)``."""


def transport(own: Tensor, wanted: Tensor, *, floor: float) -> Tensor:
    r"""The linear map of least movement from one covariance to another.

    .. math:: A = C^{-1/2} (C^{1/2} C^* C^{1/2})^{1/2} C^{-1/2}

    (Pitié and Kokaram 2007; Mroueh 2019), as :func:`velatura.ops.recoloring.linear_map` has it in float64
    by eigenvalues; here any runtime can follow.

    Args:
        own: :math:`C`, ``(B, C, C)``.
        wanted: :math:`C^*`, ``(B, C, C)`` or ``(1, C, C)``.
        floor: Variance added in every direction to both.

    Returns:
        ``(B, C, C)``.
    """
    # In float64: the product of three squares what is small.
    source, target = in_float64(own), in_float64(wanted)
    identity = floor * torch.eye(own.shape[1], dtype=torch.float64, device=source.device)
    root, inverse = iterated_sqrt(source + identity)
    middle, _ = iterated_sqrt(root @ (target + identity) @ root)
    return (inverse @ middle @ inverse).to(own)


def transported(maps: Tensor, own: Moments, wanted: Moments, *, floor: float) -> Tensor:
    """Maps ``(B, C, H, W)`` of the moments ``own``, moved to those wanted."""
    # In half precision, a map that is almost singular moves small variances to anywhere.
    with without_autocast(maps):
        linear = transport(covariance(*own), covariance(*wanted), floor=floor)
        shift = wanted[0][:, :, None] - linear @ own[0][:, :, None]
        moved: Tensor = torch.baddbmm(shift, linear, at_least_float32(maps).flatten(2)).view_as(maps).to(maps)
    return moved
