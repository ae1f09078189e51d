"""The folder of a sweep: a CSV with a line a cell, pictures, and what else ``velatura sweep`` writes there.

Only the table has to be there, whoever wrote it; its columns may be any.
"""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from velatura.core.errors import ConfigError
from velatura.jobs.pictures import is_picture, pictures_in
from velatura.jobs.report.files import dig, number, read_json, spread

__all__ = ["CELLS", "Sweep", "sweep_in"]

CELLS = "cells.csv"
_MOST_ROWS = 500
_MOST_IN_LABEL = 4
_MOST_CURVES = 7
_NAMED_BY_VALUE = ("content", "style")
_HASH = re.compile(r"[0-9a-f]{12,64}")


Group: TypeAlias = tuple[str, str, str]
"""Photograph, painting and seed: cells that have all of them in common compare."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep, of whatever axes.

    Args:
        name: The folder's.
        about: Where the sweep is from, and what is to be known of it, a paragraph each.
        columns: Of the table: those that differ from cell to cell, and are no file and no hash.
        signs: Which values of a column are better: ``lower``, ``higher`` or ``one``.
        rows: Values by column, a cell each.
        same: What is the same in every cell.
        pictures: Of the cells, by what tells the cells apart.
        groups: Photograph, painting and seed of each of the pictures, where the table has them.
        losses: Of the cells likewise: the loss of every step, and each of its terms by its name.
        command: Words that run it again, for a shell; None: not on record.
        means: Lines of a table in Markdown.
        figures: Contact sheets and plots.
        notes: What the reader of the report should know, a line each.
    """

    name: str
    about: tuple[str, ...]
    columns: tuple[str, ...]
    signs: Mapping[str, str]
    rows: tuple[Mapping[str, str], ...]
    same: Mapping[str, str]
    pictures: tuple[tuple[str, Path], ...]
    groups: tuple[Group, ...]
    losses: tuple[tuple[str, Mapping[str, Sequence[Any]]], ...]
    command: str | None
    means: tuple[str, ...]
    figures: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def sweep_in(folder: Path) -> Sweep | None:
    """The sweep in a folder; None where there is no table of one.

    Raises:
        ConfigError: The table cannot be read, or is empty.
    """
    path = folder / CELLS
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = [{name: value for name, value in row.items() if name} for row in reader]
        names = [name for name in reader.fieldnames or () if name]
    except (OSError, csv.Error) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if not rows:
        raise ConfigError(f"{path} has no cell in it: expected a line of names, and one of values for each")
    of_rows = _pictures(folder, rows)
    telling = [name for name in names if len({row[name] for row in rows}) > 1]
    columns = [name for name in telling if not _is_place(name, rows)]
    manifest = _json_in(folder / "sweep.json")
    about = tuple(_about(manifest))
    axes = [name for name in _axes(manifest, columns, rows) if name in columns] or columns[:1]
    pictures: dict[Path, str] = {}
    groups: dict[Path, Group] = {}
    for row, picture in zip(rows, of_rows, strict=True):
        if picture is not None:
            pictures.setdefault(picture, _label(row, axes))
            content, style, seed = (row.get(name, "") for name in ("content", "style", "seed"))
            groups.setdefault(picture, (content, style, seed))
    notes = [f"{len(rows) - _MOST_ROWS} more cells are in {CELLS}"] if len(rows) > _MOST_ROWS else []
    if missing := of_rows.count(None):
        notes.append(f"{missing} of {len(rows)} cells have no picture here")
    return Sweep(
        name=str(dig(manifest, "title") or folder.resolve().name),
        about=about,
        columns=tuple(columns),
        signs={name: str(dig(manifest, "metrics", name, "direction")) for name in columns},
        rows=tuple(rows[:_MOST_ROWS]),
        same={name: rows[0][name] for name in names if name not in telling and rows[0][name]},
        pictures=tuple((label, picture) for picture, label in pictures.items()),
        groups=tuple(groups.values()),
        losses=tuple(_losses(pictures, groups)),
        command=_command(manifest),
        means=tuple(line for line in _lines_of(folder / "table.md") if line not in about),
        figures=tuple(picture for picture in pictures_in(folder) if picture not in pictures),
        notes=tuple(notes),
    )


