"""Pictures that go on at the opposite edge, so that copies side by side show no seam."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.resize import resize

__all__ = ["Wrap", "goes_round", "resize_wrapped", "wrapped"]

Wrap: TypeAlias = Literal["none", "x", "y", "both"]
"""Along which axes the right edge is followed by the left one, and the lower by the upper."""

_ROWS, _COLUMNS = 2, 3
# Four pixels on each side of the smaller of both sizes: bicubic weights reach two.
_REACH = 4


def goes_round(wrap: Wrap) -> tuple[bool, bool]:
    """Whether rows and whether columns go round: ``y`` joins bottom to top, ``x`` right to left."""
    return wrap in ("y", "both"), wrap in ("x", "both")


def wrapped(features: Tensor, rows: int, columns: int) -> Tensor:
    """``features`` with what follows beyond each edge: a copy of the opposite one.

    Args:
        features: ``(B, C, H, W)``.
        rows: How many are added above and below, at most ``H``; 0: none.
        columns: How many are added left and right, at most ``W``.

    Returns:
        ``(B, C, H + 2 rows, W + 2 columns)``, in the memory format of ``features``. It can be differentiated
        once.

    Raises:
        ValueError: More is to be added than there is.
    """
    height, width = features.shape[2:]
    if not (0 <= rows <= height and 0 <= columns <= width):
        raise ValueError(f"a map of {width}x{height} has no {columns} columns and {rows} rows to go round by")
    around: Tensor = _Wrapped.apply(features, rows, columns)  # type: ignore[no-untyped-call]
    return around


class _Wrapped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, rows: int, columns: int) -> Tensor:
        ctx.added = rows, columns
        batch, channels, height, width = features.shape
        is_last = features.is_contiguous(memory_format=torch.channels_last)
        out = torch.empty(
            (batch, channels, height + 2 * rows, width + 2 * columns),
            dtype=features.dtype,
            device=features.device,
            memory_format=torch.channels_last if is_last else torch.contiguous_format,
        )
        middle = out.narrow(_ROWS, rows, height)
        middle.narrow(_COLUMNS, columns, width).copy_(features)
        _copy_round(middle, _COLUMNS, columns)
        _copy_round(out, _ROWS, rows)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, columns = ctx.added
        folded = _folded(_folded(gradient, _ROWS, rows), _COLUMNS, columns)
        return folded, None, None


def _copy_round(out: Tensor, axis: int, added: int) -> None:
    """Fills in the first and last ``added`` along ``axis`` from what lies between."""
    if added:
        inner = out.shape[axis] - 2 * added
        out.narrow(axis, 0, added).copy_(out.narrow(axis, inner, added))
        out.narrow(axis, added + inner, added).copy_(out.narrow(axis, added, added))


def _folded(gradient: Tensor, axis: int, added: int) -> Tensor:
    """The gradient of what was copied round, where it was copied from."""
    if not added:
        return gradient
    inner = gradient.shape[axis] - 2 * added
    back = gradient.narrow(axis, added, inner).clone()
    back.narrow(axis, inner - added, added).add_(gradient.narrow(axis, 0, added))
    back.narrow(axis, 0, added).add_(gradient.narrow(axis, added + inner, added))
    return back


def resize_wrapped(image: Tensor, size: tuple[int, int], wrap: Wrap) -> Tensor:
    """:func:`velatura.ops.resize.resize` of a picture that goes round, without a seam.

    Args:
        image: ``(B, C, H, W)``.
        size: Height and width of the result.
        wrap: Along which axes it goes round.

    Returns:
        ``(B, C, *size)``; rolled by whole steps of both grids, the picture gives the rolled result.
    """
    margins = [
        _margins(image.shape[axis], size[axis - _ROWS]) if round_it else (0, 0)
        for axis, round_it in zip((_ROWS, _COLUMNS), goes_round(wrap), strict=True)
    ]
    (rows, above), (columns, left) = margins
    whole = resize(wrapped(image, rows, columns), (size[0] + 2 * above, size[1] + 2 * left))
    return whole.narrow(_ROWS, above, size[0]).narrow(_COLUMNS, left, size[1]).contiguous()


def _margins(length: int, resized: int) -> tuple[int, int]:
    """What is added at each end before and after, in the ratio of both lengths, so that no position moves."""
    common = math.gcd(length, resized)
    step = min(length, resized) // common
    times = min(common, -(-_REACH // step))
    return times * (length // common), times * (resized // common)
