"""A rectifier whose gradient the function above it may write together with its own.

Backwards, a rectifier sets a gradient to zero where the map is: a pass over a map, which waits for memory.
The function above has just written that gradient, and most of it is still in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["below_rectifier", "masked", "rectified"]


def rectified(features: Tensor) -> Tensor:
    """A map that is rectified already, with the gradient of a rectifier.

    Args:
        features: ``(B, C, H, W)``, nowhere below 0; its own gradient is that of what it was before.

    Returns:
        The same numbers in the same memory.
    """
    above: Tensor = _Rectified.apply(features)  # type: ignore[no-untyped-call]
    return above


def below_rectifier(features: Tensor) -> Tensor | None:
    """What :func:`rectified` was given, for a function that reads ``features`` and masks its own gradient.

    Such a function takes this as its input in place of ``features``, from which it is no different in its
    numbers. Others that read ``features`` are masked by the rectifier as ever, and autograd adds below it.

    Returns:
        The map; None where ``features`` do not come straight from :func:`rectified`.
    """
    below: Tensor | None = getattr(features.grad_fn, "below_rectifier", None)
    return below


def masked(gradient: Tensor, features: Tensor, *, out: Tensor | None = None) -> Tensor:
    """A gradient, and zero where rectified features are not above it.

    Args:
        gradient: ``(B, C, H, W)``.
        features: The same shape.
        out: Where to write it, which may be ``gradient`` itself. None: a new map.
    """
    if out is None:
        found: Tensor = torch.ops.aten.threshold_backward(gradient, features, 0)
        return found
    torch.ops.aten.threshold_backward.grad_input(gradient, features, 0, grad_input=out)
    return out


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.below_rectifier = features
        above = features.detach()
        ctx.save_for_backward(above)
        return above

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (above,) = ctx.saved_tensors
        return masked(gradient, above)
