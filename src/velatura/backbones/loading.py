"""From a weights file, or from chance, to a network: its preprocessing and its tensors."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from velatura.backbones.base import Backbone, Preprocessing
from velatura.core.errors import WeightsError
from velatura.weights import Weights

__all__ = ["check_first_key", "preprocessing_of", "set_weights", "source_of"]


def preprocessing_of(weights: Weights | None) -> Preprocessing:
    """What these weights were trained on; random weights take torchvision's convention."""
    if weights is None or weights.preprocessing == "torchvision":
        return Preprocessing.torchvision()
    if weights.preprocessing == "caffe":
        return Preprocessing.caffe()
    return Preprocessing(weights.state["preprocess.weight"], weights.state["preprocess.bias"])


def source_of(weights: Weights | None) -> str:
    """Where the weights come from, for messages."""
    return "random weights" if weights is None else weights.source


def check_first_key(weights: Weights, key: str, architecture: str) -> None:
    """Refuses a file that cannot even be the beginning of ``architecture``.

    Raises:
        WeightsError: ``key``, the first convolution's, is not there; the message names it and the
            first ones that are, and the backbone that the file is of.
    """
    if key not in weights.state:
        came = _first(list(weights.state)) or "no tensors"
        raise WeightsError(
            f"{weights.source} is not a {architecture}: it lacks {key}; it has {came}"
            f"{_advice(weights, architecture)}"
        )


def set_weights(
    network: Backbone, weights: Weights | None, *, architecture: str, generator: torch.Generator
) -> None:
    """Gives ``network`` its tensors and freezes it.

    The network may be on the meta device: building it there costs no time for torch's own
    initialisation, and draws nothing from the global generator.

    Args:
        network: Built as wide and as deep as ``weights`` go.
        weights: A file's tensors, or None for random ones: He initialisation by fan-out, zero
            biases, and normalisations that change nothing.
        architecture: What the network is called, for messages.
        generator: Source of the random ones.

    Raises:
        WeightsError: A key or a shape is not the architecture's; the message names the first ones,
            and the backbone that the file is of.
    """
    own = network.state_dict()
    if weights is None:
        state = {key: _drawn(key, tensor, generator) for key, tensor in own.items()}
    else:
        elsewhere = ("preprocess.",) if weights.preprocessing == "inner" else ()
        state = {key: value.float() for key, value in weights.state.items() if not key.startswith(elsewhere)}
        if complaint := _complaint(state, own):
            raise WeightsError(
                f"{weights.source} is not a {architecture}: it {complaint}{_advice(weights, architecture)}"
            )
        # Nothing reads the counters of batch normalisation here, and a slim file has none.
        state = {key: torch.zeros((), dtype=torch.long) for key in own if _is_counter(key)} | state
    network.load_state_dict(state, assign=True)
    network.freeze()


def _is_counter(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _drawn(key: str, like: Tensor, generator: torch.Generator) -> Tensor:
    if like.ndim == 4:
        kernels = torch.empty(like.shape)
        return nn.init.kaiming_normal_(kernels, mode="fan_out", nonlinearity="relu", generator=generator)
    if key.endswith((".weight", ".running_var")):
        return torch.ones(like.shape)
    return torch.zeros(like.shape, dtype=like.dtype)


def _advice(weights: Weights, architecture: str) -> str:
    """The backbones that build the file, where it is another's."""
    with contextlib.suppress(WeightsError):
        found = weights.architecture
        if found.built and architecture not in found.names:
            return f"; it fits --backbone {found}"
    return ""


def _complaint(state: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """What keeps these tensors from being a network's own; empty where nothing does."""
    foreign = [key for key in state if key not in own]
    lacking = [key for key in own if key not in state and not _is_counter(key)]
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for complaint, keys in (
        ("has keys that are not its own:", foreign),
        ("lacks", lacking),
        ("has other shapes:", wrong),
    ):
        if keys:
            return f"{complaint} {_first(keys)}"
    return ""


def _first(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
