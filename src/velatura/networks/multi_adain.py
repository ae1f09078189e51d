"""AdaIN at three depths, with covariances and with pieces of the painting itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import BackboneConfig
from velatura.backbones.convolution import Convolution
from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.rng import drawing_from
from velatura.networks.bands import BandMatching, doubled
from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, blend_styles, networks
from velatura.networks.collage import Collage
from velatura.networks.encoder import Encoder, padded_to_multiple
from velatura.networks.statistics import ChannelMoments, ChannelStatistics
from velatura.networks.transport import Moments, transport, transported
from velatura.ops.moments import covariance
from velatura.ops.precision import at_least_float32, without_autocast

__all__ = ["MultiAdaIN", "MultiAdaINConfig"]

_COLOURS = "colours"
_SLOPE = 0.1
_COLOUR_FLOOR = 1e-3


@networks.register("multi-adain")
@dataclass(frozen=True, kw_only=True)
class MultiAdaINConfig(NetworkConfig):
    """An encoder that is read at several depths, and a decoder that the painting's statistics steer."""

    styles: ClassVar[StyleCount] = "any"

    backbone: Annotated[BackboneConfig, Setting("Encoder, whose weights do not change")] = field(
        default_factory=BackboneConfig
    )
    layers: Annotated[
        tuple[str, ...],
        Setting(
            "Where statistics are exchanged, shallow to deep, each of twice the stride before, from 2 up"
        ),
    ] = ("relu2_1", "relu3_1", "relu4_1")
    widths: Annotated[
        tuple[Annotated[int, Ge(1)], ...], Setting("Channels of the decoder at the stride of each layer")
    ] = (32, 64, 128)
    blocks: Annotated[
        tuple[Annotated[int, Ge(1)], ...], Setting("Convolutions of the decoder at the stride of each layer")
    ] = (3, 3, 2)
    hidden: Annotated[int, Ge(1), Setting("Units between the painting's statistics and the decoder")] = 128
    floor: Annotated[
        float, Gt(0), Setting("Variance added in every direction", unit="of a channel's own")
    ] = 0.05
    bands: Annotated[
        int,
        Interval(ge=0, le=6),
        Setting("Bands of detail brought to the painting's in the end, once it is trained"),
    ] = 3
    pieces: Annotated[
        int,
        Ge(0),
        Setting("Numbers that pieces of the painting are found by, which the decoder is shown; 0: it is not"),
    ] = 0

    laid: Annotated[
        float,
        Interval(ge=0, le=1),
        Setting("How much of the pieces themselves is in the picture, once it is trained"),
    ] = 0.0

    def __post_init__(self) -> None:
        if self.laid and not self.pieces:
            raise ConfigError("multi-adain: there are no pieces to be laid; set pieces above 0 too")
        if not len(self.layers) == len(self.widths) == len(self.blocks) or not self.layers:
            raise ConfigError(
                f"multi-adain: {len(self.layers)} layers, {len(self.widths)} widths and "
                f"{len(self.blocks)} blocks do not fit; give one of each for each depth"
            )

    def build(self, *, num_styles: int = 1, rng: torch.Generator) -> MultiAdaIN:  # noqa: ARG002 - any style
        """The network; before it is trained it gives the photograph in the painting's colours, blurred."""
        with drawing_from(rng):
            return MultiAdaIN(self)


