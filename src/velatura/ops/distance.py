"""Sums of squares over whole maps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.rectifier import below_rectifier, masked

__all__ = ["in_memory_order", "squared_distance", "squared_distance_in_passing", "squared_norm"]


def in_memory_order(maps: Tensor) -> Tensor:
    """The numbers of each sample in the order in which they lie in memory, ``(B, C H W)``.

    A reduction over the dimensions of channels_last maps goes from channel to channel: four times the time
    of one over this. It is a view of maps that are dense in either memory format.
    """
    is_channels_last = maps.is_contiguous(memory_format=torch.channels_last)
    return (maps.permute(0, 2, 3, 1) if is_channels_last else maps).flatten(1)


def squared_norm(maps: Tensor) -> Tensor:
    """Sum of the squares of each sample.

    Args:
        maps: ``(B, C, H, W)``, float32 or float64.

    Returns:
        ``(B,)``.
    """
    return torch.stack([torch.dot(numbers, numbers) for numbers in in_memory_order(maps)])


def squared_distance(maps: Tensor, wanted: Tensor) -> Tensor:
    """Sum of the squared differences of each sample.

    Autograd squares, sums, and doubles a map at a time; this keeps the difference alone, a quarter of the
    time. It can be differentiated once.

    Args:
        maps: ``(B, C, H, W)``, float32 or float64.
        wanted: The same, or of one sample; a constant.

    Returns:
        ``(B,)``.
    """
    distance: Tensor = _SquaredDistance.apply(maps, wanted)  # type: ignore[no-untyped-call]
    return distance


def squared_distance_in_passing(maps: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The :func:`squared_distance` of maps that go on to other layers, and maps to go on with.

    Its gradient is added to the one from above where autograd would write both and then add, and both are
    masked where the maps come from a rectifier. It can be differentiated once.

    Args:
        maps: ``(B, C, H, W)``, float32 or float64.
        wanted: The same, or of one sample; a constant.

    Returns:
        The maps, and the distance ``(B,)``.
    """
    below = below_rectifier(maps)
    passed, distance = _DistanceInPassing.apply(  # type: ignore[no-untyped-call]
        maps if below is None else below, wanted, below is not None
    )
    return passed, distance


class _DistanceInPassing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, wanted: Tensor, rectified: bool) -> tuple[Tensor, Tensor]:
        passed, difference = maps.detach(), maps - wanted
        ctx.save_for_backward(difference, passed)
        ctx.rectified = rectified
        ctx.set_materialize_grads(False)
        return passed, squared_norm(difference)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, from_above: Tensor | None, gradient: Tensor | None
    ) -> tuple[Tensor | None, None, None]:
        difference, passed = ctx.saved_tensors
        back = from_above
        if gradient is not None:
            each = (2 * gradient)[:, None, None, None]
            back = difference * each if from_above is None else torch.addcmul(from_above, difference, each)
        if ctx.rectified and back is not None:
            back = masked(back, passed, out=None if back is from_above else back)
        return back, None, None


class _SquaredDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, wanted: Tensor) -> Tensor:
        difference = maps - wanted
        ctx.save_for_backward(difference)
        return squared_norm(difference)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * (2 * gradient)[:, None, None, None], None
