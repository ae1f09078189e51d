"""Model files: a trained network's tensors, and all that is needed to build and judge it, in one file.

A model is safetensors. Its metadata hold ``velatura.model``, the version of this format;
``velatura.version``, which version wrote it; and ``velatura.record``, JSON with the network's config, its
styles, the hash of the encoder that it was trained on, and how it was trained. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from velatura._version import __version__
from velatura.core.errors import WeightsError
from velatura.networks.base import Network
from velatura.weights.formats import place
from velatura.weights.header import LENGTH_BYTES, Header, header_length, parse_header
from velatura.weights.pickles import OPENING_BYTES, is_pickle
from velatura.weights.slim import FloatName, write_tensors

__all__ = ["MODEL_FORMAT", "ModelRecord", "fill_network", "read_model", "write_model"]

MODEL_FORMAT: Final = 1
"""The newest ``velatura.model`` that this version reads, and the one that it writes."""

_FORMAT_KEY, _VERSION_KEY, _RECORD_KEY = "velatura.model", "velatura.version", "velatura.record"
_FLOATS: Final = ("F16", "F32")
_EXPECTED: Final = "expected a model that 'velatura train' wrote"


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """What a model file says beside its tensors.

    Args:
        config: The network's settings, ``{"name": ..., **settings}``.
        style_names: Of a network of one or many styles, the name of each; empty for any style.
        style_sha256: Hash of each style's picture file, in the same order.
        encoder_sha256: Hash of the frozen encoder's weights, which are not in the file; None without one.
        training: How it was trained, as JSON can hold it.
        version: Velatura's version that wrote the file.

    Raises:
        ValueError: The config has no name, a style's name is empty, not printable or there twice, or there
            are not as many hashes as names.
    """

    config: Mapping[str, Any]
    style_names: tuple[str, ...] = ()
    style_sha256: tuple[str, ...] = ()
    encoder_sha256: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        if not isinstance(self.config.get("name"), str):
            raise ValueError("a model's config must have the network's name")
        for name in self.style_names:
            if not name.strip() or not name.isprintable():
                raise ValueError(f"{name[:80]!r} cannot be the name of a style")
        if len(set(self.style_names)) < len(self.style_names):
            raise ValueError(f"a style's name stands twice in {', '.join(self.style_names)}")
        if len(self.style_names) != len(self.style_sha256):
            raise ValueError(f"{len(self.style_names)} styles have {len(self.style_sha256)} hashes")


def write_model(
    path: str | os.PathLike[str], network: Network, record: ModelRecord, *, dtype: FloatName = "float32"
) -> None:
    """Writes a network's state dict with its record, whole or not at all.

    Args:
        path: The file, by custom ``NAME.safetensors``.
        network: What to write. Its frozen encoder is not in its state dict.
        record: What to write beside it; the hash of the encoder is the network's.
        dtype: How the numbers are kept.

    Raises:
        ValueError: The record has the hash of another encoder.
        WeightsError: A weight is not finite, or too large for float16.
        OutputError: The file cannot be written.
    """
    if record.encoder_sha256 not in (None, network.encoder_sha256):
        raise ValueError(f"the record is of another encoder than the network's, {network.encoder_sha256}")
    content = {
        "config": record.config,
        "style_names": list(record.style_names),
        "style_sha256": list(record.style_sha256),
        "encoder_sha256": network.encoder_sha256,
        "training": record.training,
    }
    metadata = {
        _FORMAT_KEY: str(MODEL_FORMAT),
        _VERSION_KEY: record.version,
        _RECORD_KEY: json.dumps(content, allow_nan=False),
    }
    write_tensors(path, network.state_dict(), metadata, dtype=dtype)


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], ModelRecord]:
    """Tensors and record of a model file; nothing is built.

    Returns:
        The network's state dict on the CPU, float16 as float32, and the record.

    Raises:
        WeightsError: The file is missing, truncated, no model, newer than this code, a pickle, or holds a
            number that is not finite. The message says what was expected and what to do.
    """
    path = Path(path)
    try:
        return _read(path)
    except OSError as error:
        raise WeightsError(f"cannot read model {path}: {error.strerror or error}") from error
    except WeightsError as error:
        raise WeightsError(f"model {path}: {error}") from error


def fill_network(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Puts a model's tensors into the network that its config builds.

    Raises:
        WeightsError: They are not the tensors of such a network: names or shapes differ.
    """
    own = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    came = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    what = f"it does not hold the {type(network).__name__} network that its config describes: "
    if lacking := own.keys() - came.keys():
        raise WeightsError(what + f"it lacks {_some(lacking)}; train it, or fetch it, again")
    if beyond := came.keys() - own.keys():
        raise WeightsError(what + f"{_some(beyond)} has no place in it; train it, or fetch it, again")
    for key, shape in own.items():
        if came[key] != shape:
            raise WeightsError(
                what + f"{key} has shape {came[key]}, not {shape}; train it, or fetch it, again"
            )
    network.load_state_dict(dict(tensors))


