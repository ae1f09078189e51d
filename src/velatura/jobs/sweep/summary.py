"""What the cells of a sweep say together: a mean with its interval for each point."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from velatura.core.errors import counted
from velatura.jobs.sweep.grid import Point
from velatura.jobs.sweep.spec import LOSS, Published, Sweep
from velatura.jobs.sweep.store import Measured
from velatura.ops.intervals import Mean, mean_interval

__all__ = ["Row", "as_csv", "as_markdown", "rows_of"]

_SIGNS = {"lower": "↓", "higher": "↑", "one": "→1"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One point with what its cells say.

    Args:
        point: Its place in the grid.
        means: Metric to mean over pairs and seeds.
        of_pairs: Metric to what each pair has, a mean over its seeds.
        loss: Mean of the last losses.
        seconds: Mean time of a cell.
        failed: Cells that failed.
        published: What the document has for it.
    """

    point: Point
    means: Mapping[str, Mean]
    of_pairs: Mapping[str, Mapping[str, float]]
    loss: Mean
    seconds: Mean
    failed: int
    published: tuple[Published, ...] = ()

    def published_value(self, metric: str) -> float | None:
        """What the document has for a metric, or for the loss, here; None if nothing."""
        return next((one.values[metric] for one in self.published if metric in one.values), None)


def rows_of(sweep: Sweep, points: Iterable[Point], measured: Sequence[Measured]) -> list[Row]:
    """A row for every point of which a cell was made.

    Args:
        sweep: What the points are of.
        points: In the order of the table.
        measured: Cells, in any order.
    """
    by_labels: dict[tuple[str, ...], list[Measured]] = {}
    for one in measured:
        by_labels.setdefault(tuple(one.labels.values()), []).append(one)
    found = ((point, by_labels.get(tuple(point.labels.values()), [])) for point in points)
    return [_row(sweep, point, cells) for point, cells in found if cells]


def _row(sweep: Sweep, point: Point, cells: Sequence[Measured]) -> Row:
    whole = [cell for cell in cells if cell.error is None]
    return Row(
        point=point,
        means={
            name: mean_interval([cell.values.get(name, math.nan) for cell in whole])
            for name in sweep.evaluation.metrics
        },
        of_pairs={name: _of_pairs(name, whole) for name in sweep.evaluation.metrics},
        loss=mean_interval([cell.loss for cell in whole]),
        seconds=mean_interval([cell.seconds for cell in whole]),
        failed=len(cells) - len(whole),
        published=sweep.published_at(point),
    )


def _of_pairs(metric: str, cells: Sequence[Measured]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for cell in cells:
        value = cell.values.get(metric, math.nan)
        if math.isfinite(value):
            values.setdefault(cell.pair, []).append(value)
    return {pair: math.fsum(found) / len(found) for pair, found in values.items()}


def as_csv(sweep: Sweep, measured: Sequence[Measured]) -> str:
    """A line a cell: its place on each axis, its pictures and seed, and a column for each number."""
    text = io.StringIO()
    metrics = list(sweep.evaluation.metrics)
    axes = [axis.name for axis in sweep.axes]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*axes, "content", "style", "seed", *metrics, "loss", "steps", "seconds", "picture", "error"]
    )
    for one in measured:
        values = [_cell(one.values.get(name, math.nan)) for name in metrics]
        about = [one.labels[name] for name in axes] + [one.content, one.style, one.seed]
        numbers = [_cell(one.loss), one.steps, _cell(one.seconds)]
        picture = f"cells/{one.key}/picture.png" if one.error is None else ""
        writer.writerow([*about, *values, *numbers, picture, one.error or ""])
    return text.getvalue()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def as_markdown(sweep: Sweep, rows: Sequence[Row], measured: Sequence[Measured]) -> str:
    """The table of means with what there is to say about it."""
    lines = [f"# {sweep.title}", ""]
    if sweep.source:
        lines += [f"After {sweep.source}.", ""]
    lines += [line for note in sweep.notes for line in (note, "")]
    lines += list(_table(sweep, rows))
    lines += ["", *_legend(sweep, rows)]
    failed = [one for one in measured if one.error is not None]
    if failed:
        lines += ["", f"{len(failed)} of {len(measured)} cells failed:", ""]
        lines += [f"- {_place(one)}: {one.error}" for one in failed]
    notes = dict.fromkeys(note for one in measured for note in one.notes)
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _place(one: Measured) -> str:
    at = ", ".join(f"{name}={label}" for name, label in one.labels.items())
    return f"{at}, {one.pair}, seed {one.seed}"


def _table(sweep: Sweep, rows: Sequence[Row]) -> Iterator[str]:
    names = [*sweep.evaluation.metrics, LOSS]
    shown = [name for name in names if any(row.published_value(name) is not None for row in rows)]
    header = [axis.name for axis in sweep.axes]
    for name, judged in sweep.evaluation.metrics.items():
        header.append(f"{name} {_SIGNS[judged.metric.direction]}")
        header += [f"{name}, published"] if name in shown else []
    header += ["last loss", *(["last loss, published"] if LOSS in shown else []), "seconds", "n"]
    yield _line(header)
    yield _line(["---"] * len(header))
    for row in rows:
        cells = list(row.point.labels.values())
        for name, mean in row.means.items():
            cells.append(_with_interval(mean))
            cells += [_published(row, name)] if name in shown else []
        counts = [mean.count for mean in row.means.values()]
        failed = f" ({row.failed} failed)" if row.failed else ""
        seconds = "" if row.seconds.count == 0 else f"{row.seconds.value:.1f}"
        losses = [_with_interval(row.loss), *([_published(row, LOSS)] if LOSS in shown else [])]
        yield _line([*cells, *losses, seconds, f"{max(counts, default=0)}{failed}"])


def _published(row: Row, name: str) -> str:
    value = row.published_value(name)
    return "" if value is None else f"{value:g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _with_interval(mean: Mean) -> str:
    if mean.count == 0:
        return ""
    value = f"{mean.value:.4g}"
    return value if math.isnan(mean.half_width) else f"{value} ± {mean.half_width:.2g}"


def _legend(sweep: Sweep, rows: Sequence[Row]) -> Iterator[str]:
    pairs = ", ".join(pair.name for pair in sweep.pairs)
    drawn = (
        f"{len(sweep.seeds)} seeds where something is drawn at random" if len(sweep.seeds) > 1 else "one seed"
    )
    yield (
        f"Means over {counted(len(sweep.pairs), 'pair')} ({pairs}) and {drawn}, ± half of the 95 % interval "
        "of the mean by Student's t; n: how many values. Values of one pair are not independent of each "
        "other, so that with several seeds the intervals are narrower than they should be."
    )
    if sweep.reference is not None:
        made = sweep.reference.how
        what = f"preset {made.preset}" if made is not None else f"pictures in {sweep.reference.folder}"
        yield f"SSIM, PSNR and RMSE compare with a pseudo ground truth: {what}."
    for source in dict.fromkeys(one.source for row in rows for one in row.published):
        yield f"Published: {source}. On other pictures, so that only the order compares."