class MultiAdaIN(Network):
    r"""Carries the photograph's features over to the painting's statistics at several depths.

    At each depth the channels are brought to mean 0 and deviation 1, and their correlations :math:`R_c` to
    the painting's :math:`R_s` by the linear map that moves them the least,

    .. math:: \hat f = R_c^{-1/2} (R_c^{1/2} R_s R_c^{1/2})^{1/2} R_c^{-1/2} \, \frac{f - \mu}{\sigma}

    the covariance matching of Li et al. 2017 (*Universal style transfer via feature transforms*) as optimal
    transport (Mroueh 2019, *Wasserstein style transfer*). The decoder takes them in from the deepest up.
    After each of its convolutions the channels are normalised, and scaled and shifted by what two linear
    layers make of the painting's means and deviations (Huang and Belongie 2017; Ghiasi et al. 2017). It ends
    at half of the resolution with four colours a position (Shi et al. 2016), added to the photograph in
    the painting's colours, blurred: detail is painted, not kept. What it paints is weaker than the painting's
    detail; outside of training, :class:`BandMatching` makes it as strong.

    With ``pieces`` it is shown a :class:`Collage` of the painting too, found by the deepest of the exchanged
    features; outside of training, ``laid`` of that is in the picture itself.

    What it knows of a style, by layer, for the colours themselves and for each band of detail:
    ``LAYER.mean``, ``(B, C)``, and ``LAYER.second``, ``(B, C, C)``, raw moments, which mix linearly; and the
    pieces of each painting, which stay apart. ``alpha`` mixes the moments with the photograph's own, and the
    collage with the photograph in the painting's colours.

    Args:
        config: Its settings.
    """

    styles: ClassVar[StyleCount] = "any"

    def __init__(self, config: MultiAdaINConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config.backbone, config.layers)
        self.floor, self.laid = config.floor, config.laid
        shapes = [self.encoder.backbone.shapes[layer] for layer in config.layers]
        strides = [shape.stride for shape in shapes]
        if strides != [2 ** (n + 1) for n in range(len(strides))]:
            raise ConfigError(
                f"multi-adain: layers {', '.join(config.layers)} have strides {strides}; "
                f"expected {[2 ** (n + 1) for n in range(len(strides))]}"
            )
        self.layers = config.layers
        self.moments = nn.ModuleDict({_key(name): ChannelMoments() for name in (*self.layers, _COLOURS)})
        self.collage = Collage(shapes[-1].channels, strides[-1], config.pieces) if config.pieces else None
        shown = [
            (12 if n == 0 else 0) + (3 * stride**2 if self.collage else 0) for n, stride in enumerate(strides)
        ]
        self.entries = nn.ModuleList(
            nn.Conv2d(shape.channels + more, width, 1)
            for shape, more, width in zip(shapes, shown, config.widths, strict=True)
        )
        self.stages = nn.ModuleList(
            _Stage(width, count) for width, count in zip(config.widths, config.blocks, strict=True)
        )
        self.rises = nn.ModuleList(
            Convolution(deep, shallow, padding_mode="replicate")
            for shallow, deep in itertools.pairwise(config.widths)
        )
        left = config.widths[0] + (12 if self.collage else 0)
        self.exit = Convolution(left, 12, padding_mode="replicate")
        known = 2 * (3 + sum(shape.channels for shape in shapes))
        steered = sum(2 * width * count for width, count in zip(config.widths, config.blocks, strict=True))
        self.steering = nn.Sequential(
            nn.Linear(known, config.hidden), nn.ReLU(), nn.Linear(config.hidden, steered)
        )
        self.bands = BandMatching(config.bands)
        self._start_small()

    @torch.no_grad()
    def _start_small(self) -> None:
        self.exit.weight.zero_()
        assert self.exit.bias is not None
        self.exit.bias.zero_()
        last = self.steering[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(0.1)
        last.bias.zero_()

    def encode(self, style: Tensor) -> Style:
        """Raw moments of the colours and of each layer of paintings ``(B, 3, h, w)``."""
        image = self.encoder.enlarged(style)
        if self.collage:
            image = padded_to_multiple(image, self.encoder.stride)
        measure = ChannelMoments()
        features = self._features(image)
        known = _entries({name: measure(maps) for name, maps in features.items()})
        if self.collage:
            deepest = self.layers[-1]
            known |= self.collage.encode(image, _standardized(features[deepest], _of(known, deepest)))
        return known | self.bands.encode(image)

    def _features(self, image: Tensor) -> dict[str, Tensor]:
        return {_COLOURS: image, **self.encoder(image)}

    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:
        """One pass through encoder, exchanges and decoder."""
        assert style is not None
        multiple = max(self.encoder.stride, self.bands.multiple)
        whole = padded_to_multiple(content, multiple, at_least=self.encoder.smallest)
        with torch.no_grad():
            features = self._features(whole)
            own = _entries({name: self.moments[_key(name)](maps) for name, maps in features.items()})
            if alpha == 1:
                wanted = style
            else:
                wanted = blend_styles([own | self.bands.encode(whole), style], [1 - alpha, alpha])
            moved = {
                name: _carried(maps, _of(own, name), _of(wanted, name), floor=self.floor)
                for name, maps in features.items()
                if name != _COLOURS
            }
            own_colours, colours_wanted = _of(own, _COLOURS), _of(wanted, _COLOURS)
            colours = transported(whole, own_colours, colours_wanted, floor=_COLOUR_FLOOR).clamp(0, 1)
            collage = self.collage(moved[self.layers[-1]], wanted, colours) if self.collage else None
        painted = self._decoded(moved, colours, collage, self.steering(self._known(wanted)))
        if not self.training:
            if collage is not None:
                painted = torch.lerp(painted, collage, self.laid)
            painted = self.bands(painted, wanted)
        return painted[..., : content.shape[2], : content.shape[3]]

    def _known(self, style: Style) -> Tensor:
        """What steers the decoder: of each layer the means, at one length, and the logs of the deviations."""
        parts = []
        for name in (_COLOURS, *self.layers):
            mean, second = _of(style, name)
            deviation = _deviation(mean, second)
            if name == _COLOURS:
                parts += [mean, deviation]
            else:
                length = mean.square().mean(dim=1, keepdim=True).sqrt() + 1e-6
                parts += [mean / length, (deviation + 1e-3).log()]
        return torch.cat(parts, dim=1)

    def _decoded(
        self, moved: dict[str, Tensor], colours: Tensor, collage: Tensor | None, steering: Tensor
    ) -> Tensor:
        maps: Tensor | None = None
        start = 0
        for depth in reversed(range(len(self.layers))):
            shown = [moved[self.layers[depth]]]
            if depth == 0:
                shown.append(functional.pixel_unshuffle(colours, 2))
            if collage is not None:
                shown.append(functional.pixel_unshuffle(collage, 2 ** (depth + 1)))
            entering = self.entries[depth](torch.cat(shown, dim=1))
            maps = entering if maps is None else entering + doubled(self.rises[depth](maps))
            stage = self.stages[depth]
            assert isinstance(stage, _Stage)
            maps = stage(maps, steering[:, start : start + stage.steered])
            start += stage.steered
        assert maps is not None
        if collage is not None:
            maps = torch.cat([maps, functional.pixel_unshuffle(collage, 2)], dim=1)
        return doubled(functional.avg_pool2d(colours, 2)) + functional.pixel_shuffle(self.exit(maps), 2)


class _Stage(nn.Module):
    """The convolutions at one resolution."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Steered(width) for _ in range(count))
        self.steered = 2 * width * count

    def forward(self, maps: Tensor, steering: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape, by ``steering``, ``(B, steered)``."""
        for block, steer in zip(self.blocks, steering.chunk(len(self.blocks), dim=1), strict=True):
            maps = block(maps, steer)
        return maps


class _Steered(nn.Module):
    """A convolution whose channels are normalised, then scaled and shifted by the style."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = Convolution(width, width, padding_mode="replicate")
        self.statistics = ChannelStatistics()

    def forward(self, maps: Tensor, steer: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape, by ``steer``, ``(B, 2 width)``."""
        convolved = self.convolution(maps)
        mean, deviation = self.statistics(convolved)
        gain, shift = steer[:, :, None, None].chunk(2, dim=1)
        scale = (1 + gain) / deviation
        out: Tensor = functional.leaky_relu(torch.addcmul(shift - mean * scale, convolved, scale), _SLOPE)
        return maps + out


def _key(layer: str) -> str:
    return layer.replace(".", "_")  # A module's name may have no dot.


def _entries(moments: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, pair in moments.items()
        for key, value in zip(("mean", "second"), pair, strict=True)
    }


def _of(style: Style, name: str) -> Moments:
    return style[f"{name}.mean"], style[f"{name}.second"]


def _deviation(mean: Tensor, second: Tensor) -> Tensor:
    # Relative to the mean square: in a picture of one colour, rounding leaves a variance of 1e-5 of it.
    square = second.diagonal(dim1=1, dim2=2)
    return ((square - mean.square()).clamp_min(0) + 1e-2 * square + 1e-5).sqrt()


def _carried(maps: Tensor, own: Moments, wanted: Moments, *, floor: float) -> Tensor:
    """Features of mean 0 and deviation 1, with the correlations wanted."""
    spread = _deviation(*own)  # (B, C)
    with without_autocast(maps):
        linear = transport(_correlation(*own), _correlation(*wanted), floor=floor)
        matrix = linear / spread[:, None, :]
        moved = torch.baddbmm(-(matrix @ own[0][:, :, None]), matrix, at_least_float32(maps).flatten(2))
    return moved.view_as(maps).to(maps)


def _standardized(maps: Tensor, own: Moments) -> Tensor:
    """Features of mean 0 and deviation 1."""
    return (maps - own[0][:, :, None, None]) / _deviation(*own)[:, :, None, None]


def _correlation(mean: Tensor, second: Tensor) -> Tensor:
    spread = _deviation(mean, second)
    return covariance(mean, second) / (spread[:, :, None] * spread[:, None, :])
