"""The errors that a caller may see, drawn as a tree.

``VelaturaError`` is the root. Doors map it to an exit status or an HTTP status;
the library itself never prints and never exits.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "Cancelled",
    "ConfigError",
    "ImageError",
    "OutputError",
    "VelaturaError",
    "WeightsError",
    "counted",
    "nearest_hint",
    "unknown_name",
]


class VelaturaError(Exception):
    """Something that Velatura was asked for cannot be done; the message says what to do instead."""


class ImageError(VelaturaError):
    """A picture cannot be read or written."""


class ConfigError(VelaturaError, ValueError):
    """A setting is unknown, out of range, or cannot be used with the others."""


class WeightsError(VelaturaError):
    """A weights file is missing, broken, refused, or lacks a layer that was asked for."""


class OutputError(VelaturaError):
    """A file cannot be written: no room, no permission, no such folder."""


class Cancelled(VelaturaError):  # noqa: N818 - the name says what happened
    """The run was interrupted before it had anything to return."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that nobody knows, with the nearest known one.

    Args:
        kind: What the name should have named, such as ``"style loss"``.
        name: The name that came.
        known: Every name that would have been accepted.

    Returns:
        An error to raise: ``unknown loss 'grm'; did you mean 'gram'? (known: content, gram)``.
    """
    names = sorted(known)
    return ConfigError(f"unknown {kind} {name!r}{nearest_hint(name, names)} (known: {', '.join(names)})")


def counted(number: int, noun: str) -> str:
    """``1 mask``, ``2 masks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'gram'?`` for the end of a clause, or nothing where no name is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
