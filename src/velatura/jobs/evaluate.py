"""The job of judging: picture files in, a value for each metric out, as a table of one row a picture."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Len

from velatura.core.config import Setting, to_mapping
from velatura.core.errors import ConfigError, ImageError
from velatura.core.files import atomic_path, check_writable
from velatura.engine.precision import Precision
from velatura.imaging import Picture, read_picture
from velatura.jobs.judging import Evaluation, Evaluator, Networks
from velatura.jobs.pictures import namesake
from velatura.jobs.record import machine_record

__all__ = ["Comparison", "EvaluateJob", "Evaluated", "comparisons", "run_evaluate"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Files of one output and of what it is held against."""

    output: Annotated[str, Setting("The picture to judge")]
    content: Annotated[str, Setting("Its photograph")]
    style: Annotated[str, Setting("Its painting")]
    reference: Annotated[str | None, Setting("What its pixels are compared with; unset: the photograph")] = (
        None
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is read."""
        names = (self.output, self.content, self.style, self.reference)
        return tuple(name for name in names if name is not None)


@dataclass(frozen=True, kw_only=True)
class EvaluateJob:
    """Files in, a table out."""

    comparisons: Annotated[tuple[Comparison, ...], Len(1), Setting("What is judged")]
    evaluation: Annotated[Evaluation, Setting("How")]
    json: Annotated[str | None, Setting("JSON file for every value, with settings and versions")] = None
    csv: Annotated[str | None, Setting("CSV file for every value, a line a picture")] = None


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What a job of judging found.

    Args:
        values: Metric to value, for each comparison; NaN where a metric is not defined.
        record: All settings, versions, and the hashes of weights.
        notes: What the user should know, one line each.
    """

    values: tuple[Mapping[str, float], ...]
    record: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each metric over the pictures; NaN if one is."""
        return {name: statistics.fmean(row[name] for row in self.values) for name in self.values[0]}


def comparisons(
    outputs: Sequence[Path],
    *,
    content: Path | Sequence[Path],
    style: Path | Sequence[Path],
    reference: Path | Sequence[Path] | None = None,
) -> tuple[Comparison, ...]:
    """Each output with what it is held against.

    Args:
        outputs: The pictures to judge.
        content: One photograph for all; or several, of which an output takes its namesake. An
            output called ``A+B`` may also take the photograph ``A`` and the painting ``B``.
        style: The painting, or paintings, likewise.
        reference: Likewise; an output ``A+B`` has no other namesake than ``A+B``.

    Raises:
        ConfigError: An output has no namesake, or several.
        ImageError: There is no such file.
    """
    found = tuple(
        Comparison(
            output=str(output),
            content=str(namesake(output, content, "photograph", part=0)),
            style=str(namesake(output, style, "painting", part=1)),
            reference=None if reference is None else str(namesake(output, reference, "reference", part=None)),
        )
        for output in outputs
    )
    for name in dict.fromkeys(name for one in found for name in one.files):
        if not os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where a name is too long
            raise ImageError(f"cannot read {name!r}: there is no such file")
    return found


def run_evaluate(
    job: EvaluateJob,
    *,
    networks: Networks | None = None,
    on_picture: Callable[[int, Comparison], None] = lambda number, comparison: None,  # noqa: ARG005
) -> Evaluated:
    """Reads, judges, writes.

    Args:
        job: What to judge and how.
        networks: Where networks are built and kept.
        on_picture: Told of each comparison, counted from 1, before it is made.

    Raises:
        ConfigError: A metric cannot be had, a picture does not fit, or a file would overwrite an input.
        ImageError: A picture cannot be read.
        OutputError: A file cannot be written.
        WeightsError: Weights are missing or broken, or end below a layer.
    """
    _check_targets(job)
    evaluator = Evaluator(job.evaluation, networks)
    # Photographs and paintings that come again are the same object, so that their features are kept.
    opened: dict[str, Picture] = {}
    values, notes = [], []
    for number, comparison in enumerate(job.comparisons, start=1):
        on_picture(number, comparison)
        beside = comparison.files[1:]
        opened = {name: opened.get(name) or read_picture(name) for name in beside}
        output = read_picture(comparison.output)
        notes += [
            f"{picture.name}: {note}" for picture in (output, *opened.values()) for note in picture.notes
        ]
        values.append(_judged(evaluator, output, comparison, opened))
    found = Evaluated(values=tuple(values), record=_record(job, evaluator), notes=tuple(dict.fromkeys(notes)))
    if job.json is not None:
        _write(job.json, json.dumps(_as_json(job, found), indent=1, allow_nan=False) + "\n")
    if job.csv is not None:
        _write(job.csv, _as_csv(job, found))
    return found


def _judged(
    evaluator: Evaluator, output: Picture, comparison: Comparison, opened: Mapping[str, Picture]
) -> dict[str, float]:
    reference = None if comparison.reference is None else opened[comparison.reference]
    try:
        return evaluator(output, opened[comparison.content], opened[comparison.style], reference=reference)
    except ConfigError as error:
        raise ConfigError(f"{comparison.output}: {error}") from error


def _check_targets(job: EvaluateJob) -> None:
    read = {os.path.realpath(name) for comparison in job.comparisons for name in comparison.files}
    targets = [target for target in (job.json, job.csv) if target is not None]
    for target in targets:
        if os.path.realpath(target) in read:
            raise ConfigError(
                f"{target} is read by this job and will not be overwritten; choose another name"
            )
        check_writable(target)
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise ConfigError(f"JSON and CSV cannot both be written to {job.csv}; choose another name for one")


def _record(job: EvaluateJob, evaluator: Evaluator) -> dict[str, Any]:
    """Everything that the values depend on, but for the pixels."""
    about: dict[str, dict[str, Any]] = {}
    for name, judged in job.evaluation.metrics.items():
        metric = judged.metric
        about[name] = {"unit": metric.unit, "direction": metric.direction, "source": metric.source}
        if judged.judge is not None:
            network = evaluator.networks[judged.judge]
            about[name]["layers"] = list(evaluator.layers[name])
            about[name]["judge"] = {"weights": network.source, "sha256": network.weights_sha256}
    computed_in = Precision(torch.float32, torch.contiguous_format)
    machine = machine_record(torch.device("cpu"), computed_in)
    return {"evaluation": to_mapping(job.evaluation), "metrics": about, **machine}


def _as_json(job: EvaluateJob, found: Evaluated) -> dict[str, Any]:
    pictures = [
        {**to_mapping(comparison), "values": _without_nan(row)}
        for comparison, row in zip(job.comparisons, found.values, strict=True)
    ]
    return {"pictures": pictures, "mean": _without_nan(found.mean), **found.record}


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no number for what is not finite: null stands for it."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _as_csv(job: EvaluateJob, found: Evaluated) -> str:
    text = io.StringIO()
    names = list(job.evaluation.metrics)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["output", "content", "style", *names])
    for comparison, row in zip(job.comparisons, found.values, strict=True):
        writer.writerow(
            [comparison.output, comparison.content, comparison.style, *(row[name] for name in names)]
        )
    return text.getvalue()


def _write(path: str, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
