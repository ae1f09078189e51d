"""What a setting is: a field of a frozen dataclass whose annotation says everything once.

.. code-block:: python

    @dataclass(frozen=True, kw_only=True)
    class Adam(ImageOptimizer):
        lr: Annotated[float, Gt(0), Setting("Step size", unit="of the pixel range [0, 1]")] = 0.03

Ranges are the marks of ``annotated_types`` (``Gt``, ``Ge``, ``Le``, ``Interval``), which pydantic
checks. ``Setting`` adds the help and the unit, from which the command line's help and the
documentation are drawn. ``PartOf`` marks a field that holds a registered part, ``Idle`` one that does
nothing beside some values of another.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from velatura.core.registry import Registry

__all__ = [
    "Idle",
    "PartOf",
    "Setting",
    "annotations_of",
    "idle_settings",
    "marks_of",
    "to_mapping",
    "without_idle",
]


@dataclass(frozen=True)
class Setting:
    """Help and unit of one field, carried in its ``Annotated`` type.

    Args:
        help: What the setting does, in a short sentence without its unit or range.
        unit: Its unit, where it has one: ``"pixels"``, ``"seconds"``.
    """

    help: str
    unit: str = ""


@dataclass(frozen=True)
class PartOf:
    """Marks a field that holds a part of ``registry``, named by ``{"name": ..., **settings}``."""

    registry: Registry[Any]


@dataclass(frozen=True)
class Idle:
    """Marks a field that does nothing where another field of its config has one of some values.

    .. code-block:: python

        stop_below: Annotated[float, Setting("Ends a scale whose loss changed by less")] = 0.0
        stop_window: Annotated[int, Setting("Over how many steps"), Idle("stop_below", (0,))] = 50

    Whoever sets it there is told so; a default, or a preset's value that a change leaves without
    effect, is nobody's mistake.

    Args:
        beside: The other field.
        values: Its values that leave nothing to do.
        first_counts: The field is a sequence, whose first item counts even then.
    """

    beside: str
    values: tuple[Any, ...]
    first_counts: bool = False

    def __str__(self) -> str:
        """``no effect where result is last``."""
        values = " or ".join("unset" if value is None else str(value) for value in self.values)
        beyond = " beyond the first" if self.first_counts else ""
        return f"no effect{beyond} where {self.beside} is {values}"


def annotations_of(config_class: type) -> dict[str, Any]:
    """What each field of a config is annotated with, marks included."""
    return dict(_annotations(config_class))


@cache  # Working them out takes milliseconds, and a sweep asks for them a hundred times a cell.
def _annotations(config_class: type) -> dict[str, Any]:
    hints = typing.get_type_hints(config_class, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_class)}


def marks_of(annotation: Any) -> tuple[Any, ...]:
    """The marks of an ``Annotated`` type; none of any other."""
    return typing.get_args(annotation)[1:] if typing.get_origin(annotation) is Annotated else ()


def idle_settings(
    config_class: type, values: Mapping[str, Any], *, kept: Collection[str] = ()
) -> Iterator[tuple[str, Any, Idle]]:
    """Those of ``values`` that do nothing beside the others.

    Args:
        config_class: A dataclass.
        values: By field; a field that is absent has its default.
        kept: Fields to leave out, though they decide on others.

    Yields:
        The field, what of its value counts (``None``: nothing), and why.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config_class)}
    for name, annotation in annotations_of(config_class).items():
        if name not in values or name in kept:
            continue
        for idle in (mark for mark in marks_of(annotation) if isinstance(mark, Idle)):
            if values.get(idle.beside, defaults[idle.beside]) not in idle.values:
                continue
            counting = values[name][:1] if idle.first_counts else None
            if counting != values[name]:
                yield name, counting, idle


def without_idle(
    config_class: type, values: Mapping[str, Any], *, kept: Collection[str] = ()
) -> dict[str, Any]:
    """``values`` without those, or those of their items, that do nothing; all of ``kept`` stay."""
    idle = {name: counting for name, counting, _ in idle_settings(config_class, values, kept=kept)}
    return {
        name: idle.get(name, value)
        for name, value in values.items()
        if name not in idle or idle[name] is not None
    }


def to_mapping(config: Any) -> Any:
    """A config as plain dicts, lists and scalars, from which the same config can be built.

    A registered part becomes ``{"name": ..., **settings}``; tuples become lists. Settings that do
    nothing beside the others (:class:`Idle`) are left out.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        held = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        fields = to_mapping(without_idle(type(config), held))
        name = getattr(type(config), "name", None)
        return {"name": name, **fields} if isinstance(name, str) and "name" not in fields else fields
    if isinstance(config, dict):
        return {str(key): to_mapping(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_mapping(value) for value in config]
    return config
