"""From a weights file to a network: its preprocessing, and its tensors under their keys."""

from __future__ import annotations

from torch import nn

from velatura.backbones.base import Preprocessing
from velatura.core.errors import WeightsError
from velatura.weights import Weights

__all__ = ["load_state", "preprocessing_of"]


def preprocessing_of(weights: Weights | None) -> Preprocessing:
    """What these weights were trained on; random weights take torchvision's convention."""
    if weights is None or weights.preprocessing == "torchvision":
        return Preprocessing.torchvision()
    if weights.preprocessing == "caffe":
        return Preprocessing.caffe()
    return Preprocessing(weights.state["preprocess.weight"], weights.state["preprocess.bias"])


def load_state(network: nn.Module, weights: Weights, architecture: str) -> None:
    """Copies a file's tensors into ``network``.

    Raises:
        WeightsError: A key or a shape is not the architecture's; the message names the first ones.
    """
    state = {key: value for key, value in weights.state.items() if not key.startswith("preprocess.")}
    own = network.state_dict()
    wrong = [key for key in state if key in own and state[key].shape != own[key].shape]
    # A file without the counters of batch normalisation is complete: nothing reads them here.
    lacking = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    foreign = [key for key in state if key not in own]
    for complaint, keys in (
        ("has keys that are not its own", foreign),
        ("lacks", lacking),
        ("has other shapes at", wrong),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise WeightsError(
                f"{weights.source} is not a {architecture}: it {complaint} {', '.join(keys[:3])}{more}"
            )
    network.load_state_dict(state, strict=False)
