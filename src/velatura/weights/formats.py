"""The key styles of the weights files in circulation, and where their tensors belong.

Every style is turned into torchvision's keys: ``features.N.weight`` for VGG and SqueezeNet,
``layer1.0.conv1.weight`` for ResNet; a network's own input convolution becomes ``preprocess``. Names
and shapes are enough to decide, so that a file on a server is recognised from its header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from velatura.core.errors import WeightsError
from velatura.core.vgg_layout import CONVS_PER_BLOCK, vgg_conv_index, vgg_layers
from velatura.weights.architecture import Shape, describe
from velatura.weights.conventions import Padding

__all__ = ["Placement", "place"]

_CLASSIFIER: Final = re.compile(r"(classifier|fc|head|linear|pre_logits)\..+")
_TIMM: Final = re.compile(r"(head\.fc|pre_logits\.fc\d)\..+")
_COUNTER: Final = re.compile(r".+\.num_batches_tracked")
_ADVERSARY: Final = re.compile(r"(attacker|normalizer)\..+")

_PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
"""What wrappers put before every name: DataParallel, torch.compile, and training scripts."""

_NAMED: Final = re.compile(r"conv([1-5])_?([1-4])(_aux)?\.(weight|bias)")
_INNER: Final = re.compile(r"(?:preprocess|conv0)\.(weight|bias)")
_NUMBERED: Final = re.compile(r"(\d+)\.(weight|bias)")
_FEATURES: Final = re.compile(
    r"features\.\d+\.(weight|bias|running_mean|running_var|(squeeze|expand1x1|expand3x3)\.(weight|bias))"
)
_RESNET: Final = re.compile(
    r"(conv1\.(weight|bias)|bn1\.(weight|bias|running_mean|running_var)"
    r"|layer[1-4]\.\d+\.((conv[123]|downsample\.0)\.(weight|bias)"
    r"|(bn[123]|downsample\.1)\.(weight|bias|running_mean|running_var)))"
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where each tensor of a file belongs.

    Args:
        style: The file's kind, in words.
        keys: The file's name of each tensor to keep, and its torchvision key.
        heads: The file's names of weight and bias of each 1x1 head, by the layer that it reads.
        normaliser: The file's names of a mean and a standard deviation per channel, where it holds them.
        left_out: What has no use here, in words, with the file's names of its tensors.
        padding: What such files were trained with.
        prefixes: What was taken off the names, from the front.
    """

    style: str
    keys: Mapping[str, str]
    heads: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    normaliser: tuple[str, str] | None = None
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    padding: Padding = "zeros"
    prefixes: tuple[str, ...] = ()

    @property
    def inner(self) -> bool:
        """Whether the file has its own input convolution."""
        return "preprocess.weight" in self.keys.values()


def place(shapes: Mapping[str, Shape]) -> Placement:
    """Recognises a file by the names and shapes of its tensors.

    Classifiers, counters and an attacker's copy of the network are left out. Everything else must have a
    place.

    Args:
        shapes: Shape of each tensor under the file's own name.

    Raises:
        WeightsError: The file is of no known kind, or holds tensors without a place, which are named.
    """
    bare, prefixes, normaliser, attacker = _unwrapped(shapes)
    candidates = [name for name in bare if not _CLASSIFIER.fullmatch(name) and not _COUNTER.fullmatch(name)]
    layout, keys = _keys(candidates, {name: shapes[bare[name]] for name in candidates})
    style = _style(layout, bare, attacker)
    unplaced = [name for name in candidates if name not in keys]
    if unplaced or not keys:
        raise WeightsError(_unplaced(unplaced, style))
    heads = {key: bare[name] for name, key in keys.items() if key.startswith("heads.")}
    kept = {bare[name]: key for name, key in keys.items() if not key.startswith("heads.")}
    own_shapes = {key: shapes[name] for name, key in kept.items()}
    _check_inner(own_shapes)
    describe(own_shapes)
    return Placement(
        style=style,
        keys=kept,
        heads=_paired(heads),
        normaliser=normaliser,
        left_out=_left_out(bare, attacker),
        # The networks with an inner convolution come from Gatys et al. by way of Torch, which reflects.
        padding="reflect" if layout != "torchvision" and "preprocess.weight" in own_shapes else "zeros",
        prefixes=prefixes,
    )


def _style(layout: str, bare: Iterable[str], attacker: tuple[str, ...]) -> str:
    """Whose file it is, where that is told by more than the names of the network's own tensors."""
    if attacker:
        return "robustness"
    return "timm" if layout == "torchvision" and any(_TIMM.fullmatch(name) for name in bare) else layout


