"""Gradients that meet at a map, added while a part of it is in the cache.

Autograd writes each of them, a map, and then adds: four passes over memory where one will do. In a network
of few channels they take longer than the products that they are sums of.
"""

from __future__ import annotations

import math
from typing import overload

import torch
from torch import Tensor

from velatura.ops.gram import NUMBERS_AT_ONCE
from velatura.ops.precision import without_autocast
from velatura.ops.rectifier import masked

__all__ = ["can_join", "joined_gradient"]

# From so many channels on, a copy writes each twice as fast as a matrix product does.
_WIDE = 64
_SEVERAL = 64


def can_join(features: Tensor) -> bool:
    """Whether :func:`joined_gradient` is for this map: float32 or float64 in channels_last, on a CPU."""
    return (
        features.device.type == "cpu"
        and features.dtype in (torch.float32, torch.float64)
        and features.is_contiguous(memory_format=torch.channels_last)
    )


def joined_gradient(
    features: Tensor,
    *,
    products: Tensor | None = None,
    everywhere: Tensor | None = None,
    onto: Tensor | None = None,
    pooled: Tensor | None = None,
    rectified: bool = False,
) -> Tensor:
    r"""The sum of what flows to a map from its moments, from above, and from a pool.

    Args:
        features: The map ``F``, ``(B, C, H, W)``, for which :func:`can_join` holds.
        products: ``S``, ``(B, C, C)``, symmetric: adds ``S F``.
        everywhere: Added at every position, ``(B, C)``.
        onto: Added at each, ``(B, C, H, W)``.
        pooled: The gradient of 2x2 average pooling, ``(B, C, H / 2, W / 2)``: a quarter goes to each position
            that was averaged.
        rectified: The map is a rectifier's: nothing flows where it is zero.

    Returns:
        ``(B, C, H, W)``, in channels_last.
    """
    batch, channels, height, width = features.shape
    out = torch.empty_like(features)
    rows = 2 * max(1, NUMBERS_AT_ONCE * torch.get_num_threads() // (2 * width * channels))
    if everywhere is None:
        everywhere = features.new_zeros(batch, channels)
    with without_autocast(features):
        for sample in range(batch):
            own, both = _in_rows(features, sample), _in_rows(out, sample)
            begin = _Beginning(everywhere[sample], _in_rows(onto, sample), _in_rows(pooled, sample), width)
            for top in range(0, height, rows):
                part = both[top : top + rows]
                begin.write(part, top)
                if products is not None:
                    part.view(-1, channels).addmm_(own[top : top + rows].view(-1, channels), products[sample])
                if rectified:
                    masked(part, own[top : top + rows], out=part)
    return out


@overload
def _in_rows(maps: Tensor, sample: int) -> Tensor: ...
@overload
def _in_rows(maps: Tensor | None, sample: int) -> Tensor | None: ...
def _in_rows(maps: Tensor | None, sample: int) -> Tensor | None:
    """``(H, W, C)``, contiguous."""
    return None if maps is None else maps[sample].permute(1, 2, 0).contiguous()


class _Beginning:
    """What is added to the product, a few rows at a time.

    Args:
        everywhere: ``(C,)``.
        onto: ``(H, W, C)``, or none.
        pooled: ``(H / 2, W / 2, C)``, or none.
        width: ``W``.
    """

    def __init__(self, everywhere: Tensor, onto: Tensor | None, pooled: Tensor | None, width: int) -> None:
        self._everywhere, self._onto, self._pooled = everywhere, onto, pooled
        # Several positions at a time: sixteen numbers at a time, a sum takes twice as long.
        self._several = everywhere.repeat(math.gcd(width, _SEVERAL))
        if pooled is not None and len(everywhere) < _WIDE:
            # Each position of a row twice, by a product with two unit matrices side by side.
            self._twice = torch.eye(len(everywhere), dtype=pooled.dtype).repeat(1, 2) / 4

    def write(self, rows: Tensor, top: int) -> None:
        """Fills in the rows from ``top`` on, ``(h, W, C)``."""
        numbers = rows.view(-1, len(self._several))
        onto = None if self._onto is None else self._onto[top : top + len(rows)].view(numbers.shape)
        if self._pooled is not None:
            self._spread(rows, self._pooled[top // 2 : (top + len(rows)) // 2])
            if onto is not None:
                numbers += onto
        elif onto is None:
            numbers.copy_(self._several.expand_as(numbers))
        else:
            torch.add(onto, self._several, out=numbers)

    def _spread(self, rows: Tensor, pooled: Tensor) -> None:
        """A quarter of each position of ``pooled``, ``(h / 2, W / 2, C)``, to the four of ``rows``."""
        half, across, channels = pooled.shape
        if channels < _WIDE:
            wide = torch.addmm(self._everywhere.repeat(2), pooled.view(-1, channels), self._twice)
            rows.view(half, 2, -1).copy_(wide.view(half, 1, -1))
        else:
            once = torch.add(self._everywhere, pooled, alpha=1 / 4)
            rows.view(half, 2, across, 2, channels).copy_(once[:, None, :, None])
