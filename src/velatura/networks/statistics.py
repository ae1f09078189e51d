"""Mean and deviation of each channel, and the norms that are made of them.

They are what ties the far ends of a picture together in a network of convolutions. Where the whole does not
fit into memory, they are measured once, on the whole at a smaller size, and held while its tiles pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["ChannelStatistics", "InstanceNorm", "held_statistics"]


class ChannelStatistics(nn.Module):
    """Mean and standard deviation of each channel over the positions, or those held from another picture.

    Args:
        epsilon: Added to the variance, which keeps the gradient finite for a flat channel.
    """

    def __init__(self, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.held: tuple[Tensor, Tensor] | None = None
        self.is_holding = False

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of ``(B, C, H, W)``, two tensors ``(B, C, 1, 1)``, in float32 at least."""
        if self.held is not None:
            return self.held
        wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        variance, mean = torch.var_mean(wide, dim=(2, 3), keepdim=True, correction=0)
        deviation = (variance + self.epsilon).sqrt()
        if self.is_holding:
            self.held = mean, deviation
        return mean, deviation


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
    parts = [module for module in network.modules() if isinstance(module, ChannelStatistics)]
    for part in parts:
        part.is_holding = True
    try:
        yield
    finally:
        for part in parts:
            part.is_holding, part.held = False, None
