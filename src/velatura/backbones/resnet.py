"""ResNet-18, 34, 50 and 101 (He et al. 2016), with torchvision's state-dict keys.

``conv1`` is the stem after its normalisation and rectification, ``maxpool`` the pool above it (under
this name whatever it gathers), ``layer3.2`` the third block of the third stage, and ``layer3`` the
stage's output, which is that of its last block. Blocks are tapped after the addition and the
rectification. Bottlenecks step with their 3x3 convolution, as in torchvision ("V1.5"), not with the
first 1x1 convolution as in the paper.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones.base import Backbone, Maps, Padding, Pool, Pooling, Preprocessing, backbones
from velatura.backbones.geometry import layer_shape, windows_of
from velatura.backbones.loading import check_first_key, preprocessing_of, set_weights, source_of
from velatura.ops.wrap import Wrap, goes_round, wrapped
from velatura.weights import Weights

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "build_resnet", "resnet_layers"]

_STEM_WIDTH = 64
_STAGE_WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}


class _Convolution(nn.Conv2d):
    """A convolution that may see the opposite edge beyond an edge."""

    wrap: Wrap = "none"

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """``(B, C_in, H, W)`` to ``(B, C_out, H / stride, W / stride)``."""
        margin = self.kernel_size[0] // 2
        rows, columns = (margin if round_it else 0 for round_it in goes_round(self.wrap))
        if not (rows or columns):
            return super().forward(input)
        around = wrapped(input, rows, columns)
        other = (margin - rows, margin - columns)
        if self.padding_mode != "zeros" and any(other):
            edges = (other[1], other[1], other[0], other[0])
            around, other = functional.pad(around, edges, mode=self.padding_mode), (0, 0)
        return functional.conv2d(around, self.weight, self.bias, self.stride, other)


def _convolution(
    incoming: int, outgoing: int, size: int, *, stride: int = 1, padding: Padding, folded: bool
) -> nn.Conv2d:
    return _Convolution(
        incoming,
        outgoing,
        size,
        stride=stride,
        padding=size // 2,
        # Nothing is padded around a 1x1 window, but reflection would copy the map to find out.
        padding_mode=padding if size > 1 else "zeros",
        bias=folded,
    )


def _norm(channels: int, *, folded: bool) -> nn.Module:
    return nn.Identity() if folded else nn.BatchNorm2d(channels)


def _shortcut(incoming: int, outgoing: int, *, stride: int, folded: bool) -> nn.Module:
    if stride == 1 and incoming == outgoing:
        return nn.Identity()
    return nn.Sequential(
        _convolution(incoming, outgoing, 1, stride=stride, padding="zeros", folded=folded),
        _norm(outgoing, folded=folded),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016, figure 5, left).

    Args:
        incoming: Channels of the input.
        width: Channels of the convolutions.
        stride: Step of the first one.
        padding: What they see beyond the edge.
        folded: Whether normalisation is part of the convolutions, which then have biases.
    """

    expansion: ClassVar[int] = 1

    def __init__(self, incoming: int, width: int, *, stride: int, padding: Padding, folded: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(incoming, width, 3, stride=stride, padding=padding, folded=folded)
        self.bn1 = _norm(width, folded=folded)
        self.conv2 = _convolution(width, width, 3, padding=padding, folded=folded)
        self.bn2 = _norm(width, folded=folded)
        self.downsample = _shortcut(incoming, width, stride=stride, folded=folded)

    @property
    def branch(self) -> tuple[nn.Conv2d, ...]:
        """The convolutions beside the shortcut, in order."""
        return self.conv1, self.conv2

    def forward(self, features: Tensor) -> Tensor:
        """``(B, incoming, H, W)`` to ``(B, width, H / stride, W / stride)``; the input stays as it is."""
        branch = functional.relu_(self.bn1(self.conv1(features)))
        branch = self.bn2(self.conv2(branch))
        return functional.relu_(branch.add_(self.downsample(features)))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones around a shortcut (He et al. 2016, figure 5, right).

    Args:
        incoming: Channels of the input.
        width: Channels of the 3x3 convolution; four times as many come out.
        stride: Step of the 3x3 convolution.
        padding: What it sees beyond the edge.
        folded: Whether normalisation is part of the convolutions, which then have biases.
    """

    expansion: ClassVar[int] = 4

    def __init__(self, incoming: int, width: int, *, stride: int, padding: Padding, folded: bool) -> None:
        super().__init__()
        outgoing = self.expansion * width
        self.conv1 = _convolution(incoming, width, 1, padding=padding, folded=folded)
        self.bn1 = _norm(width, folded=folded)
        self.conv2 = _convolution(width, width, 3, stride=stride, padding=padding, folded=folded)
        self.bn2 = _norm(width, folded=folded)
        self.conv3 = _convolution(width, outgoing, 1, padding=padding, folded=folded)
        self.bn3 = _norm(outgoing, folded=folded)
        self.downsample = _shortcut(incoming, outgoing, stride=stride, folded=folded)

    @property
    def branch(self) -> tuple[nn.Conv2d, ...]:
        """The convolutions beside the shortcut, in order."""
        return self.conv1, self.conv2, self.conv3

    def forward(self, features: Tensor) -> Tensor:
        """``(B, incoming, H, W)`` to ``(B, 4 width, H / stride, W / stride)``; the input stays as it is."""
        branch = functional.relu_(self.bn1(self.conv1(features)))
        branch = functional.relu_(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        return functional.relu_(branch.add_(self.downsample(features)))


def resnet_layers(num_blocks: Sequence[int]) -> tuple[str, ...]:
    """Every layer in its order: ``("conv1", "maxpool", "layer1.0", "layer1.1", "layer1", ...)``.

    Args:
        num_blocks: How many blocks there are in each of the four stages.
    """
    layers = ["conv1", "maxpool"]
    for stage, count in enumerate(num_blocks, start=1):
        layers += [f"layer{stage}.{index}" for index in range(count)]
        layers.append(f"layer{stage}")
    return tuple(layers)


class ResNet(Backbone):
    """The convolutional part of a residual network.

    Args:
        block: Kind of its blocks.
        layout: Names of all of its layers, as :func:`resnet_layers` gives them.
        num_layers: How many of them to build, from the stem up.
        folded: Whether normalisation is part of the convolutions, which then have biases.
        preprocessing: What the weights expect of a picture in [0, 1].
        pooling: How the stem's pool gathers.
        padding: What the convolutions see beyond the edge.
        rescale: Keep the size of the activations under average and L2 pooling.
        source: Where the weights come from, for messages.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layout: tuple[str, ...],
        *,
        num_layers: int,
        folded: bool,
        preprocessing: Preprocessing,
        pooling: Pooling,
        padding: Padding,
        rescale: bool,
        source: str,
    ) -> None:
        super().__init__(preprocessing=preprocessing, source=source)
        self.missing = frozenset(layout[num_layers:])
        self.conv1 = _convolution(3, _STEM_WIDTH, 7, stride=2, padding=padding, folded=folded)
        self.bn1 = _norm(_STEM_WIDTH, folded=folded)
        self.maxpool = Pool(pooling, size=3, stride=2, padding=1, rescale=rescale)
        channels = _STEM_WIDTH
        windows = windows_of([self.conv1, self.maxpool])
        shapes = {"conv1": layer_shape(channels, windows[:1]), "maxpool": layer_shape(channels, windows)}
        for layer in layout[2:num_layers]:
            stage, _, index = layer.partition(".")
            if index == "0":
                self.add_module(stage, nn.Sequential())
            if index:
                width, stride = _STAGE_WIDTHS[stage], 2 if index == "0" and stage != "layer1" else 1
                built = block(channels, width, stride=stride, padding=padding, folded=folded)
                self.get_submodule(stage).add_module(index, built)
                channels = block.expansion * width
                windows += windows_of(built.branch)
            shapes[layer] = layer_shape(channels, windows)
        self.shapes = shapes

    def wrap_around(self, wrap: Wrap) -> None:
        """As in :class:`Backbone`: by circular convolutions and a circular pool."""
        self.wrap = wrap
        for module in self.modules():
            if isinstance(module, _Convolution | Pool):
                module.wrap = wrap

    def _maps(self, inputs: Tensor, wanted: Collection[str]) -> Maps:  # noqa: ARG002
        features = functional.relu_(self.bn1(self.conv1(inputs)))
        yield "conv1", features
        features = self.maxpool(features)
        yield "maxpool", features
        for layer in self.layers[2:]:
            # A stage's own name stands for the output of its last block.
            if "." in layer:
                features = self.get_submodule(layer)(features)
            yield layer, features


