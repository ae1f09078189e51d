"""Mean and deviation of each channel, and the norms that are made of them.

They are what ties the far ends of a picture together in a network of convolutions. Where the whole does not
fit into memory, they are measured once, on the whole at a smaller size, and held while its tiles pass.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from velatura.ops.precision import at_least_float32, without_autocast

__all__ = [
    "ChannelMoments",
    "ChannelStatistics",
    "InstanceNorm",
    "Statistics",
    "held_apart",
    "held_statistics",
]


class Statistics(nn.Module, ABC):
    """Two statistics of the channels over the positions, or those held from another picture."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, tuple[Tensor, Tensor]] = {}
        self.is_holding = False
        self.slot = 0
        """Which of those held counts: one for each style that passes."""

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of ``(B, C, H, W)``, in float32 at least."""
        if self.is_holding and self.slot in self.held:
            return self.held[self.slot]
        with without_autocast(features):
            measured = self.measured(features)
        if self.is_holding:
            self.held[self.slot] = measured
        return measured

    @abstractmethod
    def measured(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The two statistics of these very features."""


class ChannelStatistics(Statistics):
    """Mean and standard deviation of each channel, two tensors ``(B, C, 1, 1)``.

    Args:
        epsilon: Added to the variance, which keeps the gradient finite for a flat channel.
    """

    def __init__(self, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon

    def measured(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation."""
        wide = at_least_float32(features)
        # As products of matrices: sums over the positions of channels_last features take four times as long.
        flat = wide.flatten(2)  # (B, C, HW)
        even = flat.new_full((flat.shape[2], 1), 1 / flat.shape[2])
        mean = flat @ even
        # Of what is left when the mean is gone, so that rounding does not eat a small variance.
        variance = (flat - mean).square() @ even
        return mean[..., None], (variance + self.epsilon).sqrt()[..., None]


class ChannelMoments(Statistics):
    """Mean ``(B, C)`` and second raw moment ``(B, C, C)``, which mix linearly."""

    def measured(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Both moments, as plain products: a graph cannot hold those of the losses, which threads share."""
        flat = at_least_float32(features).flatten(2)  # (B, C, HW)
        even = flat.new_full((flat.shape[2], 1), 1 / flat.shape[2])
        return (flat @ even)[..., 0], (flat @ flat.mT) / flat.shape[2]


class InstanceNorm(nn.Module):
    """Each channel of each picture to mean 0 and deviation 1, then scaled and shifted (Ulyanov et al. 2017).

    Args:
        channels: Feature maps.
        epsilon: Added to the variance.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.statistics = ChannelStatistics(epsilon=epsilon)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        mean, deviation = self.statistics(features)
        scale = self.weight[:, None, None] / deviation
        normed: Tensor = features * scale + (self.bias[:, None, None] - mean * scale)
        return normed.to(features.dtype)


@contextlib.contextmanager
def held_statistics(network: nn.Module) -> Iterator[None]:
    """The first picture that passes decides the statistics for all that follow, until the block ends."""
    parts = [module for module in network.modules() if isinstance(module, Statistics)]
    for part in parts:
        part.is_holding = True
    try:
        yield
    finally:
        for part in parts:
            part.is_holding, part.held = False, {}


@contextlib.contextmanager
def held_apart(network: nn.Module, slot: int) -> Iterator[None]:
    """What is held within the block is held apart from what other blocks hold.

    The statistics of the norms behind an exchange are of one style's picture; another style has its own.

    Args:
        network: Whose statistics may be held at the moment.
        slot: A number for the style.
    """
    parts = [module for module in network.modules() if isinstance(module, Statistics)]
    before = [part.slot for part in parts]
    for part in parts:
        part.slot = slot
    try:
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            part.slot = own
