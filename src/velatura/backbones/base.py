"""The backbone: a frozen network that turns a picture into feature maps under the papers' names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.core.errors import ConfigError, WeightsError, unknown_name
from velatura.core.registry import Registry
from velatura.ops.pooling import average_pool
from velatura.ops.wrap import Wrap, goes_round, wrapped
from velatura.weights import Weights

__all__ = [
    "Backbone",
    "Builder",
    "LayerShape",
    "Maps",
    "Padding",
    "Pool",
    "Pooling",
    "Preprocessing",
    "Visit",
    "backbones",
]

Padding = Literal["zeros", "reflect", "replicate"]
Pooling = Literal["max", "average", "l2"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

# What average and L2 pooling must be multiplied by so that the activations above them keep the
# size that max pooling gives them (K. Crowson, style-transfer-pytorch, for VGG-19's 2x2 windows).
# Its L2 pooling is the root of the sum, twice the root of the mean: 1.56 here is 0.78 there.
_POOLING_GAIN: Mapping[Pooling, float] = {"max": 1.0, "average": 2.0, "l2": 1.56}

Visit: TypeAlias = Callable[[str, Tensor], Tensor]
"""Looks at a layer's features on their way up and returns them, or others that are equal."""
Maps: TypeAlias = Generator[tuple[str, Tensor], Tensor | None, None]
"""What a backbone computes, one layer after the other."""


class Preprocessing(nn.Module):
    """From RGB in [0, 1] to what a weights file was trained on: one 3x3 matrix and an offset.

    The three conventions of the field differ in nothing else, and loss weights do not carry over
    between them.

    Args:
        matrix: ``(3, 3)``, rows are the network's input channels, columns R, G, B.
        offset: ``(3,)``, added after the product.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix.reshape(3, 3).clone(), persistent=False)
        self.register_buffer("offset", offset.reshape(3).clone(), persistent=False)
        # A scale for each channel takes a quarter of the time of a product with a matrix.
        own = self.matrix
        self._scales = not own.is_meta and torch.equal(own, torch.diag(own.diagonal()))

    @classmethod
    def torchvision(cls) -> Preprocessing:
        """ImageNet's mean taken off and its standard deviation divided out, RGB."""
        std = torch.tensor(IMAGENET_STD)
        return cls(torch.diag(1 / std), -torch.tensor(IMAGENET_MEAN) / std)

    @classmethod
    def caffe(cls) -> Preprocessing:
        """BGR in [0, 255] minus (103.939, 116.779, 123.68), no division."""
        return cls(255 * torch.eye(3).flip(0), -torch.tensor(CAFFE_MEAN_BGR))

    def forward(self, image: Tensor) -> Tensor:
        """The network's input, ``(B, 3, H, W)``, from an image ``(B, 3, H, W)`` in [0, 1]."""
        matrix, offset = self.matrix.to(image.dtype), self.offset.to(image.dtype)
        if self._scales:
            return torch.addcmul(_per_channel(offset), image, _per_channel(matrix.diagonal()))
        weight = matrix[:, :, None, None]
        if not torch.amp.is_autocast_available(image.device.type):
            return functional.conv2d(image, weight, offset)
        # Not under autocast: rounding the pixels as well raises bfloat16's error by half.
        with torch.autocast(image.device.type, enabled=False):
            return functional.conv2d(image, weight, offset)


def _per_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]


