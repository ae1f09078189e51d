"""Presets: named settings as data, every value with its source.

A preset is a TOML file in this folder::

    title = "One line"
    source = "Where the whole comes from"
    size = 512                       # longer edge of the result, in pixels, unless one is asked for

    [method.optimizer]               # settings of the method
    name = "adam"

    [sources]                        # the longest matching prefix names a value's source
    "method.optimizer" = "section 3"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from velatura.core.errors import unknown_name

__all__ = ["Preset", "load_preset", "preset_names"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One named set of settings.

    Args:
        name: What the user calls it.
        title: One line on what it is for.
        source: Paper or measurement that it stands on.
        size: Longer edge of the result in pixels, for pictures at least that large.
        method: Settings of the method, as plain values.
        sources: Dotted prefix to where the values below it come from.
    """

    name: str
    title: str
    source: str
    size: int
    method: Mapping[str, Any]
    sources: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Every value as dotted path, value, source."""
        yield "size", self.size, self.source_of("size")
        for path, value in _leaves(self.method, "method"):
            yield path.removeprefix("method."), value, self.source_of(path)

    def source_of(self, path: str) -> str:
        """Where the value at a dotted path comes from; empty if no prefix is listed."""
        matching = [prefix for prefix in self.sources if f"{path}.".startswith(f"{prefix}.")]
        return self.sources[max(matching, key=len)] if matching else ""


def _leaves(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", value


@cache
def preset_names() -> tuple[str, ...]:
    """Every preset, in alphabetical order."""
    names = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: There is none; the message names the nearest.
    """
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    table = tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return Preset(name=name, **table)
