"""VGG-11, 13, 16 and 19, with and without batch normalisation (Simonyan and Zisserman 2015).

Written with torchvision's state-dict keys, ``features.N.weight``, and the papers' layer names:
``conv4_2`` is the second convolution of the fourth block, ``relu4_2`` its rectification.
A weights file decides the widths and the depth, so a narrow or a truncated file is read by the
same code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones.base import Backbone, Maps, Padding, Pool, Pooling, Preprocessing, backbones
from velatura.backbones.convolution import Convolution
from velatura.backbones.geometry import layer_shape, windows_of
from velatura.backbones.loading import check_first_key, preprocessing_of, set_weights, source_of
from velatura.core.vgg_layout import vgg_layers
from velatura.ops.wrap import Wrap
from velatura.weights import Weights

__all__ = ["PUBLISHED_WIDTHS", "SLIM_WIDTHS", "VGG", "build_vgg"]

PUBLISHED_WIDTHS = (64, 128, 256, 512, 512)
SLIM_WIDTHS = (16, 32, 64, 128, 128)
"""A quarter of the published widths: a sixteenth of the cost."""


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
        self.features = nn.Sequential()
        shapes = {}
        channels = 3
        for name in self.names:
            if name.startswith("conv"):
                self.features.append(Convolution(channels, widths[name], padding_mode=padding))
                channels = widths[name]
            elif name.startswith("norm"):
                self.features.append(nn.BatchNorm2d(channels))
            elif name.startswith("relu"):
                self.features.append(nn.ReLU())
            else:
                self.features.append(Pool(pooling, size=2, stride=2, rescale=rescale))
            shapes[name] = layer_shape(channels, windows_of(self.features))
        self.shapes = shapes

    def wrap_around(self, wrap: Wrap) -> None:
        """As in :class:`Backbone`: by circular convolutions."""
        self.wrap = wrap
        for module in self.features:
            if isinstance(module, Convolution | Pool):
                module.wrap = wrap

    def _maps(self, inputs: Tensor, wanted: Collection[str]) -> Maps:
        features, below = inputs, ""
        for name, module, above in zip(self.names, self.features, (*self.names[1:], ""), strict=True):
            if isinstance(module, Convolution):
                # The rectifier goes with it, unless the map between them was asked for.
                features = module(features, rectify=above.startswith("relu") and name not in wanted)
            elif isinstance(module, nn.ReLU):
                features = self._rectified(features, below, wanted)
            else:
                features = module(features)
            passed_on = yield name, features
            features = features if passed_on is None else passed_on
            below = name

    @staticmethod
    def _rectified(features: Tensor, below: str, wanted: Collection[str]) -> Tensor:
        if below in wanted:
            # Not in place: the map that was asked for would be lost.
            return functional.relu(features)
        return features if below.startswith("conv") else functional.relu(features, inplace=True)


def _widths(layout: tuple[str, ...], weights: Weights | None, published: Sequence[int]) -> dict[str, int]:
    convs = {name: f"features.{index}.weight" for index, name in enumerate(layout) if "conv" in name}
    if weights is None:
        return {name: published[int(name[4]) - 1] for name in convs}
    return {name: len(weights.state[key]) for name, key in convs.items() if key in weights.state}


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

    It is built as wide and as deep as the file goes.

    Raises:
        WeightsError: The file's keys or shapes are not those of this architecture.
    """
    name = f"{architecture}_bn" if batch_norm else architecture
    if weights is not None:
        check_first_key(weights, "features.0.weight", name)
    layout = vgg_layers(architecture, batch_norm=batch_norm)
    preprocessing = preprocessing_of(weights)
    with torch.device("meta"):
        network = VGG(
            layout,
            _widths(layout, weights, published_widths),
            preprocessing=preprocessing,
            pooling=pooling,
            padding=padding,
            rescale=rescale,
            source=source_of(weights),
        )
    set_weights(network, weights, architecture=name, generator=generator)
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
