"""Options: how they are declared, and from what was typed to a mapping of settings."""

from __future__ import annotations

from typing import Any

import typer

from velatura.core.errors import ConfigError
from velatura.jobs.schema import help_of

__all__ = ["field_option", "given", "merged", "numbers", "option", "tile_option"]


def field_option(
    config: type,
    field: str,
    metavar: str | None = None,
    *,
    panel: str,
    help: str = "",  # noqa: A002 - typer's name
) -> Any:
    """``--FIELD``, with the help that the field of a config has, unless another is given."""
    name = f"--{field.replace('_', '-')}"
    return typer.Option(name, metavar=metavar, help=help or help_of(config, field), rich_help_panel=panel)


def option(metavar: str, help: str, *names: str, panel: str) -> Any:  # noqa: A002 - typer's name
    """An option of no field's own name; without names, that of the parameter."""
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel)


def tile_option(panel: str) -> Any:
    """``--tile``, of an optimisation."""
    help_text = (
        "Longest edge in pixels computed at once, at least what the deepest layer sees: 176 for the preset "
        "fast; unset: all, or less if memory runs out"
    )
    return typer.Option("--tile", metavar="PIXELS", help=help_text, rich_help_panel=panel)


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
