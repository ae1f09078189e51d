"""SqueezeNet 1.1 (Iandola et al. 2016), with torchvision's state-dict keys.

``conv1`` is the first convolution after its rectification, ``fire2`` to ``fire9`` the fire modules'
outputs, ``pool1``, ``pool3`` and ``pool5`` the pools above ``conv1``, ``fire3`` and ``fire5``. The
pools count windows that hang over the edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones.base import Backbone, Maps, Padding, Pool, Pooling, Preprocessing, backbones
from velatura.backbones.geometry import layer_shape, windows_of
from velatura.backbones.loading import check_first_key, preprocessing_of, set_weights, source_of
from velatura.weights import Weights

__all__ = ["Fire", "SqueezeNet", "build_squeezenet"]

_STEM_WIDTH = 64
_FIRES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "fire2": (16, 64),
        "fire3": (16, 64),
        "fire4": (32, 128),
        "fire5": (32, 128),
        "fire6": (48, 192),
        "fire7": (48, 192),
        "fire8": (64, 256),
        "fire9": (64, 256),
    }
)
"""Channels of each fire module's squeeze and of each half of its expansion (SqueezeNet's authors, 1.1)."""

_LAYERS = (
    *("conv1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5"),
    *("pool5", "fire6", "fire7", "fire8", "fire9"),
)
"""The position plus one is torchvision's number: its number 0 is the first convolution alone."""


class Fire(nn.Module):
    """A 1x1 squeeze, then 1x1 and 3x3 convolutions side by side (Iandola et al. 2016, section 3.2).

    Args:
        incoming: Channels of the input.
        squeezed: Channels after the squeeze.
        expanded: Channels of each half of the output.
        padding: What the 3x3 convolution sees beyond the edge.
    """

    def __init__(self, incoming: int, squeezed: int, expanded: int, *, padding: Padding) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(incoming, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1, padding_mode=padding)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, incoming, H, W)`` to ``(B, 2 expanded, H, W)``; the input stays as it is."""
        squeezed = functional.relu_(self.squeeze(features))
        return functional.relu_(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1))


class SqueezeNet(Backbone):
    """The convolutional part of SqueezeNet 1.1.

    Args:
        num_layers: How many layers to build, from ``conv1`` up.
        preprocessing: What the weights expect of a picture in [0, 1].
        pooling: How each of the three pools gathers.
        padding: What the 3x3 convolutions of the fire modules see beyond the edge; the first
            convolution is not padded.
        rescale: Keep the size of the activations under average and L2 pooling.
        source: Where the weights come from, for messages.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        preprocessing: Preprocessing,
        pooling: Pooling,
        padding: Padding,
        rescale: bool,
        source: str,
    ) -> None:
        super().__init__(preprocessing=preprocessing, source=source)
        self.missing = frozenset(_LAYERS[num_layers:])
        self.features = nn.Sequential(nn.Conv2d(3, _STEM_WIDTH, 3, stride=2))
        windows = windows_of(self.features)
        shapes = {}
        channels = _STEM_WIDTH
        for layer in _LAYERS[:num_layers]:
            if layer in _FIRES:
                squeezed, expanded = _FIRES[layer]
                fire = Fire(channels, squeezed, expanded, padding=padding)
                self.features.append(fire)
                channels = 2 * expanded
                windows += windows_of([fire.squeeze, fire.expand3x3])
            elif layer.startswith("pool"):
                pool = Pool(pooling, size=3, stride=2, ceil_mode=True, rescale=rescale)
                self.features.append(pool)
                windows += windows_of([pool])
            else:
                self.features.append(nn.ReLU(inplace=True))
            shapes[layer] = layer_shape(channels, windows)
        self.shapes = shapes

    def _maps(self, inputs: Tensor, wanted: Collection[str]) -> Maps:  # noqa: ARG002
        stem, *above = self.features
        features = stem(inputs)
        for layer, module in zip(self.layers, above, strict=True):
            features = module(features)
            yield layer, features


@backbones.register("squeezenet1_1")
def build_squeezenet(
    weights: Weights | None,
    *,
    pooling: Pooling,
    padding: Padding,
    rescale: bool,
    generator: torch.Generator,
) -> SqueezeNet:
    """A frozen SqueezeNet 1.1 with the weights given, as deep as they go, or random ones.

    Raises:
        WeightsError: The file's keys or shapes are not those of SqueezeNet 1.1.
    """
    architecture = "squeezenet1_1"
    num_layers = len(_LAYERS)
    if weights is not None:
        check_first_key(weights, "features.0.weight", architecture)
        absent = (
            index
            for index, layer in enumerate(_LAYERS)
            if layer in _FIRES and f"features.{index + 1}.squeeze.weight" not in weights.state
        )
        num_layers = next(absent, num_layers)
    preprocessing = preprocessing_of(weights)
    with torch.device("meta"):
        network = SqueezeNet(
            num_layers=num_layers,
            preprocessing=preprocessing,
            pooling=pooling,
            padding=padding,
            rescale=rescale,
            source=source_of(weights),
        )
    set_weights(network, weights, architecture=architecture, generator=generator)
    return network