def _unwrapped(
    names: Iterable[str],
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, str] | None, tuple[str, ...]]:
    """The file's names by their bare form, what that leaves off, its normaliser, and its attacker's names."""
    bare, prefixes = _without_prefixes({name: name for name in names})
    attacker = tuple(whole for name, whole in bare.items() if _ADVERSARY.fullmatch(name))
    if not attacker:
        return bare, prefixes, None, ()
    # The "robustness" library keeps the network beside its attacker's copy and a normaliser.
    normaliser = (bare.get("normalizer.new_mean"), bare.get("normalizer.new_std"))
    network = {name: whole for name, whole in bare.items() if not _ADVERSARY.fullmatch(name)}
    mean, std = normaliser
    network, inner = _without_prefixes(network)
    return (
        network,
        prefixes + inner,
        None if mean is None or std is None else (mean, std),
        tuple(name for name in attacker if name not in normaliser),
    )


def _without_prefixes(bare: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    found, prefixes = dict(bare), []
    while prefix := next((one for one in _PREFIXES if found and all(n.startswith(one) for n in found)), None):
        found = {name.removeprefix(prefix): whole for name, whole in found.items()}
        prefixes.append(prefix)
    return found, tuple(prefixes)


def _left_out(bare: Mapping[str, str], attacker: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    groups = {
        "classifier": tuple(whole for name, whole in bare.items() if _CLASSIFIER.fullmatch(name)),
        "counters of the normalisations": tuple(n for name, n in bare.items() if _COUNTER.fullmatch(name)),
        "the attacker's copy of the network": attacker,
    }
    return {what: names for what, names in groups.items() if names}


def _keys(names: list[str], shapes: Mapping[str, Shape]) -> tuple[str, dict[str, str]]:
    if any(_NAMED.fullmatch(name) for name in names):
        return "VGG with layer names", _named(names)
    if shapes.get("0.weight") == (3, 3, 1, 1):
        return "normalised VGG in sequence", _numbered(names, shapes)
    residual = any(name == "conv1.weight" or name.startswith("layer1.") for name in names)
    pattern = _RESNET if residual else _FEATURES
    keys = {name: name for name in names if pattern.fullmatch(name)}
    return "torchvision", keys | {
        name: name for name in names if re.fullmatch(r"preprocess\.(weight|bias)", name)
    }


def _named(names: list[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    network = _named_network(names)
    for name in names:
        if inner := _INNER.fullmatch(name):
            keys[name] = f"preprocess.{inner[1]}"
        elif (named := _NAMED.fullmatch(name)) and named[3]:
            keys[name] = f"heads.relu{named[1]}_{named[2]}.{named[4]}"
        elif named and f"conv{named[1]}_{named[2]}" in vgg_layers(network):
            keys[name] = f"features.{vgg_conv_index(network, int(named[1]), int(named[2]))}.{named[4]}"
    return keys


def _named_network(names: list[str]) -> str:
    """The VGG network whose beginning these layers are; VGG-19 where several begin like this."""
    found = {f"conv{m[1]}_{m[2]}" for name in names if (m := _NAMED.fullmatch(name)) and not m[3]}
    for network in sorted(CONVS_PER_BLOCK, reverse=True):
        convs = [layer for layer in vgg_layers(network) if layer.startswith("conv")]
        if found == set(convs[: len(found)]):
            return network
    return "vgg19"


def _numbered(names: list[str], shapes: Mapping[str, Shape]) -> dict[str, str]:
    """Torch's sequence of padding, convolution and activation: only the order of the convolutions counts."""
    numbers = sorted({int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))})
    convs = [index for index, layer in enumerate(vgg_layers("vgg19")) if layer.startswith("conv")]
    places = dict(zip(numbers, ["preprocess", *(f"features.{index}" for index in convs)], strict=False))
    return {
        name: f"{places[int(match[1])]}.{match[2]}"
        for name in shapes
        if (match := _NUMBERED.fullmatch(name)) and int(match[1]) in places
    }


def _unplaced(names: list[str], style: str) -> str:
    if not names:
        return "it holds no tensors of a network that Velatura knows"
    shown = ", ".join(repr(name[:80]) for name in names[:4])
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (
        f"tensors without a place in a {style} file: {shown}{more}; known are VGG, ResNet and SqueezeNet 1.1"
    )


def _check_inner(shapes: Mapping[str, Shape]) -> None:
    found = {key: shape for key, shape in shapes.items() if key.startswith("preprocess.")}
    if found and found != {"preprocess.weight": (3, 3, 1, 1), "preprocess.bias": (3,)}:
        raise WeightsError(f"its input convolution has the shapes {found}; expected (3, 3, 1, 1) and (3,)")


def _paired(heads: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    layers = dict.fromkeys(key.split(".")[1] for key in heads)
    for layer in layers:
        for part in ("weight", "bias"):
            if f"heads.{layer}.{part}" not in heads:
                raise WeightsError(f"the head of {layer} has no {part}")
    return {layer: (heads[f"heads.{layer}.weight"], heads[f"heads.{layer}.bias"]) for layer in layers}
