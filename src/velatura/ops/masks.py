"""Masks of regions: shares of the pixels, soft edges, and what a layer's positions see of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["box_means", "feathered", "greatest_seen", "least_seen", "nearest_colors", "shares"]


def shares(masks: Tensor, *, kept: Tensor | None = None) -> Tensor:
    """Masks as parts of each pixel, which sum to at most 1.

    Where masks sum to more than 1 they are scaled to 1; where they sum to less, the rest is nobody's.

    Args:
        masks: ``(R, H, W)`` in [0, 1].
        kept: How much of each pixel is to stay as it is whatever the masks say, ``(1, H, W)`` in [0, 1].

    Returns:
        ``(R, H, W)`` in [0, 1].
    """
    parts = masks / masks.sum(dim=0, keepdim=True).clamp_min(1)
    return parts if kept is None else parts * (1 - kept)


def feathered(masks: Tensor, pixels: float) -> Tensor:
    """Masks whose edges fade: a Gaussian of which two deviations are ``pixels``.

    A hard edge goes from 2 % to 98 % between ``pixels`` before it and ``pixels`` behind it. Beyond the frame
    a mask goes on as it is at the frame.

    Args:
        masks: ``(R, H, W)``.
        pixels: At least 0; 0 changes nothing.
    """
    if pixels == 0:
        return masks
    radius = math.ceil(1.5 * pixels)
    offsets = torch.arange(-radius, radius + 1, dtype=masks.dtype, device=masks.device)
    bell = torch.exp(-2 * (offsets / pixels) ** 2)
    bell = bell / bell.sum()
    soft = functional.pad(masks[:, None], (radius, radius, 0, 0), mode="replicate")
    soft = functional.conv2d(soft, bell.view(1, 1, 1, -1))
    soft = functional.pad(soft, (0, 0, radius, radius), mode="replicate")
    return functional.conv2d(soft, bell.view(1, 1, -1, 1))[:, 0].clamp(0, 1)


def box_means(masks: Tensor, size: tuple[int, int], *, first: int, step: int, length: int) -> Tensor:
    """The mean of each mask over windows at regular steps; what is beyond the frame does not count.

    Args:
        masks: ``(R, H, W)``.
        size: How many windows there are downwards and across; each has a pixel inside the frame.
        first: The first pixel, along both axes, of the first window.
        step: Pixels from a window to the next.
        length: Edge of a window in pixels.

    Returns:
        ``(R, *size)``.
    """
    down = _means_along(masks.transpose(1, 2), size[0], first, step, length).transpose(1, 2)
    return _means_along(down, size[1], first, step, length)


def _means_along(masks: Tensor, count: int, first: int, step: int, length: int) -> Tensor:
    edge = masks.shape[-1]
    sums = functional.pad(masks.double().cumsum(dim=-1), (1, 0))  # Of none, of one, of two pixels, ...
    begins = first + step * torch.arange(count, device=masks.device)
    low, high = begins.clamp(0, edge), (begins + length).clamp(0, edge)
    assert bool((high > low).all()), "a window lies beyond the frame"
    return ((sums[..., high] - sums[..., low]) / (high - low)).to(masks.dtype)


def least_seen(masks: Tensor, size: tuple[int, int], *, first: int, step: int, length: int) -> Tensor:
    """As :func:`box_means`, the least value in each window: 1 where all of it is in the region."""
    return -greatest_seen(-masks, size, first=first, step=step, length=length)


def greatest_seen(masks: Tensor, size: tuple[int, int], *, first: int, step: int, length: int) -> Tensor:
    """As :func:`box_means`, the greatest value in each window: 0 where none of it is in the region."""
    down = _greatest_along(masks.transpose(1, 2), size[0], first, step, length).transpose(1, 2)
    return _greatest_along(down, size[1], first, step, length)


def _greatest_along(masks: Tensor, count: int, first: int, step: int, length: int) -> Tensor:
    end = first + step * (count - 1) + length  # One behind the last window.
    beyond = (-min(first, 0), max(end - masks.shape[-1], 0))
    padded = functional.pad(masks, beyond, value=-torch.inf)
    windows = padded[..., max(first, 0) :].narrow(-1, 0, end - first)
    return functional.max_pool1d(windows, length, step)


def nearest_colors(picture: Tensor, palette: Tensor) -> Tensor:
    """Which colour of a palette each pixel is nearest to.

    Args:
        picture: ``(3, H, W)``.
        palette: ``(N, 3)``.

    Returns:
        Numbers from 0 to N - 1, ``(H, W)``.
    """
    best = torch.full(picture.shape[1:], torch.inf, dtype=picture.dtype, device=picture.device)
    nearest = torch.zeros(picture.shape[1:], dtype=torch.long, device=picture.device)
    for number, color in enumerate(palette):
        distance = (picture - color[:, None, None]).square().sum(dim=0)
        nearest = torch.where(distance < best, number, nearest)
        best = torch.minimum(best, distance)
    return nearest
