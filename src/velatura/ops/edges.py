"""What a 3x3 convolution makes of the border of a map.

To put a border around a map is to copy the map, and to take its gradient off is to copy that. What the
border adds to a convolution with zeros there is thin: it reaches the outermost rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor
from torch.nn import functional

from velatura.ops.rectifier import masked

__all__ = ["Border", "convolve_border", "fold_border", "outermost"]

Border: TypeAlias = Literal["zeros", "reflect", "replicate"]
_ROW, _COLUMN = 2, 3
_AXES = (_ROW, _ROW, _COLUMN, _COLUMN)


def outermost(maps: Tensor, *, inward: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """First and last row, ``(B, C, 1, W)``, and first and last column, ``(B, C, H, 1)``, as views.

    Args:
        maps: ``(B, C, H, W)``, or kernels.
        inward: How many rows and columns further in.
    """
    height, width = maps.shape[2:]
    rows = maps.narrow(_ROW, inward, 1), maps.narrow(_ROW, height - 1 - inward, 1)
    return *rows, maps.narrow(_COLUMN, inward, 1), maps.narrow(_COLUMN, width - 1 - inward, 1)


def convolve_border(out: Tensor, features: Tensor, kernels: Sequence[Tensor], border: Border) -> None:
    """Adds to a convolution what it makes of the border.

    Args:
        out: The convolution with zeros there, ``(B, C_out, H, W)``, which is changed.
        features: Its input, ``(B, C_in, H, W)``.
        kernels: By which the outermost of ``out`` see the border above, below, left and right of them:
            the :func:`outermost` of the kernel.
        border: What lies beyond the edge, not zeros.
    """
    copied = outermost(features, inward=_inward(border))
    for edge, line, kernel, axis in zip(outermost(out), copied, kernels, _AXES, strict=True):
        if axis == _ROW:  # With the corners.
            edge.add_(functional.conv2d(functional.pad(line, (1, 1, 0, 0), mode=border), kernel))
        else:
            edge.add_(functional.conv2d(line, kernel, padding=(1, 0)))


def fold_border(
    back: Tensor,
    edges: Sequence[Tensor],
    kernels: Sequence[Tensor],
    border: Border,
    *,
    active: Tensor | None = None,
) -> None:
    """Adds to the gradient of a map what flows to its border, where that was copied from.

    Args:
        back: The gradient without it, ``(B, C_in, H, W)``, which is changed.
        edges: The :func:`outermost` of the convolution's gradient, ``(B, C_out, H, W)``.
        kernels: Those of :func:`convolve_border`, each turned by half a turn, ``C_in`` and ``C_out`` swapped.
        border: What lies beyond the edge, not zeros.
        active: ``(B, C_in, H, W)``: nothing flows there where this is not above 0. None: everywhere.
    """
    inward = _inward(border)
    for line, edge, kernel, axis in zip(outermost(back, inward=inward), edges, kernels, _AXES, strict=True):
        if axis == _COLUMN:
            line.add_(functional.conv2d(edge, kernel, padding=(1, 0)))
            continue
        beyond = functional.conv2d(edge, kernel, padding=(0, 2))  # With the corners, (B, C_in, 1, W + 2).
        last = beyond.shape[_COLUMN] - 1
        beyond[..., 1 + inward].add_(beyond[..., 0])
        beyond[..., last - 1 - inward].add_(beyond[..., last])
        line.add_(beyond[..., 1:-1])
    if active is not None:
        for line, own in zip(outermost(back, inward=inward), outermost(active, inward=inward), strict=True):
            masked(line, own, out=line)


def _inward(border: Border) -> int:
    """How far inside of the edge the border is copied from."""
    return 1 if border == "reflect" else 0
