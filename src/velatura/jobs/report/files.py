"""What lies in a folder: records, losses and evaluations, told apart by what is in them."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from velatura.core.errors import ImageError
from velatura.imaging import read_text

__all__ = [
    "Folder",
    "dig",
    "is_evaluation",
    "is_history",
    "is_record",
    "method_of",
    "number",
    "read_json",
    "record_in",
    "resolved",
    "settings_of",
    "spread",
]

T = TypeVar("T")

_MAX_JSON_BYTES = 64 * 2**20
_MOST_LEVELS = 40


def dig(value: Any, *keys: str) -> Any:
    """What lies below some keys of nested mappings; None where a key or a mapping is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def number(value: Any) -> float | None:
    """A finite number as it is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def spread(items: Sequence[T], most: int) -> list[T]:
    """The items; of more than ``most``, so many at even distances, the first and the last among them."""
    if len(items) <= most:
        return [*items]
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def read_json(path: Path) -> Any:
    """What is in a JSON file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no JSON, or larger than any that is written here.
    """
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ValueError(f"it is larger than {_MAX_JSON_BYTES >> 20} MiB")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def is_record(content: Any) -> bool:
    """Whether it is what ``--record`` writes for a picture, and every picture carries."""
    return (
        (_is_dream(content) or isinstance(dig(content, "stylization", "method"), Mapping))
        and isinstance(dig(content, "pictures"), Mapping)
        and _is_shallow(content, _MOST_LEVELS)
    )


def settings_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """All settings of a run: those of its dream, or of its stylization."""
    settings: Mapping[str, Any] = record["dreaming" if _is_dream(record) else "stylization"]
    return settings


def method_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a preset sets of a run: its dream, or its method."""
    method: Mapping[str, Any] = settings_of(record)["dream" if _is_dream(record) else "method"]
    return method


def _is_dream(content: Any) -> bool:
    return isinstance(dig(content, "dreaming", "dream", "layer"), str)


def _is_shallow(value: Any, levels: int) -> bool:
    """Whether nothing is nested deeper than settings are: what goes through them calls itself."""
    if not isinstance(value, Mapping | list):
        return True
    items = value.values() if isinstance(value, Mapping) else value
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in items)


def record_in(picture: Path) -> Mapping[str, Any] | None:
    """The record that a picture carries, if it carries one."""
    try:
        text = read_text(picture, "velatura")
        content = None if text is None else json.loads(text)
    except (ImageError, ValueError, RecursionError):
        return None
    return content if is_record(content) else None


def is_history(content: Any) -> bool:
    """Whether it is what ``velatura stylize --history`` writes."""
    return (
        isinstance(content, Sequence)
        and not isinstance(content, str)
        and len(content) > 0
        and all(isinstance(entry, Mapping) and "loss" in entry and "step" in entry for entry in content)
    )


def is_evaluation(content: Any) -> bool:
    """Whether it is what ``velatura evaluate --json`` writes."""
    pictures = dig(content, "pictures")
    return (
        isinstance(dig(content, "metrics"), Mapping)
        and isinstance(pictures, list)
        and all(
            isinstance(dig(one, "values"), Mapping) and isinstance(dig(one, "output"), str)
            for one in pictures
        )
    )


def resolved(name: object, near: Path) -> Iterator[Path]:
    """The files that a name in a record may mean, the likeliest first.

    A record has names as they were given: relative to wherever the command ran. A folder that was
    moved has its files beside the record.

    Args:
        name: A path out of a record.
        near: The folder that the record is in.
    """
    if not isinstance(name, str) or not name:
        return
    for path in (near / Path(name).name, Path(name), near / name, near.parent / name):
        with contextlib.suppress(OSError, ValueError):
            if path.is_file():
                yield path


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The JSON files of one folder, by kind.

    Args:
        path: The folder.
        records: Of runs.
        histories: Of losses, by the file's name.
        evaluations: Of pictures.
        notes: Files that cannot be read, a line each.
    """

    path: Path
    records: tuple[tuple[Path, Mapping[str, Any]], ...]
    histories: Mapping[str, Sequence[Mapping[str, Any]]]
    evaluations: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path) -> Folder:
        """Looks into a folder, not into those in it.

        Raises:
            OSError: The folder cannot be read.
        """
        records, histories, evaluations, notes = [], {}, [], []
        for file in sorted(path.iterdir()):
            if file.suffix.lower() != ".json" or file.name.startswith(".") or not file.is_file():
                continue
            try:
                content = read_json(file)
            except (OSError, ValueError) as error:
                notes.append(f"{file.name} cannot be read: {error}")
                continue
            if is_record(content):
                records.append((file, content))
            elif is_history(content):
                histories[file.name] = content
            elif is_evaluation(content):
                evaluations.append(content)
        return cls(
            path=path,
            records=tuple(records),
            histories=histories,
            evaluations=tuple(evaluations),
            notes=tuple(notes),
        )

    def values_of(self, picture: Path) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """What the evaluations say of a picture: its values, and the evaluation that has them."""
        return [
            (entry["values"], evaluation)
            for evaluation in self.evaluations
            for entry in evaluation["pictures"]
            if _names(entry["output"], picture)
        ]


def _names(name: str, picture: Path) -> bool:
    """Whether a name in an evaluation means a picture, which may have been moved since."""
    with contextlib.suppress(OSError, ValueError):
        if os.path.lexists(name):
            return os.path.realpath(name) == os.path.realpath(picture)
    return Path(name).name == picture.name
