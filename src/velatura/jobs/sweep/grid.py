"""Axes of a sweep, and the points of the grid that they span."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from velatura.core.errors import ConfigError

__all__ = ["Axis", "Combination", "Point", "count_points", "grid_points", "log_range", "short", "short_name"]

Combination = Literal["crossed", "paired"]
"""Every value of an axis with every one of the others, or the first with the first."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that is varied.

    Args:
        name: What it is called in the table; a dotted field where it varies that alone.
        labels: What each of its values is called.
        settings: Dotted fields with their values, for each of its values.
        numbers: Its values, where they are numbers that can be drawn along an axis.
        is_log: Whether they are spaced by a factor.
    """

    name: str
    labels: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    numbers: tuple[float, ...] | None = None
    is_log: bool = False

    def __len__(self) -> int:
        return len(self.settings)

    @property
    def fields(self) -> tuple[str, ...]:
        """The dotted fields that it sets."""
        return tuple(dict.fromkeys(path for settings in self.settings for path in settings))

    @property
    def is_continuous(self) -> bool:
        """Whether any number between its ends would do: a log range of one field."""
        return self.is_log and self.numbers is not None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One place of the grid.

    Args:
        labels: The value's name on each axis.
        settings: Dotted fields with their values.
        indices: The value's position on each axis, from 0.
        numbers: The value on each axis of numbers.
    """

    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    indices: tuple[int, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """``optimizer.lr=0.1, strength=2``."""
        return ", ".join(f"{name}={label}" for name, label in self.labels.items())


def log_range(start: float, stop: float, count: int) -> tuple[float, ...]:
    """Numbers from ``start`` to ``stop``, each the same multiple of the one before.

    The ends are exact, and so are powers of ten between powers of ten.

    Args:
        start: The first, above 0.
        stop: The last, above 0.
        count: How many, at least 1; of one, only ``start`` is left.
    """
    if count == 1:
        return (float(start),)
    low, high = math.log10(start), math.log10(stop)
    exponents = [low + (high - low) * position / (count - 1) for position in range(count)]
    return (float(start), *(float(f"{10**exponent:.12g}") for exponent in exponents[1:-1]), float(stop))


def short(value: Any) -> str:
    """A value as a label: ``0.1``, ``1e+06``, ``relu1_1 relu2_1``."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple | Mapping):
        return str(value)
    if isinstance(value, Mapping):
        return " ".join(key if item in (1, True) else f"{key}={short(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(short, value))
    return f"{value:g}" if abs(value) < 1e16 else repr(value)


def count_points(axes: Sequence[Axis], combination: Combination) -> int:
    """How many points the axes span, without making them.

    Raises:
        ConfigError: Axes that go in pairs have different numbers of values.
    """
    if combination == "crossed":
        return math.prod(map(len, axes))
    if len(set(map(len, axes))) > 1:
        lengths = ", ".join(f"{axis.name} has {len(axis)}" for axis in axes)
        raise ConfigError(f"paired axes need as many values each: {lengths}")
    return len(axes[0])


def grid_points(axes: Sequence[Axis], combination: Combination) -> Iterator[Point]:
    """The points, the last axis changing fastest."""
    positions = [range(len(axis)) for axis in axes]
    places = itertools.product(*positions) if combination == "crossed" else zip(*positions, strict=True)
    for indices in places:
        yield _point(axes, tuple(indices))


def _point(axes: Sequence[Axis], indices: tuple[int, ...]) -> Point:
    at = list(zip(axes, indices, strict=True))
    return Point(
        labels={axis.name: axis.labels[index] for axis, index in at},
        settings={path: value for axis, index in at for path, value in axis.settings[index].items()},
        indices=indices,
        numbers={axis.name: axis.numbers[index] for axis, index in at if axis.numbers is not None},
    )


def short_name(axis: str) -> str:
    """What an axis is called beside a value: ``lr`` of ``optimizer``, ``style weight`` of ``terms.style``."""
    *others, last = axis.split(".")
    if not others or last not in ("name", "weight"):
        return last
    return others[-1] if last == "name" else f"{others[-1]} weight"
