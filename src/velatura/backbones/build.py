"""Which backbone, with which weights: the one door to a network that is ready to look at pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from velatura.backbones.base import Backbone, Padding, Pooling, backbones
from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.ops.wrap import Wrap
from velatura.weights import Weights, load_weights, resolve

__all__ = ["BackboneConfig", "build_backbone"]

_RANDOM_POOLING: Pooling = "max"
_RANDOM_PADDING: Padding = "zeros"


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """A network, its weights, and how it is to differ from the one that was trained."""

    name: Annotated[str, Setting("Architecture, as 'velatura backbones' lists them")] = "vgg19-slim"
    weights: Annotated[
        str,
        Setting(
            "Weights by name or file; native: those named like the architecture; random: drawn by the seed"
        ),
    ] = "native"
    pooling: Annotated[
        Literal["native", "max", "average", "l2"],
        Setting("What pools take of their window; native: what the weights were trained with"),
    ] = "native"
    rescale: Annotated[
        bool, Setting("Keep the size of the activations where average or L2 pooling replaces max")
    ] = False
    padding: Annotated[
        Literal["native", "zeros", "reflect", "replicate"],
        Setting("What convolutions see beyond the edge; native: what the weights were trained with"),
    ] = "native"
    wrap: Annotated[
        Wrap,
        Setting(
            "Axes along which a picture goes on at its opposite edge, whatever the padding: none, x, y, both"
        ),
    ] = "none"
    preprocessing: Annotated[
        Literal["native", "torchvision", "caffe"],
        Setting("Input that the weights were trained on, for a file that does not say; native: it says"),
    ] = "native"


def build_backbone(
    config: BackboneConfig,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int | None], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Backbone:
    """The frozen network that ``config`` describes, on the CPU.

    Args:
        config: Architecture, weights and changes to them.
        seed: Draws random weights; no other weights depend on it.
        on_progress: As for :func:`velatura.weights.resolve`, where weights have to be fetched.
        on_note: Likewise.

    Raises:
        ConfigError: An unknown name, or a setting that the others leave without effect.
        WeightsError: The weights are missing, broken, or another architecture's.
    """
    build = backbones[config.name]
    weights = None
    if config.weights == "random":
        _check_random(config)
    else:
        named = config.name if config.weights == "native" else config.weights
        path = resolve(named, on_progress=on_progress, on_note=on_note)
        stated = None if config.preprocessing == "native" else config.preprocessing
        weights = load_weights(path, preprocessing=stated)
    trained: Pooling = _RANDOM_POOLING if weights is None else weights.pooling
    pooling = trained if config.pooling == "native" else config.pooling
    if config.rescale:
        _check_rescale(pooling, trained)
    backbone = build(
        weights,
        pooling=pooling,
        padding=_padding(config, weights),
        rescale=config.rescale,
        generator=generator(seed, "backbone weights"),
    )
    if config.wrap != "none":
        backbone.wrap_around(config.wrap)
    backbone.weights_sha256 = None if weights is None else weights.sha256
    return backbone


def _padding(config: BackboneConfig, weights: Weights | None) -> Padding:
    if config.padding != "native":
        return config.padding
    return _RANDOM_PADDING if weights is None else weights.padding


def _check_random(config: BackboneConfig) -> None:
    if config.preprocessing == "caffe":
        raise ConfigError(
            "random weights take torchvision's preprocessing; leave preprocessing at 'native', "
            "or name a weights file"
        )


def _check_rescale(pooling: Pooling, trained: Pooling) -> None:
    if pooling == "max" or trained != "max":
        raise ConfigError(
            f"rescale needs average or l2 pooling in the place of max; these weights were trained with "
            f"{trained} pooling and get {pooling}; leave rescale off"
        )
