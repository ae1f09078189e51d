"""Writing weights: only the convolutions and normalisations, as safetensors that say how to use them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from velatura.core.errors import VelaturaError, WeightsError
from velatura.core.files import atomic_path
from velatura.weights.header import TensorSpan, pack_header
from velatura.weights.load import FORMAT_VERSION, Weights

__all__ = ["tensors_sha256", "write_slim"]

_DTYPES: Final[Mapping[str, tuple[torch.dtype, str]]] = {
    "float32": (torch.float32, "F32"),
    "float16": (torch.float16, "F16"),
}


def write_slim(
    weights: Weights,
    path: str | os.PathLike[str],
    *,
    dtype: Literal["float32", "float16"] = "float32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes ``weights`` as a safetensors file that ``load_weights`` reads without being told anything.

    Heads are left out. The same weights and metadata give the same bytes. The file appears whole or
    not at all.

    Args:
        weights: What to write.
        path: The file, by custom ``NAME.safetensors``.
        dtype: How the numbers are kept. float16 halves the file and rounds to three digits.
        metadata: More strings to keep, such as ``{"velatura.source_url": ...}``.

    Raises:
        ValueError: ``metadata`` names a string that the weights themselves decide.
        WeightsError: A number is too large for float16, or the file cannot be written.
    """
    own = {
        "velatura.format": FORMAT_VERSION,
        "velatura.preprocessing": weights.preprocessing,
        "velatura.padding": weights.padding,
        "velatura.pooling": weights.pooling,
        "velatura.licence": weights.licence,
    }
    twice = own.keys() & (metadata or {}).keys()
    if twice:
        raise ValueError(f"metadata {sorted(twice)} follow from the weights themselves; leave them out")
    torch_dtype, code = _DTYPES[dtype]
    tensors = {key: _cast(key, weights.state[key], torch_dtype) for key in sorted(weights.state)}
    header = pack_header(
        (_span(key, tensor, code) for key, tensor in tensors.items()), own | dict(metadata or {})
    )
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(header)
            for tensor in tensors.values():
                file.write(_bytes(tensor))
    except VelaturaError as error:
        raise WeightsError(str(error)) from error


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """A hash of tensors that does not depend on the file they came in.

    Args:
        state: float32 tensors; their names, shapes and numbers are hashed, in the order of the names.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(f"{key} {list(state[key].shape)}\n".encode())
        digest.update(_bytes(state[key]))
    return digest.hexdigest()


def _cast(key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    cast = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
    if not bool(torch.isfinite(cast).all()):
        raise WeightsError(f"tensor {key!r} holds a number that {str(dtype).removeprefix('torch.')} cannot")
    return cast


def _span(key: str, tensor: Tensor, code: str) -> TensorSpan:
    size = tensor.numel() * tensor.element_size()
    return TensorSpan(name=key, dtype=code, shape=tuple(tensor.shape), start=0, stop=size)


def _bytes(tensor: Tensor) -> memoryview:
    array = tensor.numpy()
    # The format is little-endian on every machine.
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view("u1").data
