"""Runs of ``velatura stylize`` and ``velatura reconstruct``, as they lie in a folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError, ImageError
from velatura.imaging import Picture, read_picture
from velatura.jobs.finished import carried_history
from velatura.jobs.pictures import is_picture, pictures_in
from velatura.jobs.report.files import (
    Folder,
    dig,
    is_history,
    is_record,
    read_json,
    record_in,
    resolved,
    settings_of,
    spread,
)
from velatura.jobs.stylization import fingerprint

__all__ = ["Run", "inputs_of", "run_of_file", "runs_in"]

_MOST_ON_THE_WAY = 12


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Args:
        name: The picture's file name, or the record's.
        folder: Where it lies.
        picture: The picture; None where only its record is left.
        record: Settings, versions and hashes.
        history: Losses, one entry a step; empty where they were not kept.
        on_the_way: Pictures written before the end, by step.
        values: What evaluations say of the picture: values, and the evaluation.
        notes: What the reader of the report should know, a line each.
    """

    name: str
    folder: Path
    picture: Path | None
    record: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    on_the_way: tuple[tuple[int, Path], ...] = ()
    values: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = ()
    notes: tuple[str, ...] = ()


def runs_in(folder: Folder) -> list[Run]:
    """Every picture of the folder that a record belongs to, in the order of their names."""
    beside = {
        Path(output).name: record
        for _, record in folder.records
        if isinstance(output := dig(record, "job", "output"), str)
    }
    runs = []
    for picture in pictures_in(folder.path):
        record = record_in(picture) or beside.get(picture.name)
        if record is not None:
            runs.append(_run(picture, record, folder))
    pictures = {run.name for run in runs}
    for file, record in folder.records:
        output = dig(record, "job", "output")
        if not isinstance(output, str) or Path(output).name not in pictures:
            runs.append(_without_picture(file, record, folder))
    return runs


def run_of_file(path: Path) -> Run:
    """The run that a record is of, or that a picture is from.

    Raises:
        ConfigError: The file cannot be read, or is no record, nor a picture that carries one.
    """
    try:
        folder = Folder.of(path.parent)
        if is_picture(path):
            record = record_in(path) or next(
                (
                    record
                    for _, record in folder.records
                    if Path(str(dig(record, "job", "output"))).name == path.name
                ),
                None,
            )
            if record is None:
                raise ConfigError(
                    f"{path} carries no record of how it was made; expected a picture of 'velatura stylize' "
                    "or 'velatura reconstruct', a record of --record, or a folder with such"
                )
            return _run(path, record, folder)
        record = read_json(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise ConfigError(f"cannot read record {path}: {reason}") from error
    if not is_record(record):
        raise ConfigError(
            f"{path} is {_kind(record)}, not the record of a run; name a file of "
            "--record, or the folder that it is in"
        )
    picture = next(resolved(dig(record, "job", "output"), path.parent), None)
    return _without_picture(path, record, folder) if picture is None else _run(picture, record, folder)


def _kind(content: Any) -> str:
    return "the losses of one" if is_history(content) else "another kind of JSON"


def _run(picture: Path, record: Mapping[str, Any], folder: Folder) -> Run:
    own = record_in(picture)
    notes = []
    if own is not None and settings_of(own) != settings_of(record):
        notes.append(
            f"{picture.name} carries another record than the one beside it: it was made with other settings"
        )
    return Run(
        name=picture.name,
        folder=folder.path,
        picture=picture,
        record=record,
        history=_history(record, folder) or _carried(picture),
        on_the_way=tuple(_on_the_way(record, picture)),
        values=tuple(folder.values_of(picture)),
        notes=tuple(notes),
    )


def _without_picture(file: Path, record: Mapping[str, Any], folder: Folder) -> Run:
    output = dig(record, "job", "output")
    return Run(
        name=file.name,
        folder=folder.path,
        picture=None,
        record=record,
        history=_history(record, folder),
        notes=(f"the picture {output} is not there" if output else "the record names no picture",),
    )


def _history(record: Mapping[str, Any], folder: Folder) -> Sequence[Mapping[str, Any]]:
    """The losses that the record names, wherever they are now."""
    name = dig(record, "job", "saving", "history")
    if not isinstance(name, str):
        return ()
    if Path(name).name in folder.histories:
        return folder.histories[Path(name).name]
    for path in resolved(name, folder.path):
        try:
            content = read_json(path)
        except (OSError, ValueError):
            continue
        if is_history(content):
            return [*content]
    return ()


def _carried(picture: Path) -> Sequence[Mapping[str, Any]]:
    """The losses that a picture of a grid brings with it."""
    with contextlib.suppress(ImageError, ValueError, TypeError, ArithmeticError, RecursionError):
        return carried_history(picture) or ()
    return ()


def _on_the_way(record: Mapping[str, Any], picture: Path) -> Iterator[tuple[int, Path]]:
    """Pictures of ``--save-every`` beside the finished one, some of them where they are many."""
    if dig(record, "job", "saving", "save_every") is None:
        return
    pattern = dig(record, "job", "saving", "save_pattern")
    name = re.escape(Path(pattern).name) if isinstance(pattern, str) else re.escape(picture.stem) + r"\-STEP"
    stem = re.escape(Path(str(dig(record, "job", "content") or dig(record, "job", "image"))).stem)
    name = re.sub(r"\\\{step[^}]*\\\}", "STEP", name)
    name = re.sub(r"\\\{scale[^}]*\\\}", r"\\d+", name)
    name = re.sub(r"\\\{name[^}]*\\\}", lambda _: stem, name)
    name = name.replace("STEP", r"(\d+)", 1).replace("STEP", r"\d+")
    if not isinstance(pattern, str):
        name += re.escape(picture.suffix)
    found = sorted(
        (int(match[1]), file)
        for file in picture.parent.iterdir()
        if (match := re.fullmatch(name, file.name)) and file.is_file()
    )
    yield from spread(found, _MOST_ON_THE_WAY)


def inputs_of(run: Run) -> Iterator[tuple[str, Picture | str]]:
    """The photograph and the paintings, each with what it is; in place of one that is not there, why.

    A file is shown only if it has the pixels that the record says the run was made of: whatever has
    its name now may be another, and may be nobody else's business.
    """
    pictures, job = dig(run.record, "pictures"), dig(run.record, "job")
    styles, hashes = dig(job, "styles"), dig(pictures, "styles")
    if isinstance(dig(job, "image"), str):
        yield "Picture", _found(dig(job, "image"), dig(pictures, "content"), run.folder)
        return
    styles = styles if isinstance(styles, list) else []
    hashes = hashes if isinstance(hashes, list) else []
    yield "Photograph", _found(dig(job, "content"), dig(pictures, "content"), run.folder)
    for place, wanted in enumerate(hashes):
        caption = "Painting" if len(hashes) == 1 else f"Painting {place + 1}"
        yield caption, _found(styles[place] if place < len(styles) else None, wanted, run.folder)


def _found(name: object, wanted: object, near: Path) -> Picture | str:
    if not isinstance(name, str):
        return "the record has no name of its file"
    others = 0
    for path in dict.fromkeys(resolved(name, near)):
        try:
            picture = read_picture(path)
        except ImageError:
            continue
        if fingerprint(picture) == wanted:
            return picture
        others += 1
    return f"{name} has other pixels now" if others else f"{name} is not there"