class Pool(nn.Module):
    """Max, average or L2 pooling.

    Args:
        kind: ``max``; ``average`` (smoother pictures, Gatys et al. 2016, section 2); ``l2``, the
            root of the mean square, between the two.
        size: Edge of the window.
        stride: Step of the window.
        padding: Rows and columns beyond each edge, which no kind of pooling counts.
        ceil_mode: Count a window that hangs over the edge.
        rescale: Multiply so that activations keep the size that max pooling gives them.
    """

    def __init__(
        self,
        kind: Pooling,
        *,
        size: int,
        stride: int,
        padding: int = 0,
        ceil_mode: bool = False,
        rescale: bool = False,
    ) -> None:
        super().__init__()
        self.kind, self.size, self.stride, self.padding = kind, size, stride, padding
        self.ceil_mode = ceil_mode
        self.gain = _POOLING_GAIN[kind] if rescale else 1.0
        self.wrap: Wrap = "none"
        """Along which axes it sees the opposite edge beyond an edge."""

    def extra_repr(self) -> str:
        """Its settings."""
        return f"{self.kind}, size={self.size}, stride={self.stride}, gain={self.gain}"

    def forward(self, features: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C, H / stride, W / stride)``."""
        # A window of a step's size hangs over no edge of a map that is a multiple of it.
        rows, columns = (self.padding if round_it else 0 for round_it in goes_round(self.wrap))
        if rows or columns:
            features = wrapped(features, rows, columns)
        padding = (self.padding - rows, self.padding - columns)
        if self.kind == "max":
            pooled = functional.max_pool2d(
                features, self.size, self.stride, padding, ceil_mode=self.ceil_mode
            )
        elif self.kind == "average":
            pooled = self._mean(features, padding)
        else:
            # The offset keeps the gradient finite where a window is all zeros.
            pooled = self._mean(features.square(), padding).add(1e-8).sqrt()
        return pooled if self.gain == 1 else pooled * self.gain

    def _mean(self, features: Tensor, padding: tuple[int, int]) -> Tensor:
        if (self.size, self.stride, self.padding, self.ceil_mode) == (2, 2, 0, False):
            return average_pool(features)
        return functional.avg_pool2d(
            features, self.size, self.stride, padding, self.ceil_mode, count_include_pad=False
        )


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """What a layer's feature map has to do with the picture below it.

    Args:
        channels: Feature maps.
        stride: Pixels of the picture from one position to the next.
        receptive_field: Edge, in pixels, of the square that one position sees.
        smallest_input: Shortest edge, in pixels, that a picture must have: no map on the way is
            smaller than its layer takes, and the picture no smaller than one ``stride``.
        padding: How many pixels of the first position's square lie before the picture: that of position
            ``k`` begins at pixel ``k * stride - padding``. None: not known.
    """

    channels: int
    stride: int
    receptive_field: int
    smallest_input: int
    padding: int | None = None

    def seen_from(self) -> int:
        """The first pixel that position 0 sees; centred in its stride where the padding is not known."""
        return (self.stride - self.receptive_field) // 2 if self.padding is None else -self.padding


class Backbone(nn.Module, ABC):
    """A frozen feature extractor: ``backbone(image, layers) -> {layer: features}``.

    Subclasses set ``shapes`` (layers in order of depth), ``missing`` (layers of the architecture
    that lie above the end of the weights file) and implement ``_maps``. The weights never ask
    for gradients; the image may.

    Args:
        preprocessing: What the weights expect of a picture in [0, 1].
        source: Where the weights come from, for messages: a file name, or ``random weights``.
    """

    shapes: Mapping[str, LayerShape]
    missing: Collection[str] = ()
    weights_sha256: str | None = None
    """Hash of the weights file; None for random weights."""
    wrap: Wrap = "none"
    """Along which axes a picture goes on at its opposite edge; see :meth:`wrap_around`."""

    def __init__(self, *, preprocessing: Preprocessing, source: str) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.source = source

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that these weights reach, shallow to deep."""
        return tuple(self.shapes)

    def check_layers(self, layers: Iterable[str]) -> tuple[str, ...]:
        """The layers asked for, in order of depth, each once.

        Raises:
            ConfigError: The architecture has no such layer.
            WeightsError: It has, but the weights file ends below it.
        """
        wanted = set(layers)
        for layer in sorted(wanted - set(self.shapes)):
            if layer in self.missing:
                raise WeightsError(
                    f"layer {layer!r} is not in {self.source}, which ends at {self.layers[-1]!r}; "
                    "choose a shallower layer or a file that holds the whole network"
                )
            raise unknown_name("layer", layer, self.shapes)
        return tuple(layer for layer in self.shapes if layer in wanted)

    def wrap_around(self, wrap: Wrap) -> None:
        """Lets pictures go on at the opposite edge: every window then sees that beyond an edge.

        Features of a rolled picture are then rolled features, for pictures whose edges along these axes are
        multiples of the deepest layer's stride, rolled by multiples of it.

        Args:
            wrap: Along which axes.

        Raises:
            ConfigError: The architecture cannot.
        """
        if wrap != "none":
            raise ConfigError(
                f"{type(self).__name__} cannot go round the edges of a picture (wrap {wrap!r}); choose a VGG "
                "or a ResNet"
            )

    def wrap_multiples(self, layers: Iterable[str]) -> tuple[int, int]:
        """What height and width must be multiples of, for these layers to go round."""
        stride = max([1, *[self.shapes[layer].stride for layer in self.check_layers(layers)]])
        rows, columns = goes_round(self.wrap)
        return stride if rows else 1, stride if columns else 1

    def smallest_input(self, layers: Iterable[str]) -> int:
        """Shortest edge in pixels that a picture needs for every one of ``layers``."""
        return max([1, *[self.shapes[layer].smallest_input for layer in self.check_layers(layers)]])

    def forward(
        self, image: Tensor, layers: Iterable[str], *, visit: Visit | None = None
    ) -> dict[str, Tensor]:
        """Feature maps of one pass that goes no further than the deepest layer asked for.

        Args:
            image: Pictures, ``(B, 3, H, W)``, sRGB in [0, 1].
            layers: Names of the layers to return.
            visit: Called with each of them and its features as soon as they are there. The layers above may
                see what it returns, which must be equal.

        Returns:
            Layer name to features, ``(B, C, h, w)``, in order of depth.

        Raises:
            ValueError: ``image`` is no batch of pictures of three channels.
            ConfigError: An unknown layer, or a picture too small for the deepest one.
            WeightsError: A layer that the weights file lacks.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"expected pictures of shape (B, 3, H, W), got {tuple(image.shape)}")
        wanted = self.check_layers(layers)
        if not wanted:
            return {}
        height, width = image.shape[-2:]
        needed = self.smallest_input(wanted)
        if min(height, width) < needed:
            raise ConfigError(
                f"a picture of {width}x{height} pixels is too small for layer {wanted[-1]!r}, "
                f"which needs {needed}x{needed}; choose a larger size or shallower layers"
            )
        found: dict[str, Tensor] = {}
        maps = self._maps(self.preprocessing(image), wanted)
        passed_on: Tensor | None = None
        while len(found) < len(wanted):
            layer, features = maps.send(passed_on)
            passed_on = None
            if layer in wanted:
                found[layer] = features
                passed_on = None if visit is None else visit(layer, features)
        return found

    @abstractmethod
    def _maps(self, inputs: Tensor, wanted: Collection[str]) -> Maps:
        """Layer names with their features, shallow to deep, each computed when it is asked for.

        A backbone that is faster for it goes on with what is sent back, if that is not None: features equal
        to those it gave, which a loss has looked at in passing.

        Args:
            inputs: Preprocessed pictures, ``(B, 3, H, W)``.
            wanted: Layers whose features must stay as they are once they are given.
        """

    def freeze(self) -> None:
        """Evaluation mode, and no gradients for weights."""
        self.eval()
        self.requires_grad_(False)


class Builder(Protocol):
    """What the registry holds: a function that builds one architecture."""

    def __call__(
        self,
        weights: Weights | None,
        *,
        pooling: Pooling,
        padding: Padding,
        rescale: bool,
        generator: torch.Generator,
    ) -> Backbone:
        """The frozen network with ``weights``, or with random ones drawn from ``generator``."""


backbones: Registry[Builder] = Registry("backbone", home="velatura.backbones")
