"""The header of a safetensors file, read from and written for any source of bytes.

Eight bytes give the header's length, then comes JSON: each tensor's dtype, shape, and where its bytes
begin and end behind the header. A header from the network is hostile until it has been checked.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from velatura.core.errors import WeightsError

__all__ = [
    "LENGTH_BYTES",
    "MAX_HEADER_BYTES",
    "Header",
    "TensorSpan",
    "header_length",
    "pack_header",
    "parse_header",
]

LENGTH_BYTES: Final = 8
MAX_HEADER_BYTES: Final = 4 * 2**20
"""Generous: the header of a ResNet-101 is 70 KiB."""

_DTYPES_BY_BYTES: Final = {
    1: ("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"),
    2: ("U16", "I16", "F16", "BF16"),
    4: ("U32", "I32", "F32"),
    8: ("U64", "I64", "F64"),
}
_DTYPE_BYTES: Final = {dtype: size for size, dtypes in _DTYPES_BY_BYTES.items() for dtype in dtypes}
_ALIGNMENT: Final = 8


@dataclass(frozen=True, kw_only=True)
class TensorSpan:
    """One tensor of a file: its bytes are ``start`` up to ``stop``, counted from the header's end."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file holds: its tensors in the order of their bytes, and its metadata."""

    tensors: tuple[TensorSpan, ...]
    metadata: Mapping[str, str]


def header_length(beginning: bytes) -> int:
    """The length of the JSON header, from the first eight bytes of a file.

    Raises:
        WeightsError: Fewer bytes, or a length that no header of these networks has.
    """
    if len(beginning) < LENGTH_BYTES:
        raise WeightsError(f"no safetensors file: it ends after {len(beginning)} bytes")
    (length,) = struct.unpack("<Q", beginning[:LENGTH_BYTES])
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise WeightsError(
            f"no safetensors file: its header would be {length} bytes; expected 2 to {MAX_HEADER_BYTES}"
        )
    return int(length)


def parse_header(text: bytes, *, data_bytes: int | None) -> Header:
    """Reads and checks the JSON of a header.

    Args:
        text: The JSON, as long as the file's first eight bytes say.
        data_bytes: How many bytes follow the header, where that is known.

    Raises:
        WeightsError: No valid header: the tensors must be of known dtypes, as long as their shapes say,
            and lie one behind the other from the first byte to the last.
    """
    try:
        table = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise WeightsError("broken safetensors header: it is no valid JSON") from error
    if not isinstance(table, dict):
        raise WeightsError("broken safetensors header: it is no table of tensors")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError("broken safetensors header: its metadata are not strings")
    spans = sorted(
        (_span(name, value) for name, value in table.items()), key=lambda span: (span.start, span.stop)
    )
    _check_gapless(spans, data_bytes)
    return Header(tensors=tuple(spans), metadata=metadata)


def pack_header(spans: Iterable[TensorSpan], metadata: Mapping[str, str]) -> bytes:
    """The bytes that open a safetensors file, the same for the same content.

    The tensors' bytes must follow in the order of ``spans``, which are placed one behind the other.

    Args:
        spans: The tensors; only their sizes count, not where they lay before.
        metadata: Strings to keep beside them, written in the order of their names.
    """
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for span in spans:
        stop = position + span.stop - span.start
        table[span.name] = {"dtype": span.dtype, "shape": list(span.shape), "data_offsets": [position, stop]}
        position = stop
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice")
    return table


def _span(name: str, value: Any) -> TensorSpan:
    complaint = f"broken safetensors header: tensor {name[:80]!r} "
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(complaint + "is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPE_BYTES:
        raise WeightsError(complaint + f"has the unknown dtype {str(dtype)[:20]!r}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise WeightsError(complaint + "has a shape or offsets that are no sizes")
    start, stop = offsets
    if stop - start != math.prod(shape) * _DTYPE_BYTES[dtype]:
        raise WeightsError(complaint + "is not as long as its shape and dtype say")
    return TensorSpan(name=name, dtype=dtype, shape=tuple(shape), start=start, stop=stop)


def _are_sizes(values: Any) -> bool:
    # type(), not isinstance(): True is an int.
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _check_gapless(spans: list[TensorSpan], data_bytes: int | None) -> None:
    position = 0
    for span in spans:
        if span.start != position:
            raise WeightsError(
                f"broken safetensors header: tensor {span.name[:80]!r} overlaps or leaves a gap"
            )
        position = span.stop
    if data_bytes is not None and position != data_bytes:
        raise WeightsError(
            f"broken safetensors header: it describes {position} bytes of tensors, the file has {data_bytes}"
        )
