"""CIN: many styles in one network, which share everything but the scales and shifts of its norms.

Dumoulin, Shlens and Kudlur 2017, "A learned representation for artistic style".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, networks
from velatura.networks.blocks import Row, TransformationNetwork, faded, mirrored_around
from velatura.networks.statistics import ChannelStatistics

__all__ = ["Cin", "CinNetwork", "ConditionalNorm"]

_WEIGHT_DEVIATION = 0.01


@networks.register("cin")
@dataclass(frozen=True, kw_only=True)
class Cin(NetworkConfig):
    """Many styles in one network, 3,206 numbers for each of them (Dumoulin et al. 2017)."""

    styles: ClassVar[StyleCount] = "many"

    width: Annotated[
        int, Ge(1), Setting("Channels at full size; twice at half of it, four times at a quarter")
    ] = 32

    def build(self, *, num_styles: int = 1, rng: torch.Generator) -> CinNetwork:
        """The network: kernels normal with deviation 0.01, scales 1 and shifts 0 (the authors' code).

        Raises:
            ConfigError: Not even one style is asked for.
        """
        if num_styles < 1:
            raise ConfigError(f"a cin network knows at least 1 style, not {num_styles}")
        network = CinNetwork(self, num_styles=num_styles)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=_WEIGHT_DEVIATION, generator=rng)
        return network


class ConditionalNorm(nn.Module):
    r"""Each channel of each picture to mean 0 and deviation 1, then to what its style says.

    .. math:: z = \gamma_s \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta_s

    Args:
        channels: Feature maps.
        epsilon: Added to the variance.
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.statistics = ChannelStatistics(epsilon=epsilon)

    def forward(self, features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape; ``scale`` and ``shift``, ``(B, C)`` or ``(1, C)``."""
        mean, deviation = self.statistics(features)
        factor = scale[:, :, None, None] / deviation
        normed: Tensor = features * factor + (shift[:, :, None, None] - mean * factor)
        return normed.to(features.dtype)


class CinNetwork(Network):
    """A photograph to its stylization in one of many styles, or in a blend of them.

    A style is a row of numbers, a parameter of its own: ``rows.3``. So an optimiser of any kind that is given
    the parameters that ask for a gradient moves one style and no other, weight decay and momentum included.

    Args:
        config: Its settings. The weights are not drawn: :meth:`Cin.build` does that.
        num_styles: How many it tells apart.
    """

    styles: ClassVar[StyleCount] = "many"

    def __init__(self, config: Cin, *, num_styles: int) -> None:
        super().__init__()
        # Without biases, as in the authors' code: each convolution has a norm, which would take them off.
        self.transform = TransformationNetwork(
            config.width,
            border="reflect",
            residual_border="reflect",
            upsampling="nearest",
            norm=ConditionalNorm,
            last_norm=ConditionalNorm(3),
            bias=False,
        )
        self.channels = [
            module.channels for module in self.transform.modules() if isinstance(module, ConditionalNorm)
        ]
        self.num_styles = num_styles
        self.rows = nn.ParameterList(self._first_row() for _ in range(num_styles))

    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:
        """Photograph and stylization mixed in pixels: the network itself knows no strength.

        Args:
            content: ``(B, 3, H, W)`` in [0, 1].
            style: ``weights``, ``(B, num_styles)`` or ``(1, num_styles)``: the rows are mixed by them.
            alpha: From 0 to 1.

        Raises:
            ValueError: The style has no weights, or not one for each picture and style.
        """
        weights = self._checked(style, len(content))
        pixels = self.transform(mirrored_around(content, margin=0), self._split(self._mixed(weights)))
        wide = pixels.float() if pixels.dtype in (torch.bfloat16, torch.float16) else pixels
        return faded(content, wide.sigmoid(), alpha)

    def add_style(self, *, like: int | None = None) -> int:
        """One style more; what the others give stays equal to the bit, with a weight of 0 for the new one.

        Args:
            like: The style that it starts as a copy of; None: scales 1 and shifts 0.

        Returns:
            Its index.

        Raises:
            ValueError: There is no style ``like``.
        """
        row = self._first_row() if like is None else self.rows[self._known(like)].detach().clone()
        self.rows.append(nn.Parameter(row.to(self.rows[0])))
        self.num_styles += 1
        return self.num_styles - 1

    def train_only_style(self, index: int) -> None:
        """Freezes everything but one style: what an optimiser is to train are its 3,206 numbers.

        Raises:
            ValueError: There is no such style.
        """
        row = self.rows[self._known(index)]
        self.requires_grad_(False)
        row.requires_grad_(True)

    def _first_row(self) -> Tensor:
        return torch.cat([torch.tensor([1.0, 0.0]).repeat_interleave(channels) for channels in self.channels])

    def _known(self, index: int) -> int:
        if not 0 <= index < self.num_styles:
            raise ValueError(f"expected a style from 0 to {self.num_styles - 1}, not {index}")
        return index

    def _checked(self, style: Style | None, batch: int) -> Tensor:
        weights = None if style is None else style.get("weights")
        if weights is None:
            raise ValueError("a network of many styles needs 'weights': take them from choose()")
        if weights.shape not in ((batch, self.num_styles), (1, self.num_styles)):
            raise ValueError(
                f"expected weights of shape ({batch}, {self.num_styles}) or (1, {self.num_styles}), "
                f"one a style, not {tuple(weights.shape)}"
            )
        return weights

    def _mixed(self, weights: Tensor) -> Tensor:
        """The rows by their weights, ``(B, numbers)``, added in order: a last weight of 0 changes no bit."""
        shares = weights.to(self.rows[0]).unbind(dim=1)
        mixed: Tensor = shares[0][:, None] * self.rows[0]
        for share, row in zip(shares[1:], list(self.rows)[1:], strict=True):
            mixed = mixed + share[:, None] * row
        return mixed

    def _split(self, mixed: Tensor) -> Iterator[Row]:
        """Scale and shift for each norm, from the input up."""
        return (
            part.chunk(2, dim=1) for part in torch.split(mixed, [2 * count for count in self.channels], 1)
        )
