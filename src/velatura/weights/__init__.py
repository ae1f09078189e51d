"""Weights files: which there are, where they are found, how they are read, fetched and kept.

``resolve`` turns a name or a path into a file, ``load_weights`` reads a file of any known kind, and
``write_slim`` keeps what is needed of it. Finding and fetching import no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from velatura.weights.resolve import resolve

if TYPE_CHECKING:
    from velatura.weights.load import Weights, load_weights
    from velatura.weights.slim import write_slim

__all__ = ["Weights", "load_weights", "resolve", "write_slim"]

_LAZY = {"Weights": "load", "load_weights": "load", "write_slim": "slim"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
