"""From plain mappings to jobs: every door produces a mapping, and this turns it into a config.

A config is a frozen dataclass whose annotations say type, range, unit and help
(:mod:`velatura.core.config`). Values are checked by pydantic; an unknown key is an error that names
the nearest known one.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from velatura.core.config import Idle, PartOf, Setting, annotations_of, idle_settings, marks_of, without_idle
from velatura.core.errors import ConfigError, nearest_hint, unknown_name

__all__ = ["assign", "build", "help_of", "parse_assignment"]

T = TypeVar("T")


def build(config_class: type[T], mapping: Mapping[str, Any], *, at: str = "") -> T:
    """A config from plain values.

    Args:
        config_class: A dataclass.
        mapping: Values by field; fields that are absent take their defaults.
        at: Dotted path of the mapping, for messages.

    Raises:
        ConfigError: An unknown or missing field, a value of the wrong type or out of range, or one
            that does nothing beside the others.
    """
    hints = annotations_of(config_class)
    for key in mapping:
        if key not in hints:
            raise _unknown(at, key, hints)
    values = {key: _value(hints[key], value, _join(at, key)) for key, value in mapping.items()}
    missing = [name for name in _required(config_class) if name not in values]
    if missing:
        raise ConfigError(f"setting {_join(at, missing[0])!r} is missing")
    for key, _, idle in idle_settings(config_class, values):
        raise ConfigError(f"{_join(at, key)} has {idle}; leave that out, or change {_join(at, idle.beside)}")
    return config_class(**values)


def _required(config_class: type) -> list[str]:
    unset = dataclasses.MISSING
    fields = dataclasses.fields(config_class)
    return [field.name for field in fields if field.default is unset and field.default_factory is unset]


def _unknown(at: str, key: str, known: Iterable[str]) -> ConfigError:
    """``optimizer: unknown setting 'lrr'; did you mean 'lr'? (known: betas, lr)``."""
    error = unknown_name("setting", key, known)
    return ConfigError(f"{at}: {error}") if at else error


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _part_of(annotation: Any) -> PartOf | None:
    return next((mark for mark in marks_of(annotation) if isinstance(mark, PartOf)), None)


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _config_in_mapping(annotation: Any) -> type | None:
    """The dataclass that a ``Mapping[str, Dataclass]`` holds, if it is one."""
    bare = _bare(annotation)
    holds = _bare(typing.get_args(bare)[1]) if typing.get_origin(bare) is Mapping else None
    return holds if isinstance(holds, type) and dataclasses.is_dataclass(holds) else None


def _configs_in_union(annotation: Any) -> tuple[type, ...]:
    """The dataclasses of ``One | Other``, if it is of nothing else."""
    arguments = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else ()
    return arguments if all(dataclasses.is_dataclass(argument) for argument in arguments) else ()


def _nearest(configs: tuple[type, ...], table: Mapping[str, Any]) -> type:
    """The config that knows most of a table's keys."""
    return max(configs, key=lambda config: len(table.keys() & annotations_of(config).keys()))


def _value(annotation: Any, value: Any, at: str) -> Any:
    part, bare, held = _part_of(annotation), _bare(annotation), _config_in_mapping(annotation)
    if part is not None:
        return _part(part, value, at)
    if held is not None:
        table = _table(value, at)
        for key, item in table.items():
            _check_new_name(held, key, item, [name for name in table if name != key], at)
        return {key: _config(held, item, _join(at, key)) for key, item in table.items()}
    if isinstance(bare, type) and dataclasses.is_dataclass(bare):
        return _config(bare, value, at)
    if configs := _configs_in_union(bare):
        return (
            value if isinstance(value, configs) else _config(_nearest(configs, _table(value, at)), value, at)
        )
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        inside = "".join(f".{step}" for step in first["loc"])
        message = first["msg"][0].lower() + first["msg"][1:]
        # Of the choices of a Literal, pydantic gives no more than a text: 'max', 'average' or 'l2'.
        choices = re.findall("'([^']*)'", first.get("ctx", {}).get("expected", ""))
        hint = nearest_hint(str(first["input"]), choices)
        raise ConfigError(f"{at}{inside}: {message}, not {first['input']!r}{hint}") from None


def _check_new_name(config_class: type, name: str, value: Any, others: list[str], at: str) -> None:
    """Answers a slip in a name with the nearest, where what it names would be new and is not whole."""
    hint, needed = nearest_hint(name, others), _required(config_class)
    if hint and isinstance(value, Mapping) and not set(needed) <= value.keys():
        raise ConfigError(f"{at} has no {name!r} yet{hint} (a new one needs {', '.join(needed)})")


def _config(config_class: type[T], value: Any, at: str) -> T:
    return value if isinstance(value, config_class) else build(config_class, _table(value, at), at=at)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))


def _part(part: PartOf, value: Any, at: str) -> Any:
    if type(value) in (part.registry[name] for name in part.registry):
        return value
    table = {"name": value} if isinstance(value, str) else dict(_table(value, at))
    if "name" not in table:
        raise ConfigError(f"{at} names no {part.registry.kind}; set {_join(at, 'name')}")
    return build(part.registry[table.pop("name")], table, at=at)


