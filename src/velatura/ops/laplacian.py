"""The Laplacian of a picture that was made coarser: where its outlines are, whatever its colours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["block_laplacian", "block_sums"]


def block_sums(maps: Tensor, pool: int, *, at: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Sums over blocks of pixels of a picture of which ``maps`` is a part.

    Args:
        maps: ``(B, C, H, W)``.
        pool: Edge of a block, >= 1.
        at: Row and column of the picture where the part begins.
        size: Height and width of the picture.

    Returns:
        ``(B, C, ceil(height / pool), ceil(width / pool))``: the part's share of each block. Those of parts
        that share no pixel add up to the picture's.
    """
    (height, width), (top, left) = maps.shape[2:], at
    before = (top % pool, left % pool)
    after = (-(top + height) % pool, -(left + width) % pool)
    whole_blocks = functional.pad(maps, (before[1], after[1], before[0], after[0]))
    sums = functional.avg_pool2d(whole_blocks, pool, divisor_override=1)
    rows, columns = (-(-length // pool) for length in size)
    above, ahead = top // pool, left // pool
    below, behind = rows - above - sums.shape[2], columns - ahead - sums.shape[3]
    return functional.pad(sums, (ahead, behind, above, below))


def block_laplacian(sums: Tensor, counted: Tensor) -> Tensor:
    r"""How much the mean of each block differs from those of its four neighbours.

    .. math:: D_i = \sum_{j \in N(i)} (\bar x_i - \bar x_j)

    This is the filter ``0 -1 0, -1 4 -1, 0 -1 0``. A block at the border, or beside one of which nothing
    counts, is compared with the neighbours that there are.

    Args:
        sums: Over each block, ``(B, C, h, w)``.
        counted: How many pixels of each count, or the sum of their weights, ``(B, 1, h, w)`` or
            ``(1, 1, h, w)``.

    Returns:
        ``(B, C, h, w)``.
    """
    blocks = sums / torch.where(counted > 0, counted, 1)
    present = (counted > 0).to(blocks.dtype).expand_as(blocks)
    total = torch.zeros_like(blocks)
    for axis in (2, 3):
        length = blocks.shape[axis] - 1
        step = blocks.narrow(axis, 1, length) - blocks.narrow(axis, 0, length)
        ahead, behind = present.narrow(axis, 1, length), present.narrow(axis, 0, length)
        total = total + _beside(step * behind, axis, before=1) - _beside(step * ahead, axis, before=0)
    return total


def _beside(part: Tensor, axis: int, *, before: int) -> Tensor:
    """``part`` with one line of zeros before it, or after it, along ``axis``."""
    line = [before, 1 - before]
    return functional.pad(part, [0, 0, *line] if axis == 2 else line)
