"""A run of ``velatura train``, as it lies in its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError, WeightsError
from velatura.jobs.models import MODEL_FILE
from velatura.jobs.report.files import number, spread
from velatura.networks.files import ModelRecord, read_model

__all__ = ["LOG", "TrainingRun", "training_in"]

LOG = "log.jsonl"
_MOST_PICTURES = 12


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One training.

    Args:
        name: The folder's.
        lines: Of its log, those that can be read.
        validations: Pictures of the held-out photographs, by step; some where they are many.
        model: What the model file says; None where there is none.
        num_weights: Numbers in the model file; 0 without one.
        notes: What the reader of the report should know, a line each.
    """

    name: str
    lines: Sequence[Mapping[str, Any]]
    validations: tuple[tuple[int, Path], ...]
    model: ModelRecord | None
    num_weights: int
    notes: tuple[str, ...]


def training_in(folder: Path) -> TrainingRun | None:
    """The training in a folder; None where there is no log of one.

    Raises:
        ConfigError: The log cannot be read.
    """
    log = folder / LOG
    if not log.is_file():
        return None
    try:
        texts = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {log}: {error.strerror}") from error
    lines = [line for text in texts if (line := _line(text)) is not None]
    notes = []
    if broken := len(texts) - len(lines):
        notes.append(f"{broken} of {len(texts)} lines of {LOG} cannot be read")
    unreadable = [str(name) for line in lines for name in _listed(line.get("unreadable"))]
    if unreadable:
        notes.append(
            f"{len(unreadable)} pictures to learn from could not be read: {'; '.join(unreadable[:5])}"
        )
    model, num_weights = None, 0
    try:
        tensors, model = read_model(folder / MODEL_FILE)
        num_weights = sum(tensor.numel() for tensor in tensors.values())
    except WeightsError as error:
        notes.append(f"settings and versions are not known: {error}")
    return TrainingRun(
        name=folder.resolve().name,
        lines=lines,
        validations=_validations(folder / "validation"),
        model=model,
        num_weights=num_weights,
        notes=tuple(notes),
    )


def _line(text: str) -> Mapping[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and number(line.get("step")) is not None else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _validations(folder: Path) -> tuple[tuple[int, Path], ...]:
    if not folder.is_dir():
        return ()
    found = sorted(
        (int(match[1]), file)
        for file in folder.iterdir()
        if (match := re.fullmatch(r"step-(\d+)\.png", file.name)) and file.is_file()
    )
    return tuple(spread(found, _MOST_PICTURES))
