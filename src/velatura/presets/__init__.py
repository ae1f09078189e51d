"""Presets: named settings as data, every value with its source.

A preset is a TOML file in this folder::

    title = "One line"
    source = "Where the whole comes from"
    size = 512                       # longer edge of the result, in pixels, unless one is asked for

    [method.optimizer]               # settings of the method
    name = "adam"

    [sources]                        # the longest matching prefix names a value's source
    "method.optimizer" = "section 3"

In the place of ``[method]`` stands ``[training]`` where a preset says how a network is trained, and
``[network]`` where it names a trained one, ``[dream]`` where it dreams, ``[texture]`` where it optimises
without a photograph; a training has no size.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from velatura.core.errors import ConfigError, unknown_name

__all__ = ["Preset", "PresetKind", "load_preset", "preset_names"]

PresetKind = Literal["method", "training", "network", "dream", "texture"]

_WHAT: Mapping[PresetKind, str] = {
    "method": "optimises a picture: use it with 'velatura stylize --preset {name}'",
    "training": "trains a network: train it with 'velatura train {name} ...', then stylize with --model FILE",
    "network": "applies a trained network: use it with 'velatura stylize --preset {name}'",
    "dream": "dreams of a picture: use it with 'velatura reconstruct deepdream --preset {name}'",
    "texture": "makes a texture, without a photograph: use it with 'velatura texture --preset {name}'",
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One named set of settings.

    Args:
        name: What the user calls it.
        title: One line on what it is for.
        source: Paper or measurement that it stands on.
        kind: What it holds settings of: an optimisation (``method``), a training, a trained network, a dream,
            or an optimisation without a photograph (``texture``).
        settings: As plain values.
        sources: Dotted prefix to where the values below it come from.
        size: Longer edge of the result in pixels, for pictures at least that large; None for a training.
    """

    name: str
    title: str
    source: str
    kind: PresetKind
    settings: Mapping[str, Any]
    sources: Mapping[str, str]
    size: int | None = None

    @property
    def method(self) -> Mapping[str, Any]:
        """Settings of an optimisation.

        Raises:
            ConfigError: It is a preset of another kind; the message says what to do with it.
        """
        return self._settings_of("method")

    @property
    def training(self) -> Mapping[str, Any]:
        """Settings of a training; raises as :attr:`method`."""
        return self._settings_of("training")

    @property
    def network(self) -> Mapping[str, Any]:
        """Which trained network, and how it is applied; raises as :attr:`method`."""
        return self._settings_of("network")

    @property
    def dream(self) -> Mapping[str, Any]:
        """Settings of a dream; raises as :attr:`method`."""
        return self._settings_of("dream")

    @property
    def texture(self) -> Mapping[str, Any]:
        """Settings of a texture; raises as :attr:`method`."""
        return self._settings_of("texture")

    def _settings_of(self, kind: PresetKind) -> Mapping[str, Any]:
        if self.kind != kind:
            raise ConfigError(f"preset {self.name!r} {_WHAT[self.kind].format(name=self.name)}")
        return self.settings

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Every value as dotted path, value, source."""
        if self.size is not None:
            yield "size", self.size, self.source_of("size")
        for path, value in _leaves(self.settings, self.kind):
            yield path.removeprefix(f"{self.kind}."), value, self.source_of(path)

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
def preset_names(*kinds: PresetKind) -> tuple[str, ...]:
    """Every preset, or every one of ``kinds``, in alphabetical order."""
    entries = (entry.name for entry in files(__name__).iterdir())
    names = sorted(name.removesuffix(".toml") for name in entries if name.endswith(".toml"))
    return tuple(name for name in names if not kinds or load_preset(name).kind in kinds)


@cache
def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: There is none; the message names the nearest.
    """
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    table = tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    (kind,) = (kind for kind in _WHAT if kind in table)
    return Preset(name=name, kind=kind, settings=table.pop(kind), **table)
