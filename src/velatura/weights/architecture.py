"""Which network a set of tensors belongs to, told by its keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from velatura.core.errors import WeightsError
from velatura.core.vgg_layout import CONVS_PER_BLOCK, vgg_layers

__all__ = ["Architecture", "Shape", "describe"]

Shape = tuple[int, ...]

_FIRES: Final = (3, 4, 6, 7, 9, 10, 11, 12)
"""Where SqueezeNet 1.1 has its eight fire modules among its ``features``."""

_RESNETS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
}
"""Kind and number of blocks in each layer (He et al. 2016, table 1)."""

_STEM_WIDTH: Final = 64
_STAGE_WIDTHS: Final = (64, 128, 256, 512)
"""Channels of each layer's 3x3 convolutions (He et al. 2016, table 1)."""

_EXPANSIONS: Final[Mapping[str, int]] = {"basic": 1, "bottleneck": 4}
"""How many times wider than its 3x3 convolutions a block's output is."""

_SQUEEZENET_WIDTHS: Final = (64, 128, 128, 256, 256, 384, 384, 512, 512)

_NORM_PARTS: Final = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a file holds of which network.

    Args:
        names: Every known network that begins like this. A file that stops early can be the beginning
            of several.
        widths: Channels of each convolution (VGG) or of each stage (ResNet, SqueezeNet).
        deepest: The last layer that can be computed, under the papers' names.
        complete: Whether all of a known network is there.
        built: Whether a backbone builds it: a VGG of any width, the others of their papers' widths.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    deepest: str
    complete: bool
    built: bool

    def __str__(self) -> str:
        return " or ".join(self.names)


def describe(shapes: Mapping[str, Shape]) -> Architecture:
    """The network that these tensors are, or are the beginning of.

    Args:
        shapes: Shape of each tensor under torchvision's key.

    Raises:
        WeightsError: They are no beginning of a known kind of network: a tensor is missing in between,
            or a convolution does not fit the one before it.
    """
    if "features.3.squeeze.weight" in shapes:
        return _squeezenet(shapes)
    if "features.0.weight" in shapes:
        return _vgg(shapes)
    if "conv1.weight" in shapes:
        return _resnet(shapes)
    raise WeightsError("it has no first convolution: neither 'features.0.weight' nor 'conv1.weight'")


def _vgg(shapes: Mapping[str, Shape]) -> Architecture:
    batch_norm = any(key.endswith(".running_mean") for key in shapes)
    present = {int(key.split(".")[1]) for key in shapes if key.startswith("features.")}
    found: dict[str, tuple[str, ...]] = {}
    whole: tuple[str, ...] = ()
    for name in CONVS_PER_BLOCK:
        layers = vgg_layers(name, batch_norm=batch_norm)
        holders = [index for index, layer in enumerate(layers) if layer.startswith(("conv", "norm"))]
        if present == set(holders[: len(present)]):
            found[name] = layers
        if present == set(holders):
            whole = (name,)
    if not found:
        numbers = ", ".join(map(str, sorted(present)))
        raise WeightsError(f"its features {numbers} are the beginning of no VGG network; is one missing?")
    layers = next(iter(found.values()))
    widths = _check_vgg_tensors(shapes, {index: layers[index] for index in sorted(present)})
    suffix = "_bn" if batch_norm else ""
    return Architecture(
        names=tuple(name + suffix for name in whole or found),
        widths=widths,
        deepest="relu" + layers[max(present)][4:],
        complete=bool(whole),
        built=True,
    )


def _check_vgg_tensors(shapes: Mapping[str, Shape], holders: Mapping[int, str]) -> tuple[int, ...]:
    widths: list[int] = [3]
    for index, layer in holders.items():
        key = f"features.{index}"
        if layer.startswith("conv"):
            weight = _shape(shapes, f"{key}.weight", layer)
            _expect(f"{key}.weight", weight, (*weight[:1], widths[-1], 3, 3), layer)
            widths.append(weight[0])
        for part in ("bias",) if layer.startswith("conv") else _NORM_PARTS:
            _expect(f"{key}.{part}", _shape(shapes, f"{key}.{part}", layer), (widths[-1],), layer)
    return tuple(widths[1:])


def _shape(shapes: Mapping[str, Shape], key: str, layer: str) -> Shape:
    if key not in shapes:
        raise WeightsError(f"it has no tensor {key!r} ({layer})")
    return shapes[key]


def _expect(key: str, shape: Shape, expected: Shape, layer: str) -> None:
    if shape != expected:
        raise WeightsError(f"tensor {key!r} ({layer}) has shape {list(shape)}; expected {list(expected)}")


def _squeezenet(shapes: Mapping[str, Shape]) -> Architecture:
    present = sorted({int(key.split(".")[1]) for key in shapes if key.startswith("features.")})
    num_fires = len(present) - 1
    if present != [0, *_FIRES[:num_fires]]:
        numbers = ", ".join(map(str, present))
        raise WeightsError(
            f"its features {numbers} are no beginning of SqueezeNet 1.1 (1.0 is not supported)"
        )
    for index in present[1:]:
        for part in ("squeeze", "expand1x1", "expand3x3"):
            _shape(shapes, f"features.{index}.{part}.weight", f"fire{_FIRES.index(index) + 2}")
    expanded = [2 * shapes[f"features.{index}.expand3x3.weight"][0] for index in present[1:]]
    widths = (shapes["features.0.weight"][0], *expanded)
    return Architecture(
        names=("squeezenet1_1",),
        widths=widths,
        deepest=f"fire{num_fires + 1}",
        complete=num_fires == len(_FIRES),
        built=widths == _SQUEEZENET_WIDTHS[: len(widths)],
    )