def build_resnet(
    weights: Weights | None,
    *,
    architecture: str,
    block: type[BasicBlock | Bottleneck],
    num_blocks: Sequence[int],
    pooling: Pooling,
    padding: Padding,
    rescale: bool,
    generator: torch.Generator,
) -> ResNet:
    """A frozen ResNet with the weights given, or random ones.

    It is built as deep as the file goes, and without normalisations where the file has none.

    Raises:
        WeightsError: The file's keys or shapes are not those of this architecture.
    """
    layout, folded = resnet_layers(num_blocks), False
    num_layers = len(layout)
    if weights is not None:
        check_first_key(weights, "conv1.weight", architecture)
        folded = "bn1.weight" not in weights.state
        absent = (
            index
            for index, layer in enumerate(layout)
            if "." in layer and f"{layer}.conv1.weight" not in weights.state
        )
        num_layers = next(absent, num_layers)
    preprocessing = preprocessing_of(weights)
    with torch.device("meta"):
        network = ResNet(
            block,
            layout,
            num_layers=num_layers,
            folded=folded,
            preprocessing=preprocessing,
            pooling=pooling,
            padding=padding,
            rescale=rescale,
            source=source_of(weights),
        )
    set_weights(network, weights, architecture=architecture, generator=generator)
    return network


for _architecture, _block, _num_blocks in (
    ("resnet18", BasicBlock, (2, 2, 2, 2)),
    ("resnet34", BasicBlock, (3, 4, 6, 3)),
    ("resnet50", Bottleneck, (3, 4, 6, 3)),
    ("resnet101", Bottleneck, (3, 4, 23, 3)),
):
    backbones.register(_architecture)(
        partial(build_resnet, architecture=_architecture, block=_block, num_blocks=_num_blocks)
    )
