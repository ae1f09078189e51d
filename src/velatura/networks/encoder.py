"""The frozen half of a network that takes its style from any painting."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import Backbone, BackboneConfig, build_backbone
from velatura.core.errors import ConfigError

__all__ = ["Encoder", "mirrored_steps", "padded_to_multiple"]


class Encoder(nn.Module):
    """A backbone whose weights belong to nobody's state dict: a model file names them by their hash.

    Args:
        config: Network and weights.
        layers: What it is asked for, in any order.

    Raises:
        ConfigError: There is no such layer.
        WeightsError: The weights are missing, broken, or end below a layer.
    """

    def __init__(self, config: BackboneConfig, layers: Sequence[str]) -> None:
        super().__init__()
        backbone = build_backbone(config)
        self.config = config
        self.layers = backbone.check_layers(layers)
        self._known: list[tuple[Tensor, Mapping[str, Tensor]]] | None = None
        self._held = (backbone,)  # A tuple hides it from the state dict, and `_apply` finds it all the same.

    @property
    def backbone(self) -> Backbone:
        """The network itself."""
        return self._held[0]

    @property
    def stride(self) -> int:
        """Pixels of the picture from one position of the deepest layer to the next."""
        return max(self.backbone.shapes[layer].stride for layer in self.layers)

    @property
    def smallest(self) -> int:
        """Shortest edge in pixels at which a decoder can reflect the deepest map at its edge."""
        return max(self.backbone.smallest_input(self.layers), 2 * self.stride)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Encoder:
        # What moves the network moves its encoder.
        self.backbone._apply(fn, recurse)  # type: ignore[no-untyped-call] # noqa: SLF001
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def forward(self, image: Tensor) -> Mapping[str, Tensor]:
        """Features of each layer of pictures ``(B, 3, H, W)`` in [0, 1]."""
        for known, features in self._known or ():
            if known is image:
                return {layer: features[layer] for layer in self.layers}
        maps: dict[str, Tensor] = self.backbone(image, self.layers)
        if self._known is not None:
            self._known.append((image, maps))
        return maps

    @contextlib.contextmanager
    def remembering(self, *known: tuple[Tensor, Mapping[str, Tensor]]) -> Iterator[None]:
        """Until the block ends, pictures that come again, as the same tensor, need no second pass.

        Args:
            known: Pictures whose features are at hand already, with at least the layers asked for.
        """
        self._known = list(known)
        try:
            yield
        finally:
            self._known = None

    def enlarged(self, image: Tensor) -> Tensor:
        """The picture, or one just large enough for the deepest layer."""
        smallest = self.backbone.smallest_input(self.layers)
        height, width = image.shape[-2:]
        if min(height, width) >= smallest:
            return image
        size = max(height, smallest), max(width, smallest)
        return functional.interpolate(image, size, mode="bilinear", align_corners=False)


def padded_to_multiple(image: Tensor, multiple: int, *, at_least: int = 1) -> Tensor:
    """The picture with its last row and column repeated up to multiples of ``multiple``.

    Args:
        image: ``(B, 3, H, W)``.
        multiple: What height and width must be divisible by.
        at_least: Edge that it must have in any case, in pixels.
    """
    # Not by negative numbers, whose quotient an exported graph rounds towards 0.
    height, width = ((max(edge, at_least) + multiple - 1) // multiple * multiple for edge in image.shape[-2:])
    below, right = height - image.shape[-2], width - image.shape[-1]
    return functional.pad(image, (0, right, 0, below), mode="replicate") if below or right else image


def mirrored_steps(backbone: Backbone, layer: str) -> list[tuple[int, int]]:
    """Channels and stride from ``layer`` down to the picture, an entry a feature map that a decoder paints.

    Of a VGG every rectified map counts, of a ResNet every stage.

    Raises:
        ConfigError: There is no such layer.
        WeightsError: The weights end below it.
    """
    (layer,) = backbone.check_layers([layer])
    names = list(backbone.shapes)
    below = names[: names.index(layer) + 1]
    counting = [name for name in below if name.startswith("relu")] or [
        name for name in below if "." not in name and "pool" not in name
    ]
    if counting[-1:] != [layer]:
        raise ConfigError(
            f"a decoder cannot start from layer {layer!r}; choose one of {', '.join(counting)}"
            if counting
            else f"a decoder cannot start from layer {layer!r}"
        )
    shapes = [backbone.shapes[name] for name in reversed(counting)]
    return [*((shape.channels, shape.stride) for shape in shapes), (3, 1)]
