"""Writing weights: only the convolutions and normalisations, as safetensors that say how to use them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from velatura.core.errors import OutputError, WeightsError
from velatura.core.files import atomic_path
from velatura.weights.header import LENGTH_BYTES, MAX_HEADER_BYTES, TensorSpan, pack_header
from velatura.weights.load import FORMAT_VERSION, Weights

__all__ = ["FloatName", "tensors_sha256", "write_slim", "write_tensors"]

FloatName = Literal["float32", "float16"]
"""How the numbers of a file are kept: float16 halves it and rounds to three digits."""

_DTYPES: Final[Mapping[str, torch.dtype]] = {"float32": torch.float32, "float16": torch.float16}
_CODES: Final[Mapping[torch.dtype, str]] = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.int64: "I64",
}


def write_slim(
    weights: Weights,
    path: str | os.PathLike[str],
    *,
    dtype: FloatName = "float32",
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
    try:
        write_tensors(path, weights.state, own | dict(metadata or {}), dtype=dtype)
    except OutputError as error:
        raise WeightsError(str(error)) from error


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    dtype: FloatName = "float32",
) -> None:
    """Writes tensors in the order of their names, whole or not at all: the same gives the same bytes.

    Args:
        path: The file.
        tensors: Of any shapes; floating-point numbers become ``dtype``, whole ones stay int64.
        metadata: Strings to keep beside them.
        dtype: How the floating-point numbers are kept.

    Raises:
        WeightsError: A number is too large for float16, or is none; or the metadata are too long to be read.
        OutputError: The file cannot be written.
    """
    cast = {key: _cast(key, tensors[key], _DTYPES[dtype]) for key in sorted(tensors)}
    header = pack_header((_span(key, tensor) for key, tensor in cast.items()), metadata)
    if len(header) > LENGTH_BYTES + MAX_HEADER_BYTES:
        raise WeightsError(
            f"{len(header)} bytes of names and metadata; at most {MAX_HEADER_BYTES} can be read"
        )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        for tensor in cast.values():
            file.write(_bytes(tensor))


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
    if not tensor.is_floating_point():
        return tensor.detach().to(device="cpu", dtype=torch.int64).contiguous()
    cast = tensor.detach().to(device="cpu", dtype=dtype).contiguous()
    if not bool(torch.isfinite(cast).all()):
        raise WeightsError(f"tensor {key!r} holds a number that {str(dtype).removeprefix('torch.')} cannot")
    return cast


def _span(key: str, tensor: Tensor) -> TensorSpan:
    size = tensor.numel() * tensor.element_size()
    return TensorSpan(name=key, dtype=_CODES[tensor.dtype], shape=tuple(tensor.shape), start=0, stop=size)


def _bytes(tensor: Tensor) -> memoryview:
    array = tensor.numpy()
    # The format is little-endian on every machine.
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view("u1").data
