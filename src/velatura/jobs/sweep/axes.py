"""Axes as they are written: lists, log ranges, fields that move together, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from velatura.jobs.sweep.grid import Axis, log_range, short
from velatura.jobs.sweep.reading import At, Document

__all__ = ["parse_axes"]

_FORMS = ("from", "to", "num", "values", "paired", "labels")
_MOST_VALUES = 100_000


def parse_axes(document: Document, at: At) -> tuple[Axis, ...]:
    """The axes that a table holds, each under a dotted field or a name of its own.

    .. code-block:: yaml

        strength: [0.5, 1, 2]                                # a list
        terms.style.weight: {from: 1e2, to: 1e7, num: 6}     # a log range
        optimizer:                                           # fields that move together
          paired: {optimizer.name: [lbfgs, adam], optimizer.lr: [1, 0.1]}
          labels: [L-BFGS, Adam]

    Raises:
        ConfigError: There is none, or one of them is wrong or has no values; with the line.
    """
    table = document.table(at)
    if not table:
        raise document.error(
            at, "no axis, so that the grid is empty; vary something, such as strength: [1, 2]"
        )
    return tuple(_axis(document, (*at, name), name, table[name]) for name in table)


def _axis(document: Document, at: At, name: str, value: Any) -> Axis:
    if isinstance(value, list):
        return _listed(document, at, name, value, None)
    if not isinstance(value, Mapping):
        raise document.error(at, f"expected a list of values or from, to and num, not {value!r}")
    given = document.table(at, _FORMS)
    labels = given.get("labels")
    forms = {"values", "paired", "from"} & given.keys()
    if len(forms) != 1:
        raise document.error(at, "expected one of values, paired, or from with to and num")
    if "from" in given:
        return _range(document, at, name, given)
    if "paired" in given:
        return _paired(document, at, name, labels)
    return _listed(document, at, name, given["values"], labels)


def _listed(document: Document, at: At, name: str, values: Any, labels: Any) -> Axis:
    _check_list(document, at, values)
    numbers = None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = tuple(map(float, values))
    return Axis(
        name=name,
        labels=_labels(document, at, labels, [short(value) for value in values]),
        settings=tuple({name: value} for value in values),
        numbers=numbers,
    )


def _range(document: Document, at: At, name: str, given: Mapping[str, Any]) -> Axis:
    start, stop, count = (given.get(key) for key in ("from", "to", "num"))
    for key, value in (("from", start), ("to", stop)):
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise document.error(
                (*at, key), f"{key}: expected a number above 0 for a log range, not {value!r}"
            )
    if not isinstance(count, int) or isinstance(count, bool):
        raise document.error((*at, "num"), f"num: expected how many values, such as 6, not {count!r}")
    if count > _MOST_VALUES:
        raise document.error((*at, "num"), f"num: expected {_MOST_VALUES} values at most, not {count}")
    if count < 1:
        raise document.error(
            (*at, "num"), f"a range of {count} values leaves the grid empty; give 1 at least"
        )
    assert start is not None
    assert stop is not None
    numbers = log_range(start, stop, count)
    labels = [short(number) for number in numbers]
    return Axis(
        name=name,
        labels=_labels(document, at, given.get("labels"), labels),
        settings=tuple({name: number} for number in numbers),
        numbers=numbers,
        is_log=True,
    )


def _paired(document: Document, at: At, name: str, labels: Any) -> Axis:
    fields = document.table((*at, "paired"))
    if not fields:
        raise document.error((*at, "paired"), f"axis {name!r} pairs no fields, so that the grid is empty")
    for path, values in fields.items():
        _check_list(document, (*at, "paired", path), values)
    lengths = {path: len(values) for path, values in fields.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{path} has {length}" for path, length in lengths.items())
        raise document.error((*at, "paired"), f"paired fields need as many values each: {said}")
    settings = [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
    usual = [" ".join(short(value) for value in one.values()) for one in settings]
    return Axis(name=name, labels=_labels(document, at, labels, usual), settings=tuple(settings))


def _check_list(document: Document, at: At, values: Any) -> None:
    if not isinstance(values, list):
        raise document.error(at, f"expected a list of values, not {values!r}")
    if not values:
        raise document.error(at, "this axis has no values, so that the grid is empty; give it one at least")


def _labels(document: Document, at: At, given: Any, usual: Sequence[str]) -> tuple[str, ...]:
    if given is None:
        labels = list(usual)
    elif isinstance(given, list) and len(given) == len(usual):
        labels = [label if isinstance(label, str) else short(label) for label in given]
    else:
        raise document.error((*at, "labels"), f"expected a list of {len(usual)} labels, not {given!r}")
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise document.error(at, f"two values are called {label!r}; leave one out, or label them")
        seen.add(label)
    return tuple(labels)
