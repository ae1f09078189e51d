"""The Laplacian of a picture that was made coarser: where its outlines are, whatever its colours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["pooled_laplacian"]


def pooled_laplacian(image: Tensor, pool: int, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    r"""How much each block of pixels differs from its four neighbours, all channels together.

    .. math:: D_i = \sum_c \sum_{j \in N(i)} (\bar x_{ci} - \bar x_{cj})

    with the means :math:`\bar x` of blocks of ``pool`` pixels: the filter ``0 -1 0, -1 4 -1, 0 -1 0``. A
    block at the border, or beside one without weight, is compared with the neighbours that there are; a block
    that hangs over the border is the mean of what lies inside.

    Args:
        image: ``(B, C, H, W)``.
        pool: Edge of a block, in pixels, >= 1.
        mask: Weights of the pixels >= 0, ``(B, 1, H, W)`` or ``(1, 1, H, W)``; None: all 1.

    Returns:
        The Laplacian, and how much each block counts (the mean of the mask over its whole ``pool`` x ``pool``
        pixels, so that a block cut by the border counts for its part), both ``(B or 1, 1, h, w)`` with
        ``h = ceil(H / pool)``, at least float32.

    Raises:
        ValueError: ``image`` is not four-dimensional, ``mask`` has another shape, or ``pool`` is below 1.
    """
    check_features(image)
    if pool < 1:
        raise ValueError(f"pool must be at least 1, not {pool}")
    wide = at_least_float32(image)
    if mask is None:
        weights = wide.new_ones((1, 1, *image.shape[2:]))
    else:
        check_mask(mask, image)
        weights = at_least_float32(mask).to(wide.dtype)
    # Channels first: the filter is linear, and one map is pooled in place of three.
    summed = (wide * weights).sum(dim=1, keepdim=True)
    counted = _block_means(weights, pool)
    blocks = _block_means(summed, pool) / torch.where(counted > 0, counted, 1)
    return _differences(blocks, counted), counted


def _block_means(maps: Tensor, pool: int) -> Tensor:
    """Sums over blocks divided by their full size, whatever hangs over the border."""
    height, width = maps.shape[2:]
    beyond = (0, -width % pool, 0, -height % pool)
    return functional.avg_pool2d(functional.pad(maps, beyond), pool)


def _differences(blocks: Tensor, counted: Tensor) -> Tensor:
    present = (counted > 0).to(blocks.dtype).expand_as(blocks)
    total = torch.zeros_like(blocks)
    for axis in (2, 3):
        length = blocks.shape[axis] - 1
        step = blocks.narrow(axis, 1, length) - blocks.narrow(axis, 0, length)
        ahead, behind = present.narrow(axis, 1, length), present.narrow(axis, 0, length)
        total = total + _placed(step * behind, axis, 1, blocks) - _placed(step * ahead, axis, 0, blocks)
    return total


def _placed(part: Tensor, axis: int, start: int, like: Tensor) -> Tensor:
    """``part`` with one line of zeros before it (``start`` 1) or after it along ``axis``."""
    line = torch.zeros_like(like.narrow(axis, 0, 1))
    return torch.cat([line, part] if start else [part, line], dim=axis)