def _resnet(shapes: Mapping[str, Shape]) -> Architecture:
    blocks = _resnet_blocks(shapes)
    kind = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
    known = [name for name, network in _RESNETS.items() if _begins((kind, blocks), network)]
    whole = [name for name in known if _RESNETS[name][1] == blocks]
    # The networks for ImageNet begin with a 7x7 convolution; those for CIFAR are named by their blocks.
    if shapes["conv1.weight"][2:] != (7, 7):
        known, whole = [], []
    _check_resnet_tensors(shapes, blocks, kind, projects=bool(known))
    expansion = _EXPANSIONS[kind]
    stages = [expansion * shapes[f"layer{stage}.0.conv1.weight"][0] for stage in range(1, len(blocks) + 1)]
    widths = (shapes["conv1.weight"][0], *stages)
    published = (_STEM_WIDTH, *(expansion * width for width in _STAGE_WIDTHS))
    return Architecture(
        names=tuple(whole or known) or (f"resnet with {'-'.join(map(str, blocks)) or 'no'} {kind} blocks",),
        widths=widths,
        deepest=f"layer{len(blocks)}" if blocks else "conv1",
        complete=bool(whole),
        built=bool(known) and widths == published[: len(widths)],
    )


def _check_resnet_tensors(
    shapes: Mapping[str, Shape], blocks: tuple[int, ...], kind: str, *, projects: bool
) -> None:
    """Refuses a tensor that is missing, does not fit the one before it, or has no part in the network."""
    folded = "bn1.weight" not in shapes
    parts = set()
    for conv, norm, expected, layer in _residual_convolutions(shapes, blocks, kind, projects=projects):
        _expect(f"{conv}.weight", _shape(shapes, f"{conv}.weight", layer), expected, layer)
        after = [f"{conv}.bias"] if folded else [f"{norm}.{part}" for part in _NORM_PARTS]
        for key in after:
            _expect(key, _shape(shapes, key, layer), expected[:1], layer)
        parts |= {f"{conv}.weight", *after}
    others = [key for key in shapes if key not in parts and not key.startswith("preprocess.")]
    if others:
        raise WeightsError(f"tensor {others[0]!r} is no part of a ResNet with {kind} blocks")


def _residual_convolutions(
    shapes: Mapping[str, Shape], blocks: tuple[int, ...], kind: str, *, projects: bool
) -> Iterator[tuple[str, str, Shape, str]]:
    """Each convolution and its normalisation, with the shape that the ones before leave it, and its layer.

    Args:
        shapes: Shape of each tensor; the first convolution of each layer decides how wide it is.
        blocks: How many blocks each layer has.
        kind: Of the blocks.
        projects: Whether a shortcut that changes the shape must be a convolution, as it is in the networks
            for ImageNet. Those for CIFAR may pad (He et al. 2016, section 4.2).
    """
    stem = shapes["conv1.weight"]
    yield "conv1", "bn1", (*stem[:1], 3, *stem[-1:], *stem[-1:]), "stem"
    channels = stem[0]
    for stage, count in enumerate(blocks, start=1):
        width = shapes[f"layer{stage}.0.conv1.weight"][:1]
        for index in range(count):
            block = f"layer{stage}.{index}"
            outgoing = tuple(_EXPANSIONS[kind] * one for one in width)
            shaped = [(*width, channels, 3, 3), (*width, *width, 3, 3)]
            if kind == "bottleneck":
                shaped = [(*width, channels, 1, 1), (*width, *width, 3, 3), (*outgoing, *width, 1, 1)]
            for number, shape in enumerate(shaped, start=1):
                yield f"{block}.conv{number}", f"{block}.bn{number}", shape, f"block {block}"
            changes = index == 0 and (stage > 1 or outgoing != (channels,))
            if changes and (projects or f"{block}.downsample.0.weight" in shapes):
                shortcut = f"{block}.downsample"
                yield f"{shortcut}.0", f"{shortcut}.1", (*outgoing, channels, 1, 1), f"block {block}"
            (channels,) = outgoing


def _resnet_blocks(shapes: Mapping[str, Shape]) -> tuple[int, ...]:
    """How many blocks each layer has; checks that none is missing in between."""
    found = {(int(m[1]), int(m[2])) for key in shapes if (m := re.match(r"layer(\d+)\.(\d+)\.", key))}
    blocks: list[int] = []
    for stage in range(1, 1 + max((stage for stage, _ in found), default=0)):
        count = sum(1 for layer, _ in found if layer == stage)
        missing = [index for index in range(max(count, 1)) if (stage, index) not in found]
        if missing:
            raise WeightsError(f"it has no tensors of block layer{stage}.{missing[0]}, but of later ones")
        blocks.append(count)
    for stage, index in sorted(found):
        for conv in ("conv1", "conv2"):
            _shape(shapes, f"layer{stage}.{index}.{conv}.weight", "residual block")
    return tuple(blocks)


def _begins(part: tuple[str, tuple[int, ...]], network: tuple[str, tuple[int, ...]]) -> bool:
    (kind, blocks), (whole_kind, whole) = part, network
    if not blocks:
        return True
    full, last = blocks[:-1], blocks[-1]
    return kind == whole_kind and full == whole[: len(full)] and last <= whole[len(full)]
