"""VGG-11, 13, 16 and 19, with and without batch normalisation (Simonyan and Zisserman 2015).

Written with torchvision's state-dict keys, ``features.N.weight``, and the papers' layer names:
``conv4_2`` is the second convolution of the fourth block, ``relu4_2`` its rectification.
A weights file decides the widths and the depth, so a narrow or a truncated file is read by the
same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones.base import (
    Backbone,
    LayerShape,
    Padding,
    Pool,
    Pooling,
    Preprocessing,
    backbones,
)
from velatura.backbones.loading import load_state, preprocessing_of
from velatura.core.errors import WeightsError
from velatura.core.vgg_layout import vgg_layers
from velatura.weights import Weights

__all__ = ["PUBLISHED_WIDTHS", "SLIM_WIDTHS", "VGG", "build_vgg", "layer_shapes"]

PUBLISHED_WIDTHS = (64, 128, 256, 512, 512)
SLIM_WIDTHS = (16, 32, 64, 128, 128)
"""A quarter of the published widths: a sixteenth of the cost."""


def layer_shapes(names: tuple[str, ...], channels: Mapping[str, int], padding: Padding) -> dict[str, LayerShape]:
    """Width, stride and receptive field of each layer, from what lies below it.

    Args:
        names: Layers from the input up, as :func:`velatura.core.vgg_layout.vgg_layers` gives them.
        channels: Width of each convolution, by name.
        padding: Reflection needs a second row to reflect, which raises the smallest input.
    """
    shapes: dict[str, LayerShape] = {}
    width, stride, field, smallest = 3, 1, 1, 1
    for name in names:
        if name.startswith("conv"):
            width, field = channels[name], field + 2 * stride
            smallest = max(smallest, 2 * stride if padding == "reflect" else stride)
        elif name.startswith("pool"):
            field, stride = field + stride, 2 * stride
            smallest = max(smallest, stride)
        shapes[name] = LayerShape(
            channels=width, stride=stride, receptive_field=field, smallest_input=smallest
        )
    return shapes


class VGG(Backbone):
    """The convolutional part of a VGG network.

    Args:
        layout: Names of the layers from the input up; the position is torchvision's index.
        widths: Channels of each convolution, by name; the first convolution that is not named
            here ends the network.
        preprocessing: What the weights expect of a picture in [0, 1].
        pooling: How each of the five pools gathers.
        padding: What the convolutions see beyond the edge.
        rescale: Keep the size of the activations under average and L2 pooling.
        source: Where the weights come from, for messages.
    """

    def __init__(
        self,
        layout: tuple[str, ...],
        widths: Mapping[str, int],
        *,
        preprocessing: Preprocessing,
        pooling: Pooling,
        padding: Padding,
        rescale: bool,
        source: str,
    ) -> None:
        super().__init__(preprocessing=preprocessing, source=source)
        absent = [i for i, name in enumerate(layout) if name.startswith("conv") and name not in widths]
        # The pool before the first absent convolution needs no weights, and stays.
        end = absent[0] if absent else len(layout)
        self.names = layout[:end]
        self.missing = frozenset(layout[end:])
        self.shapes = layer_shapes(self.names, widths, padding)
        self.features = nn.Sequential()
        incoming = 3
        for name in self.names:
            if name.startswith("conv"):
                outgoing = widths[name]
                self.features.append(nn.Conv2d(incoming, outgoing, 3, padding=1, padding_mode=padding))
                incoming = outgoing
            elif name.startswith("norm"):
                self.features.append(nn.BatchNorm2d(incoming))
            elif name.startswith("relu"):
                self.features.append(nn.ReLU())
            else:
                self.features.append(Pool(pooling, size=2, stride=2, rescale=rescale))

    def _extract(self, inputs: Tensor, wanted: tuple[str, ...]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        features, below = inputs, ""
        for name, module in zip(self.names, self.features, strict=True):
            if isinstance(module, nn.ReLU):
                # In place, unless the map before it was asked for: half the memory of the step.
                features = functional.relu(features, inplace=below not in wanted)
            else:
                features = module(features)
            if name in wanted:
                found[name] = features
                if len(found) == len(wanted):
                    break
            below = name
        return found


def _widths(layout: tuple[str, ...], weights: Weights | None, published: Sequence[int]) -> dict[str, int]:
    convs = [(index, name) for index, name in enumerate(layout) if name.startswith("conv")]
    if weights is None:
        return {name: published[int(name[4]) - 1] for _, name in convs}
    return {
        name: weights.state[f"features.{index}.weight"].shape[0]
        for index, name in convs
        if f"features.{index}.weight" in weights.state
    }


def _draw(network: VGG, generator: torch.Generator) -> None:
    """He initialisation by fan-out with zero biases, which is what torchvision starts from."""
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def build_vgg(
    weights: Weights | None,
    *,
    architecture: str,
    batch_norm: bool,
    published_widths: Sequence[int],
    pooling: Pooling,
    padding: Padding,
    rescale: bool,
    generator: torch.Generator,
) -> VGG:
    """A frozen VGG with the weights given, or random ones of the published widths.

    Raises:
        WeightsError: The file's keys are not those of this architecture.
    """
    layout = vgg_layers(architecture, batch_norm=batch_norm)
    widths = _widths(layout, weights, published_widths)
    if not widths:
        assert weights is not None
        raise WeightsError(f"{weights.source} holds no convolution of {architecture}")
    network = VGG(
        layout,
        widths,
        preprocessing=preprocessing_of(weights),
        pooling=pooling,
        padding=padding,
        rescale=rescale,
        source="random weights" if weights is None else weights.source,
    )
    if weights is None:
        _draw(network, generator)
    else:
        load_state(network, weights, architecture)
    network.freeze()
    return network


for _architecture in ("vgg11", "vgg13", "vgg16", "vgg19"):
    for _suffix, _batch_norm in (("", False), ("_bn", True)):
        backbones.register(_architecture + _suffix)(
            partial(
                build_vgg,
                architecture=_architecture,
                batch_norm=_batch_norm,
                published_widths=PUBLISHED_WIDTHS,
            )
        )
backbones.register("vgg19-slim")(
    partial(build_vgg, architecture="vgg19", batch_norm=False, published_widths=SLIM_WIDTHS)
)
