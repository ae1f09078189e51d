"""From options as they were typed to a mapping of settings."""

from __future__ import annotations

from typing import Any

from velatura.core.errors import ConfigError

__all__ = ["given", "merged", "numbers"]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in options.items() if value is not None}


def merged(options: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Both, where none of them is in the other.

    Raises:
        ConfigError: ``--set`` sets what an option of its own sets too.
    """
    for path in options.keys() & settings.keys():
        raise ConfigError(f"{path} is set twice, by --set and by an option of its own; leave one out")
    return {**options, **settings}


def numbers(name: str, text: str | None) -> list[float] | None:
    """``0.7,0.3`` as numbers; None as None.

    Raises:
        ConfigError: A part is no number.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name}: expected numbers with commas between them, not {text!r}") from None