def _json_in(path: Path) -> Any:
    """What is in a JSON file that may be missing, or no JSON."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def _axes(manifest: Any, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns that tell cells apart: as ``sweep.json`` says, or as they look."""
    axes = dig(manifest, "axes")
    if isinstance(axes, Mapping):
        return [*axes, "content", "style", "seed"]
    return [name for name in columns if not _is_measured(name, rows)][:_MOST_IN_LABEL]


def _about(manifest: Any) -> Iterator[str]:
    if source := dig(manifest, "source"):
        yield f"After {source}."
    for note in dig(manifest, "notes") or ():
        yield str(note)


def _label(row: Mapping[str, str], axes: Sequence[str]) -> str:
    """``weight 1000, lake, waves``: of a dotted field its last word, if no other axis has it too."""
    last = [name.rpartition(".")[2] for name in axes]
    words = [
        row[name] if name in _NAMED_BY_VALUE else f"{short if last.count(short) == 1 else name} {row[name]}"
        for name, short in zip(axes, last, strict=True)
        if row[name]
    ]
    return ", ".join(words)


def _command(manifest: Any) -> str | None:
    words = dig(manifest, "command")
    if not isinstance(words, list) or not words:
        return None
    return shlex.join([*map(str, words), "-o", "FOLDER"])


def _losses(
    pictures: Mapping[Path, str], groups: Mapping[Path, Group]
) -> Iterator[tuple[str, Mapping[str, Sequence[Any]]]]:
    """What lies beside the pictures of some cells: ``losses.json``, values of every step by term.

    Those of one photograph, one painting and one seed, for others do not compare.
    """
    first = next(iter(groups.values()), None)
    alike = [(picture, label) for picture, label in pictures.items() if groups[picture] == first]
    for picture, label in spread(alike, _MOST_CURVES):
        found = _json_in(picture.parent / "losses.json")
        if isinstance(dig(found, "loss"), list):
            yield label, {name: values for name, values in found.items() if isinstance(values, list)}


def _lines_of(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return ()


def _pictures(folder: Path, rows: Sequence[Mapping[str, str]]) -> list[Path | None]:
    """The picture of each row: one that it names, or one that is called as a value of its is."""
    files = sorted(file for file in folder.rglob("*") if is_picture(file) and file.is_file())
    # A table may be anybody's: only what is in the folder is shown.
    inside = {file.resolve(): file for file in files if file.resolve().is_relative_to(folder.resolve())}
    by_name: dict[str, Path] = {}
    for file in inside.values():
        by_name.setdefault(file.stem, file)
        if file.parent != folder:
            by_name.setdefault(file.parent.name, file)
    return [_picture(folder, row, inside, by_name) for row in rows]


def _picture(
    folder: Path, row: Mapping[str, str], inside: Mapping[Path, Path], by_name: Mapping[str, Path]
) -> Path | None:
    values = [value for value in row.values() if isinstance(value, str) and value]
    for value in values:
        if is_picture(Path(value)) and "\0" not in value:
            for path in (folder / value, Path(value)):
                if (found := inside.get(path.resolve())) is not None:
                    return found
    for value in values:
        if not _is_number(value) and value in by_name:
            return by_name[value]
    return None


def _is_number(text: str) -> bool:
    try:
        return number(float(text)) is not None
    except ValueError:
        return False


def _is_place(name: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a column only says where files are, or which: names of files in the folder, or hashes."""
    values = [row[name] for row in rows if row[name]]
    return bool(values) and all(
        _HASH.fullmatch(value) is not None or (is_picture(Path(value)) and "/" in value) for value in values
    )


def _is_measured(name: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a column looks like measurements: numbers, hardly one twice."""
    values = [row[name] for row in rows if row[name]]
    return (
        len(rows) > 3
        and all(map(_is_number, values))
        and any("." in value for value in values)
        and len(set(values)) > 0.7 * len(values)
    )