def _read(path: Path) -> tuple[dict[str, Tensor], ModelRecord]:
    header = _header(path)
    _check_kind(header)
    record = _record(header.metadata)
    for span in header.tensors:
        if span.dtype not in (*_FLOATS, "I64"):
            raise WeightsError(
                f"tensor {span.name[:80]!r} holds {span.dtype}; expected {' or '.join(_FLOATS)}"
            )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {span.name: _loaded(span.name, file.get_tensor(span.name)) for span in header.tensors}
    except SafetensorError as error:
        raise WeightsError(f"damaged: {str(error).splitlines()[0][:200]}; copy or train it again") from error
    return tensors, record


def _header(path: Path) -> Header:
    """The checked header; whatever is no safetensors file is named for what it is."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(f"it is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file")
    with path.open("rb") as file:
        beginning = file.read(OPENING_BYTES)
        if is_pickle(beginning):
            raise WeightsError(
                f"{_EXPECTED}, and this is a file that PyTorch pickled; it was not opened, for a pickle "
                "can run what it likes"
            )
        try:
            length = header_length(beginning)
            file.seek(LENGTH_BYTES)
            text = file.read(length)
            if len(text) < length:
                raise WeightsError(f"it ends after {status.st_size} bytes, inside its header")
            return parse_header(text, data_bytes=status.st_size - LENGTH_BYTES - length)
        except WeightsError as error:
            raise WeightsError(f"{error}; {_EXPECTED}: is it cut short, or another file?") from error


def _check_kind(header: Header) -> None:
    """Refuses whole safetensors files that hold something else, or a model of a later format."""
    version = header.metadata.get(_FORMAT_KEY)
    if version is None:
        raise WeightsError(f"{_EXPECTED}, {_other_kind(header)}")
    if not version.isascii() or not version.isdigit() or int(version[:9]) < 1:
        raise WeightsError(f"its format is {version[:20]!r}, which is no version; {_EXPECTED}")
    if int(version[:9]) > MODEL_FORMAT:
        by = header.metadata.get(_VERSION_KEY, "a later version")[:20]
        raise WeightsError(
            f"it has format {version[:9]}, written by Velatura {by}; this is {__version__}, which reads "
            f"up to format {MODEL_FORMAT}: update Velatura"
        )


def _other_kind(header: Header) -> str:
    if any(key.startswith("velatura.checkpoint") for key in header.metadata):
        return "not the checkpoint of a run; give that to --resume"
    with contextlib.suppress(WeightsError):
        style = place({span.name: span.shape for span in header.tensors}).style
        return f"not the weights of a backbone ({style}); give those to --weights"
    return f"and its header says nothing of one (it has no {_FORMAT_KEY!r})"


def _record(metadata: Mapping[str, str]) -> ModelRecord:
    try:
        content = json.loads(metadata[_RECORD_KEY])
        names, hashes = content["style_names"], content["style_sha256"]
        encoder, config, training = content["encoder_sha256"], content["config"], content["training"]
        is_sound = (
            _are_strings(names)
            and _are_strings(hashes)
            and isinstance(encoder, str | None)
            and isinstance(config, dict)
            and isinstance(training, dict)
        )
        if not is_sound:
            raise ValueError("a value is of another type than a model's")
        return ModelRecord(
            config=config,
            style_names=tuple(names),
            style_sha256=tuple(hashes),
            encoder_sha256=encoder,
            training=training,
            version=metadata.get(_VERSION_KEY, ""),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"its record cannot be read ({str(error)[:100]}); {_EXPECTED}: copy or train it again"
        ) from error


def _are_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _loaded(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    # A copy, not a view: the file may be replaced while the network is in use.
    wide = tensor.to(torch.float32, copy=True)
    if not bool(torch.isfinite(wide).all()):
        raise WeightsError(
            f"tensor {name[:80]!r} holds a NaN or an infinity: the file is damaged or its training failed; "
            "train it again, or take an earlier one"
        )
    return wide


def _some(names: Sequence[str] | set[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(name[:80] for name in ordered[:3]) + more
