"""Guides: which positions of each layer belong to which region (Gatys et al. 2017, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import torch
from annotated_types import Interval
from torch import Tensor

from velatura.backbones import Backbone, LayerShape
from velatura.core.config import Idle, Setting
from velatura.ops.masks import box_means, greatest_seen, least_seen
from velatura.ops.precision import at_least_float32

__all__ = ["GuideMode", "Guiding", "effective_positions", "guide", "guides_for"]

GuideMode: TypeAlias = Literal["simple", "inside", "all"]

_BELONGS = 0.5
# Of the weight where the mask is whitest. A mean over a window is above 0 wherever the mask has a pixel.
_LEAST_WEIGHT = 1 / 255


@dataclass(frozen=True, kw_only=True)
class Guiding:
    """How masks reach the layers of a network, and how regions are weighed against one another."""

    mode: Annotated[
        GuideMode,
        Setting(
            "Which positions of a layer are a region's: simple, the mask at the layer's size; inside, those "
            "that see nothing else; all, those that see any of it"
        ),
    ] = "simple"
    reach: Annotated[
        float,
        Interval(ge=0, le=1),
        Setting("How much of what a position sees counts as seen, from its middle out"),
        Idle("mode", ("simple",)),
    ] = 1.0
    weighing: Annotated[
        Literal["equal", "area"],
        Setting("Weight of each region's style: the same (Gatys et al. 2017), or its part of the picture"),
    ] = "area"


def guides_for(
    backbone: Backbone, masks: Tensor, sizes: Mapping[str, tuple[int, int]], how: Guiding
) -> dict[str, Tensor]:
    """How much each position of each layer counts in each region.

    A loss takes one of them, ``guides[layer][:, r : r + 1]``, as its mask.

    Args:
        backbone: Whose layers.
        masks: Shares of the pixels of the picture, ``(R, H, W)`` in [0, 1].
        sizes: Height and width of each layer's map; a layer that the backbone lacks is the picture itself.
        how: Which positions count.

    Returns:
        Weights in [0, 1], ``(1, R, h, w)`` by layer; all zero where the layer has no position for a region.
    """
    pixel = LayerShape(channels=3, stride=1, receptive_field=1, smallest_input=1, padding=0)
    return {
        layer: guide(masks, backbone.shapes.get(layer, pixel), size, how)[None]
        for layer, size in sizes.items()
    }


def guide(masks: Tensor, layer: LayerShape, size: tuple[int, int], how: Guiding) -> Tensor:
    r"""Weights of the positions of one layer: the squares of its guidance channels.

    Gatys et al. 2017, eq. 5, multiply the features by a guidance channel :math:`T_r`, so that a position
    counts :math:`T_r^2`. The channel is the mask's mean over the pixels that a position stands for, which
    follow the layer's stride and padding. ``inside`` sets it to 0 where less than half of a mask's white is
    at some pixel that the position sees; ``all`` takes the whitest pixel that it sees, if that is at least
    half white. A region of less than 1/255 of its full weight at every position has none. Departure: the
    authors' code erodes and dilates the small mask by three positions.

    Args:
        masks: ``(R, H, W)`` in [0, 1].
        layer: Where its positions lie.
        size: Height and width of its map.
        how: Which positions count.

    Returns:
        ``(R, *size)`` in [0, 1]; not scaled to a sum, which losses do.
    """
    field = layer.receptive_field
    middle = layer.seen_from() + (field - layer.stride) // 2
    channel = box_means(masks, size, first=middle, step=layer.stride, length=layer.stride)
    if how.mode != "simple":
        # As much at either end, so that the window stays in the middle.
        left_out = min(round((1 - how.reach) * field / 2), (field - 1) // 2)
        first, length = layer.seen_from() + left_out, field - 2 * left_out
        if how.mode == "inside":
            least = least_seen(masks, size, first=first, step=layer.stride, length=length)
            channel = torch.where(least >= _BELONGS, channel, 0)
        else:
            greatest = greatest_seen(masks, size, first=first, step=layer.stride, length=length)
            channel = torch.where(greatest >= _BELONGS, greatest, 0)
    weights = channel.square()
    least = _LEAST_WEIGHT * masks.amax(dim=(1, 2), keepdim=True).square()
    return torch.where(weights.amax(dim=(1, 2), keepdim=True) >= least, weights, 0)


def effective_positions(weights: Tensor) -> Tensor:
    r"""How many positions of one weight would tell as much (Kish 1965).

    .. math:: n = (\sum_k g_k)^2 / \sum_k g_k^2

    Args:
        weights: ``(..., h, w)``, at least 0.

    Returns:
        ``(...)``; 0 where all weights are.
    """
    wide = at_least_float32(weights)
    squares = wide.square().sum(dim=(-2, -1))
    return wide.sum(dim=(-2, -1)).square() / squares.clamp_min(torch.finfo(squares.dtype).tiny)
