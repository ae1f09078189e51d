"""Reading a weights file: whatever its kind, tensors under torchvision's keys come out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from velatura.core.errors import WeightsError
from velatura.core.files import sha256_file
from velatura.weights.architecture import Architecture, describe
from velatura.weights.catalogue import CatalogueEntry, catalogue, official_entry
from velatura.weights.conventions import (
    PREPROCESSINGS,
    Padding,
    Pooling,
    Preprocessing,
    padding_in,
    pooling_in,
    preprocessing_in,
)
from velatura.weights.formats import Placement, place
from velatura.weights.pickles import OPENING_BYTES, is_pickle, read_pickle

__all__ = ["FORMAT_VERSION", "MAX_FILE_BYTES", "Weights", "load_weights"]

FORMAT_VERSION: Final = "1"
"""The ``velatura.format`` of the files that this version writes and reads."""

MAX_FILE_BYTES: Final = 2 * 2**30
"""The largest published file, VGG-19 with its classifier, is 0.54 GiB."""

_MAX_KEPT_BYTES: Final = 2**30

_IMAGENET: Final = (0.485, 0.456, 0.406, 0.229, 0.224, 0.225)
"""Mean and standard deviation that torchvision's networks are trained with."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """The convolutions and normalisations of one file, and how they want to be used.

    Args:
        state: float32 tensors under torchvision's keys; with ``preprocess.weight`` ``(3, 3, 1, 1)`` and
            ``preprocess.bias`` ``(3,)`` where the network has its own input convolution.
        preprocessing: How an image becomes the network's input.
        padding: The padding that the network was trained with.
        pooling: The pooling that the network was trained with.
        heads: Weight and bias of 1x1 convolutions beside the network, by the layer that they read.
        source: The file's name, for messages.
        path: Where it was read.
        sha256: Hash of the whole file.
        licence: As far as the file or the catalogue says.
        metadata: Every string that the file carries.
        style: What kind of file it was, in words.
        convention_from: Who says the preprocessing, in words.
        left_out: What of the file was not read, in words, with the names of the tensors.
        prefixes: What was taken off the file's names of the tensors, from the front.
    """

    state: Mapping[str, Tensor]
    preprocessing: Preprocessing
    padding: Padding = "zeros"
    pooling: Pooling = "max"
    heads: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    source: str
    path: Path | None = None
    sha256: str = ""
    licence: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    style: str = ""
    convention_from: str = ""
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The network that ``state`` is, or is the beginning of.

        Raises:
            WeightsError: It is the beginning of no known network.
        """
        return describe({key: tuple(tensor.shape) for key, tensor in self.state.items()})


def load_weights(path: str | os.PathLike[str], *, preprocessing: Preprocessing | None = None) -> Weights:
    """Reads a weights file of any known kind.

    Known are the state dicts of torchvision (VGG with and without batch normalisation, ResNet,
    SqueezeNet 1.1), VGG files with layer names (``conv1_1``, ``conv11``), Torch's sequence of the
    normalised VGG, ResNets with their batch normalisation folded in, and Velatura's own files; as
    safetensors or as a PyTorch file, of which nothing but tensors is read. Classifiers are left out,
    and every tensor becomes float32.

    Args:
        path: The file.
        preprocessing: What the network was trained on, for a file that does not say. The hashes of the
            published files are known.

    Raises:
        WeightsError: The file is missing, too large, damaged, of no known kind, holds anything but
            tensors, a NaN or an infinity, does not say its preprocessing, or contradicts the one given.
    """
    path = Path(path)
    try:
        _check_file(path)
        sha256 = sha256_file(path)
        official = _official(path, sha256)
        tensors, metadata, beside = _read(path)
        weights = _weights(path, sha256, official, tensors, metadata, preprocessing)
        return replace(weights, left_out={**weights.left_out, **dict.fromkeys(beside, ())})
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}") from error
    except WeightsError as error:
        raise WeightsError(f"weights {path.name}: {error}") from error


