"""Where each layer of a VGG network stands, under the papers' names. Pure Python.

A weights file numbers its layers (``features.19``); the papers name them (``conv4_1``). The
position of a name in ``vgg_layers`` is that number.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from velatura.core.errors import unknown_name

__all__ = ["CONVS_PER_BLOCK", "vgg_conv_index", "vgg_layers"]

CONVS_PER_BLOCK: Mapping[str, tuple[int, int, int, int, int]] = MappingProxyType(
    {
        "vgg11": (1, 1, 2, 2, 2),
        "vgg13": (2, 2, 2, 2, 2),
        "vgg16": (2, 2, 3, 3, 3),
        "vgg19": (2, 2, 4, 4, 4),
    }
)
"""How many convolutions stand before each pooling (Simonyan and Zisserman 2015, table 1, A, B, D, E)."""


def vgg_layers(name: str, *, batch_norm: bool = False) -> tuple[str, ...]:
    """Every layer in its order; the position is the number in torchvision's ``features.N`` keys.

    Args:
        name: ``vgg11``, ``vgg13``, ``vgg16`` or ``vgg19``.
        batch_norm: Whether a batch normalisation follows each convolution.

    Returns:
        ``("conv1_1", "relu1_1", ..., "pool1", "conv2_1", ..., "pool5")``, with ``norm1_1`` between
        ``conv1_1`` and ``relu1_1`` where there is batch normalisation.

    Raises:
        ConfigError: No VGG network has this name.
    """
    if name not in CONVS_PER_BLOCK:
        raise unknown_name("VGG network", name, CONVS_PER_BLOCK)
    kinds = ("conv", "norm", "relu") if batch_norm else ("conv", "relu")
    layers: list[str] = []
    for block, num_convs in enumerate(CONVS_PER_BLOCK[name], start=1):
        layers += [f"{kind}{block}_{conv}" for conv in range(1, num_convs + 1) for kind in kinds]
        layers.append(f"pool{block}")
    return tuple(layers)


def vgg_conv_index(name: str, block: int, conv: int, *, batch_norm: bool = False) -> int:
    """The number of ``conv{block}_{conv}`` in torchvision's ``features.N`` keys.

    Args:
        name: ``vgg11``, ``vgg13``, ``vgg16`` or ``vgg19``.
        block: Which block, from 1.
        conv: Which convolution of the block, from 1.
        batch_norm: Whether a batch normalisation follows each convolution.

    Raises:
        ConfigError: No VGG network has this name, or the network has no such convolution.
    """
    layers = vgg_layers(name, batch_norm=batch_norm)
    layer = f"conv{block}_{conv}"
    if layer not in layers:
        raise unknown_name(f"convolution of {name}", layer, (known for known in layers if "conv" in known))
    return layers.index(layer)
