"""Adaptive instance normalisation: any style in one pass (Huang and Belongie 2017)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import BackboneConfig
from velatura.backbones.convolution import Convolution
from velatura.core.config import Setting
from velatura.core.rng import drawing_from
from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, networks
from velatura.networks.encoder import Encoder, mirrored_steps, padded_to_multiple
from velatura.networks.statistics import ChannelStatistics

__all__ = ["AdaIN", "AdaINConfig"]


@networks.register("adain")
@dataclass(frozen=True, kw_only=True)
class AdaINConfig(NetworkConfig):
    """An encoder, one exchange of statistics, and a decoder that mirrors the encoder."""

    styles: ClassVar[StyleCount] = "any"

    backbone: Annotated[BackboneConfig, Setting("Encoder, whose weights do not change")] = field(
        default_factory=BackboneConfig
    )
    layer: Annotated[str, Setting("Where mean and deviation of each channel are exchanged")] = "relu4_1"

    def build(self, *, num_styles: int = 1, rng: torch.Generator) -> AdaIN:  # noqa: ARG002 - any style
        """The network; the decoder's weights are drawn as PyTorch draws them, by ``rng``."""
        with drawing_from(rng):
            return AdaIN(Encoder(self.backbone, [self.layer]))


class AdaIN(Network):
    r"""Gives each channel of the photograph's features the mean and deviation of the painting's.

    .. math:: t = \sigma(s) \, \frac{f(c) - \mu(f(c))}{\sigma(f(c))} + \mu(s),
        \qquad \hat{x} = g\big((1 - \alpha) f(c) + \alpha t\big)

    (Huang and Belongie 2017, eqs. 8 and 14.) The decoder ``g`` has a 3x3 convolution with reflection
    padding and a rectifier for each of the encoder's, and nearest-neighbour enlargement for its pooling;
    no normalisation, which would take the style away again.

    What it knows of a style is ``mean`` and ``deviation``, ``(B, C, 1, 1)``. They may also be maps,
    ``(B, C, h, w)``: that is how :meth:`in_regions` places several styles.

    Args:
        encoder: Frozen, asked for one layer.
    """

    styles: ClassVar[StyleCount] = "any"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        (self.layer,) = encoder.layers
        self.statistics = ChannelStatistics()
        self.decoder = _decoder(mirrored_steps(encoder.backbone, self.layer))

    def encode(self, style: Tensor) -> Style:
        """Mean and deviation of each channel of paintings ``(B, 3, h, w)``."""
        features = self.encoder(self.encoder.enlarged(style))[self.layer]
        mean, deviation = ChannelStatistics()(features)
        return {"mean": mean, "deviation": deviation}

    def transferred(self, content: Tensor, style: Style, *, alpha: float = 1.0) -> dict[str, Tensor]:
        """The features ``t`` that the decoder is given, by layer: the paper's content target."""
        features = self.encoder(content)[self.layer]
        mean, deviation = self.statistics(features)
        moved = (features - mean) / deviation * style["deviation"] + style["mean"]
        return {self.layer: moved if alpha == 1 else torch.lerp(features, moved.to(features), alpha)}

    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:
        """One pass through encoder, exchange and decoder."""
        assert style is not None
        whole = padded_to_multiple(content, self.encoder.stride, at_least=self.encoder.smallest)
        painted: Tensor = self.decoder(self.transferred(whole, style, alpha=alpha)[self.layer])
        return painted[..., : content.shape[2], : content.shape[3]]

    def in_regions(
        self, content: Tensor, styles: Sequence[Style | None], masks: Tensor, *, alpha: float = 1.0
    ) -> Tensor:
        """One pass, each style in the features where its mask is."""
        self._check_masks(content, styles, masks)
        given = [style for style in styles if style is not None]
        painted: Tensor = self(content, self.style_maps(given, masks), alpha=alpha)
        return painted

    def style_maps(self, styles: Sequence[Style], masks: Tensor) -> Style:
        """Several styles as one, each where its mask is, as maps of the features' size.

        Args:
            styles: From :meth:`encode`.
            masks: Weight of each style at each pixel, ``(1, N, H, W)``, >= 0, which sum to 1 over N.
        """
        padded = padded_to_multiple(masks, self.encoder.stride, at_least=self.encoder.smallest)
        weights = functional.avg_pool2d(padded, self.encoder.stride)  # (1, N, h, w)
        return {
            key: reduce(add, (weights[:, n : n + 1] * style[key] for n, style in enumerate(styles)))
            for key in styles[0]
        }


def _decoder(steps: Sequence[tuple[int, int]]) -> nn.Sequential:
    """The encoder upside down: channels and stride of each map, deep to shallow."""
    parts: list[nn.Module] = []
    for (channels, stride), (next_channels, next_stride) in itertools.pairwise(steps):
        convolution = Convolution(channels, next_channels, padding_mode="reflect")
        parts += [convolution, nn.ReLU(), nn.Upsample(scale_factor=stride // next_stride)]
        if stride == next_stride:
            parts.pop()
    # The picture itself is not rectified.
    return nn.Sequential(*(part for n, part in enumerate(parts) if n != _last_rectifier(parts)))


def _last_rectifier(parts: Sequence[nn.Module]) -> int:
    return max(n for n, part in enumerate(parts) if isinstance(part, nn.ReLU))
