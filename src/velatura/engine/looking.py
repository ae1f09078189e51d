"""The maps of one tile on their way up: those of its own positions, without a copy, and their gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.engine.parts import PictureTile
from velatura.losses.additive import Part

__all__ = ["computed", "laid_into", "looked_at", "moved", "part_of"]


def moved(positions: slice, by: int) -> slice:
    """The same positions counted from so many before."""
    return slice(positions.start + by, positions.stop + by)


def part_of(picture: Tensor, tile: PictureTile) -> Tensor:
    """What a tile reads, a copy in the memory format of the whole."""
    part = picture.detach()[..., *tile.read]
    return part.clone(memory_format=_format_of(picture))


def laid_into(maps: dict[str, Tensor], layer: str, part: Part, size: tuple[int, int]) -> None:
    """Lays the features of a part into the whole map of its layer, which is made where there is none."""
    if layer not in maps:
        maps[layer] = part.own.new_empty((*part.own.shape[:2], *size))
    maps[layer][..., part.at[0], part.at[1]] = part.own


def looked_at(features: Tensor, rows: slice, columns: slice, beyond: int) -> tuple[Tensor, Tensor]:
    """Features to go on with, and those at the positions given and so many after them."""
    rows, columns = slice(rows.start, rows.stop + beyond), slice(columns.start, columns.stop + beyond)
    if not (torch.is_grad_enabled() and features.requires_grad):
        return features, features[..., rows, columns]
    passed, own = _LookedAt.apply(features, rows, columns)  # type: ignore[no-untyped-call]
    return passed, own


class _LookedAt(torch.autograd.Function):
    """Autograd would write a map of zeros for the part, and then add it to the gradient from above."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        ctx.at, ctx.shape, ctx.format = (rows, columns), features.shape, _format_of(features)
        ctx.set_materialize_grads(False)
        # Not views, which autograd would follow by itself.
        return features.detach(), features.detach()[..., rows, columns]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, from_above: Tensor | None, own: Tensor | None) -> tuple[Tensor | None, None, None]:
        if own is None:
            return from_above, None, None
        if from_above is None:
            back = own.new_zeros(ctx.shape).contiguous(memory_format=ctx.format)
        else:
            back = from_above.clone(memory_format=ctx.format)
        back[..., *ctx.at] += own
        return back, None, None


def computed(canvas: Tensor, values: Tensor, gradient: Tensor) -> Tensor:
    """The values, through which ``gradient`` comes back to the canvas.

    Args:
        canvas: ``(B, 3, H, W)``, which asks for its gradient.
        values: ``(N,)``; their sum is what the gradient is of.
        gradient: In the shape of the canvas; it may be handed on as it is.
    """
    out: Tensor = _Computed.apply(canvas, values, gradient)  # type: ignore[no-untyped-call]
    return out


class _Computed(torch.autograd.Function):
    """Terms whose summed gradient is known already."""

    @staticmethod
    def forward(ctx: Any, canvas: Tensor, values: Tensor, gradient: Tensor) -> Tensor:  # noqa: ARG004
        ctx.gradient = gradient
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_values: Tensor) -> tuple[Tensor, None, None]:
        gradient, ctx.gradient = ctx.gradient, None
        assert bool((to_values == to_values[0]).all()), "the gradient is that of the sum of the terms"
        return (gradient if to_values[0] == 1 else gradient * to_values[0]), None, None


def _format_of(maps: Tensor) -> torch.memory_format:
    is_last = maps.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
