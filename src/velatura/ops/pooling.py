"""Average pooling of 2x2 windows, whose gradient is spread where it is added to others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from velatura.ops.joining import can_join
from velatura.ops.rectifier import below_rectifier, masked

__all__ = ["average_pool", "has_whole_windows", "with_way_for_pools"]


def average_pool(features: Tensor) -> Tensor:
    """The mean of each 2x2 window, as ``torch.nn.functional.avg_pool2d``.

    Above a rectifier, or a layer that gave it a way (:func:`with_way_for_pools`), its gradient is a map
    less to write. There it can be differentiated once.

    Args:
        features: ``(B, C, H, W)``; a row or column too many is left out.

    Returns:
        ``(B, C, H // 2, W // 2)``.
    """
    way: Tensor | None = getattr(features.grad_fn, "way_for_pools", None)
    below = below_rectifier(features)
    pooled: Tensor
    if way is not None:
        pooled = _PoolOnItsWay.apply(way, features.detach())  # type: ignore[no-untyped-call]
    elif below is not None and can_join(features) and has_whole_windows(features):
        pooled = _RectifiedPool.apply(below)  # type: ignore[no-untyped-call]
    else:
        pooled = functional.avg_pool2d(features, 2)
    return pooled


def with_way_for_pools(features: Tensor, way: Tensor | None) -> Tensor:
    """Features with a way past them for the gradient of a pool.

    Args:
        features: ``(B, C, H, W)``.
        way: ``(B, C, H / 2, W / 2)``, an output of the function that made ``features``, which takes the
            gradient of the pooled map there. Its numbers are never read. None: there is none.

    Returns:
        The same features.
    """
    if way is None:
        return features
    above: Tensor = _WithWay.apply(features, way)  # type: ignore[no-untyped-call]
    return above


def has_whole_windows(features: Tensor) -> bool:
    """Whether 2x2 windows leave nothing of a map ``(B, C, H, W)`` out."""
    return features.shape[2] % 2 == 0 and features.shape[3] % 2 == 0


class _WithWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, way: Tensor) -> Tensor:
        ctx.way_for_pools = way
        return features.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004 - torch's signature
        return gradient, None


class _PoolOnItsWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, way: Tensor, features: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return functional.avg_pool2d(features, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004 - torch's signature
        return gradient, None


class _RectifiedPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features.detach())
        return functional.avg_pool2d(features, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        back = torch.ops.aten.avg_pool2d_backward(
            gradient, features, [2, 2], [2, 2], [0, 0], False, True, None
        )
        return masked(back, features, out=back)