def _weights(
    path: Path,
    sha256: str,
    official: CatalogueEntry | None,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    preprocessing: Preprocessing | None,
) -> Weights:
    version = metadata.get("velatura.format", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"it has format {version[:20]!r}, this version reads {FORMAT_VERSION!r}; update Velatura"
        )
    placement = place({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    _check_size(tensors, placement)
    state = {key: _float32(name, tensors[name]) for name, key in placement.keys.items()}
    own = _normaliser(tensors, placement)
    state |= own or {}
    said = _said(metadata, placement, own, official, preprocessing)
    return Weights(
        state=state,
        preprocessing=_agreed(said, has_convolution="preprocess.weight" in state),
        padding=padding_in(metadata) or (official and official.padding) or placement.padding,
        pooling=pooling_in(metadata) or (official and official.pooling) or "max",
        heads={
            layer: (_float32(weight, tensors[weight]), _float32(bias, tensors[bias]))
            for layer, (weight, bias) in placement.heads.items()
        },
        source=path.name,
        path=path,
        sha256=sha256,
        licence=metadata.get("velatura.licence")
        or metadata.get("licence")
        or (official.licence if official else ""),
        metadata=metadata,
        style=placement.style,
        convention_from=" and ".join(said),
        left_out=placement.left_out,
        prefixes=placement.prefixes,
    )


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(f"it is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file")
    if status.st_size == 0:
        raise WeightsError("the file is empty")
    if status.st_size > MAX_FILE_BYTES:
        raise WeightsError(f"the file has {status.st_size} bytes, more than the {MAX_FILE_BYTES} allowed")


def _official(path: Path, sha256: str) -> CatalogueEntry | None:
    """The published file that this is, by its hash; a published name over another content is refused."""
    for entry in catalogue().values():
        expected = entry.files.get(path.name)
        if expected is not None and not sha256.startswith(expected):
            raise WeightsError(
                f"damaged: its SHA-256 begins {sha256[:8]}, the published file's {expected}; "
                f"delete it and fetch it again, or rename it if it is another file"
            )
    return official_entry(sha256)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str], tuple[str, ...]]:
    """Tensors and metadata of a file, whose first bytes tell its kind, and what else it holds."""
    with path.open("rb") as file:
        opening = file.read(OPENING_BYTES)
    if is_pickle(opening):
        tensors, beside = read_pickle(path, max_bytes=MAX_FILE_BYTES)
        return tensors, {}, beside
    return *_read_safetensors(path), ()


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(
            f"damaged or no weights file: {_one_line(error)}; fetch or copy it again"
        ) from error


def _check_size(tensors: Mapping[str, Tensor], placement: Placement) -> None:
    # A tensor of stride 0 is small in the file and large once it is copied.
    size = sum(4 * tensors[name].numel() for name in placement.keys)
    if size > _MAX_KEPT_BYTES:
        raise WeightsError(
            f"its convolutions would take {size} bytes, more than the {_MAX_KEPT_BYTES} allowed"
        )


def _float32(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.layout is not torch.strided:
        raise WeightsError(f"tensor {name!r} holds {tensor.dtype}; expected floating-point numbers")
    # A copy, not a view: the file may be replaced while the network is in use.
    copy = tensor.detach().to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    if not bool(torch.isfinite(copy).all()):
        raise WeightsError(
            f"tensor {name!r} holds a NaN or an infinity: the file is damaged or its training failed"
        )
    return copy


def _normaliser(tensors: Mapping[str, Tensor], placement: Placement) -> dict[str, Tensor] | None:
    """What the file's own normaliser becomes: nothing where it is torchvision's; None if it has none.

    Otherwise a 1x1 convolution that subtracts a mean and divides by a standard deviation per channel.
    """
    if placement.normaliser is None:
        return None
    mean, std = (_float32(name, tensors[name]).flatten() for name in placement.normaliser)
    if mean.numel() != 3 or std.numel() != 3 or not bool((std > 0).all()):
        raise WeightsError(
            "its normaliser has no mean and positive standard deviation for each of three channels"
        )
    if torch.allclose(torch.cat([mean, std]), torch.tensor(_IMAGENET), rtol=0, atol=1e-6):
        return {}
    scale = std.reciprocal()
    return {"preprocess.weight": torch.diag(scale)[:, :, None, None], "preprocess.bias": -mean * scale}


def _said(
    metadata: Mapping[str, str],
    placement: Placement,
    normaliser: Mapping[str, Tensor] | None,
    official: CatalogueEntry | None,
    asked: Preprocessing | None,
) -> dict[str, Preprocessing]:
    """The preprocessing, by everybody who has a word on it."""
    normalised: Preprocessing | None = None
    if normaliser is not None:
        normalised = "inner" if normaliser else "torchvision"
    words: dict[str, Preprocessing | None] = {
        "its metadata": preprocessing_in(metadata),
        "its own input convolution": "inner" if placement.inner else None,
        "its own normaliser": normalised,
        "the hash of the published file": official.preprocessing if official else None,
        "preprocessing=": asked,
    }
    return {speaker: word for speaker, word in words.items() if word is not None}


def _agreed(said: Mapping[str, Preprocessing], *, has_convolution: bool) -> Preprocessing:
    if not said:
        choices = ", ".join(PREPROCESSINGS[:2])
        raise WeightsError(
            f"it does not say what input it was trained on; give preprocessing= one of {choices}"
        )
    if len(set(said.values())) > 1:
        raise WeightsError(
            "its preprocessing is contradicted: "
            + ", ".join(f"{who} says {word}" for who, word in said.items())
        )
    (word,) = set(said.values())
    if word == "inner" and not has_convolution:
        raise WeightsError("preprocessing inner needs the file's own input convolution, and it has none")
    return word


def _one_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
