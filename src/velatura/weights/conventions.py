"""What a weights file expects of its input and of the network around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from velatura.core.errors import WeightsError

__all__ = [
    "PREPROCESSINGS",
    "Padding",
    "Pooling",
    "Preprocessing",
    "padding_in",
    "pooling_in",
    "preprocessing_in",
]

Preprocessing = Literal["torchvision", "caffe", "inner"]
"""How an image becomes the network's input.

``torchvision``: RGB in [0, 1], minus (.485, .456, .406), over (.229, .224, .225). ``caffe``: BGR in
[0, 255], minus (103.939, 116.779, 123.68). ``inner``: RGB in [0, 1] through the file's own 1x1
convolution ``preprocess``.
"""

Padding = Literal["zeros", "reflect", "replicate"]
"""What stands around the picture at each convolution."""

Pooling = Literal["max", "average"]
"""What each pooling takes of its window."""

PREPROCESSINGS: Final[tuple[Preprocessing, ...]] = ("torchvision", "caffe", "inner")
_PADDINGS: Final[tuple[Padding, ...]] = ("zeros", "reflect", "replicate")
_POOLINGS: Final[tuple[Pooling, ...]] = ("max", "average")

T = TypeVar("T", bound=str)


def preprocessing_in(metadata: Mapping[str, str]) -> Preprocessing | None:
    """The preprocessing that a file's metadata states, or None where it is silent.

    Args:
        metadata: The strings of a safetensors header: ``velatura.preprocessing``, or ``input`` in
            words, such as ``BGR, 0-255, minus (103.939, 116.779, 123.68)``.

    Raises:
        WeightsError: ``velatura.preprocessing`` names no known convention.
    """
    own = metadata.get("velatura.preprocessing")
    if own is not None:
        return _one_of("preprocessing", own, PREPROCESSINGS)
    words = metadata.get("input", "").lower()
    if "bgr" in words and "255" in words:
        return "caffe"
    if "part of the net" in words:
        return "inner"
    if "imagenet mean" in words and "bgr" not in words and "255" not in words:
        return "torchvision"
    return None


def padding_in(metadata: Mapping[str, str]) -> Padding | None:
    """The padding that a file's metadata states (``velatura.padding``, ``padding``), or None.

    Raises:
        WeightsError: ``velatura.padding`` names no known padding.
    """
    own = metadata.get("velatura.padding")
    if own is not None:
        return _one_of("padding", own, _PADDINGS)
    words = re.findall(r"[a-z]+", metadata.get("padding", "").lower())
    return next((padding for padding in _PADDINGS if padding in words), None)


def pooling_in(metadata: Mapping[str, str]) -> Pooling | None:
    """The pooling that a file's metadata states (``velatura.pooling``, or words), or None.

    Raises:
        WeightsError: ``velatura.pooling`` names no known pooling.
    """
    own = metadata.get("velatura.pooling")
    if own is not None:
        return _one_of("pooling", own, _POOLINGS)
    text = f"{metadata.get('pooling', '')} {metadata.get('padding', '')}".lower()
    words = re.findall(r"[a-z]+", text)
    return next((pooling for pooling in _POOLINGS if pooling in words), None)


def _one_of(what: str, value: str, known: tuple[T, ...]) -> T:
    for name in known:
        if name == value:
            return name
    raise WeightsError(f"its metadata says {what} {value!r}; expected one of {', '.join(known)}")