def _table(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{at} is a group of settings; set one of its fields, not {value!r}")
    return value


def parse_assignment(text: str) -> tuple[str, Any]:
    """``optimizer.lr=0.05`` as a dotted path and a value.

    The value is read as TOML (numbers, true, [lists], {tables = 1}); anything else is a string.

    Raises:
        ConfigError: There is no ``=`` or no path.
    """
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path:
        raise ConfigError(f"expected KEY=VALUE, such as optimizer.lr=0.05, not {text!r}")
    try:
        table = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return path, value.strip()
    # A line break in the text could begin a second value.
    return path, table["value"] if len(table) == 1 else value.strip()


def assign(config_class: type, mapping: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``mapping`` with values set at dotted paths.

    A value replaces what was there, tables too. Giving a part another name drops the settings of
    the part that it had, and so does a change that leaves a value of ``mapping`` without effect.
    The order of the changes does not matter: whole tables are set before what is inside them, and
    names before the settings of what they name.

    Args:
        config_class: What the mapping will become; it decides what the paths may be.
        mapping: Plain values.
        changes: Dotted path to value.

    Raises:
        ConfigError: A path leads nowhere.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(mapping))
    split = sorted((path.split(".") for path in changes), key=lambda keys: (len(keys), keys[-1] != "name"))
    for keys in split:
        path = ".".join(keys)
        # A copy: a table of the caller's must not take what another change sets inside it.
        _assign(config_class, changed, keys, copy.deepcopy(changes[path]), path)
    kept: dict[str, Any] = _dropping_idle(config_class, changed, "", changes)
    return kept


def _dropping_idle(annotation: Any, value: Any, path: str, changes: Mapping[str, Any]) -> Any:
    """``value`` without what does nothing in it and is not in ``changes``."""
    if path in changes or not isinstance(value, dict):
        return value
    held, config_class = _config_in_mapping(annotation), _config_of(annotation, value)
    hints = {} if config_class is None else annotations_of(config_class)
    inside = {
        key: _dropping_idle(hints.get(key, held), item, _join(path, key), changes)
        for key, item in value.items()
    }
    if config_class is None:
        return inside
    return without_idle(config_class, inside, kept=[key for key in inside if _join(path, key) in changes])


def _config_of(annotation: Any, value: Mapping[str, Any]) -> type | None:
    """The dataclass that a table becomes, if it is one."""
    part, bare = _part_of(annotation), _bare(annotation)
    if part is not None:
        return part.registry[value["name"]] if "name" in value else None
    return bare if isinstance(bare, type) and dataclasses.is_dataclass(bare) else None


def _assign(annotation: Any, table: dict[str, Any], keys: list[str], value: Any, path: str) -> None:
    key, *rest = keys
    child = _annotation_of(annotation, table, key, path.removesuffix(".".join(keys)))
    if not rest:
        table[key] = value
        return
    below = table.get(key, {})
    if _part_of(child) is not None:
        below = {"name": below} if isinstance(below, str) else below
        if rest == ["name"] and below.get("name") != value:
            table[key] = {"name": value}
            return
    if not isinstance(below, dict):
        at = path.removesuffix("." + ".".join(rest))
        raise ConfigError(f"{at} is a single value and has no setting {rest[0]!r}")
    table[key] = below
    _assign(child, below, rest, value, path)


def _annotation_of(annotation: Any, table: Mapping[str, Any], key: str, at: str) -> Any:
    """What the field ``key`` of a config is annotated with; ``at`` is the path with its last dot."""
    part, bare = _part_of(annotation), _bare(annotation)
    if part is not None:
        if key == "name":
            return str
        if "name" not in table:
            raise ConfigError(f"{at[:-1]} names no {part.registry.kind}; set {at}name")
        bare = part.registry[table["name"]]
    elif typing.get_origin(bare) is Mapping:
        return typing.get_args(bare)[1]
    elif not dataclasses.is_dataclass(bare):
        raise ConfigError(f"{at[:-1]} is a single value and has no setting {key!r}")
    hints = annotations_of(bare)
    if key not in hints:
        raise _unknown(at[:-1], key, hints if part is None else ["name", *hints])
    return hints[key]


def help_of(config_class: type, field: str) -> str:
    """Help of one field for people: what it does, its unit, its range, and where it does nothing."""
    marks = marks_of(annotations_of(config_class)[field])
    setting = next(mark for mark in marks if isinstance(mark, Setting))
    details = [setting.unit] if setting.unit else []
    for mark in marks:
        bounds = {name: getattr(mark, name, None) for name in ("gt", "ge", "lt", "le")}
        signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
        details += [f"{signs[name]} {_short(bound)}" for name, bound in bounds.items() if bound is not None]
    details += [str(mark) for mark in marks if isinstance(mark, Idle)]
    return f"{setting.help} ({', '.join(details)})" if details else setting.help


def _short(bound: float) -> str:
    if isinstance(bound, int) and bound >= 2**20 and bound.bit_count() == 1:
        return f"2^{bound.bit_length() - 1}"
    return f"{bound:g}"
