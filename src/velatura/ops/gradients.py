"""Gradients that are changed on their way back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.precision import at_least_float32

__all__ = ["normalize_gradient"]


def normalize_gradient(x: Tensor, *, strength: float = 1.0, epsilon: float = 1e-8) -> Tensor:
    r"""``x`` itself, whose gradient comes back with an L1 norm of ``strength``.

    .. math:: \bar g = \frac{s}{\lVert g \rVert_1 + \epsilon} \, g

    Put between a layer and its loss, it makes every layer pull equally hard, whatever its loss is scaled by
    (Ulyanov et al. 2016; ``-normalize_gradients`` of neural-style). The weight of the loss then
    counts for nothing: it is ``strength`` that weighs. The norm is that of the whole tensor, all samples of
    a batch together, as in the authors' code, so that a sample's share depends on the others.

    Args:
        x: Any tensor.
        strength: L1 norm of the gradient that is passed on, > 0.
        epsilon: Added to the norm, > 0: a gradient of zero stays zero.

    Returns:
        A tensor equal to ``x``. Its gradient can be taken once, not twice.

    Raises:
        ValueError: ``strength`` or ``epsilon`` is not above 0.
    """
    if not strength > 0:
        raise ValueError(f"strength must be above 0, not {strength:g}")
    if not epsilon > 0:
        raise ValueError(f"epsilon must be above 0, not {epsilon:g}")
    passed: Tensor = _NormalizeGradient.apply(x, strength, epsilon)  # type: ignore[no-untyped-call]
    return passed


class _NormalizeGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float, epsilon: float) -> Tensor:
        ctx.strength, ctx.epsilon = strength, epsilon
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # Half precision overflows at 65504, which the sum over one layer soon passes.
        wide = at_least_float32(gradient)
        factor = ctx.strength / (wide.abs().sum() + ctx.epsilon)
        return (wide * factor).to(gradient.dtype), None, None
