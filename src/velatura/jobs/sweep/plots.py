"""Plots of a sweep: metrics along an axis, and what the losses did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from velatura.core.files import atomic_path
from velatura.jobs.plot import plot_curves
from velatura.jobs.sweep.grid import Axis, Point
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, Store
from velatura.jobs.sweep.summary import Row

__all__ = ["plot_losses", "plot_metrics"]

_COLUMNS = 3
_MOST_PANELS, _MOST_LINES = 6, 12


def plot_metrics(sweep: Sweep, rows: Sequence[Row], path: Path) -> None:
    """A panel a metric: its mean with the interval along one axis, a line for each place on the others.

    Values that were published stand as crosses. Along goes the axis of numbers that comes last, or
    the last one.

    Args:
        sweep: What was varied.
        rows: Means.
        path: The file; its suffix decides the format.

    Raises:
        OutputError: The file cannot be written.
    """
    along = ([axis for axis in sweep.axes if axis.numbers is not None] or list(sweep.axes))[-1]
    lines = _lines(sweep, along, rows)
    names = list(sweep.evaluation.metrics)
    figure, panels = _panels(len(names))
    for name, axes in zip(names, panels, strict=True):
        for label, of_line in list(lines.items())[:_MOST_LINES]:
            is_line = along.numbers is not None and (sweep.combination == "crossed" or len(sweep.axes) == 1)
            _draw_metric(axes, along, name, label, of_line, linestyle="-" if is_line else "")
        judged = sweep.evaluation.metrics[name].metric
        better = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best"}
        cut = f" (the first {_MOST_LINES} of {len(lines)} lines)" if len(lines) > _MOST_LINES else ""
        axes.set(title=f"{name}{cut}", xlabel=along.name, ylabel=f"({better[judged.direction]})")
        if along.numbers is not None and _spans_magnitudes(along.numbers):
            axes.set_xscale("log")
        elif along.numbers is None:
            axes.set_xticks(range(len(along)), along.labels, rotation=30, ha="right", fontsize=7)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())


def _spans_magnitudes(numbers: Sequence[float]) -> bool:
    return min(numbers) > 0 and max(numbers) >= 10 * min(numbers)


def _lines(sweep: Sweep, along: Axis, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows that belong together; one line, where axes are paired and each row is somewhere else."""
    if sweep.combination == "paired":
        return {"": list(rows)}
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(_others(along, row), []).append(row)
    return lines


def _others(along: Axis, row: Row) -> str:
    others = [f"{name}={label}" for name, label in row.point.labels.items() if name != along.name]
    return ", ".join(others)


def _draw_metric(
    axes: Any, along: Axis, metric: str, label: str, rows: Sequence[Row], *, linestyle: str
) -> None:
    def place(row: Row) -> float:
        name = row.point.labels[along.name]
        return row.point.numbers.get(
            along.name, float(along.labels.index(name)) if along.numbers is None else 0
        )

    ordered = sorted(rows, key=place)
    means = [row.means[metric] for row in ordered]
    bars = [0.0 if math.isnan(mean.half_width) else mean.half_width for mean in means]
    places = [place(row) for row in ordered]
    values = [mean.value for mean in means]
    axes.errorbar(
        places, values, yerr=bars, marker="o", linestyle=linestyle, capsize=3, label=label or metric
    )
    published = [(place(row), value) for row in rows if (value := row.published_value(metric)) is not None]
    if published:
        axes.plot(*zip(*published, strict=True), "x", color="0.3", label="published")
        axes.legend(frameon=False, fontsize=7)


def plot_losses(
    sweep: Sweep, store: Store, points: Sequence[Point], measured: Sequence[Measured], path: Path
) -> None:
    """A panel a pair: the loss of every step with the first seed, a line for each point.

    Nothing is drawn of methods without steps.

    Args:
        sweep: What was varied.
        store: Where the losses are.
        points: In their order.
        measured: Cells that were made.
        path: The file; its suffix decides the format.

    Raises:
        OutputError: The file cannot be written.
    """
    curves = _curves(sweep, store, points, measured)
    if curves:
        plot_curves(curves, path, what="weighted loss")


def _curves(
    sweep: Sweep, store: Store, points: Sequence[Point], measured: Sequence[Measured]
) -> Mapping[str, Mapping[str, Sequence[float]]]:
    first: dict[tuple[str, str], Measured] = {}
    for one in measured:
        first.setdefault((one.pair, _label(one.labels)), one)
    curves: dict[str, dict[str, Sequence[float]]] = {}
    for pair in sweep.pairs[:_MOST_PANELS]:
        for point in points:
            found = first.get((pair.name, _label(point.labels)))
            if found is None or len(curves.get(pair.name, ())) >= _MOST_LINES:
                continue
            losses = store.losses(found.key).get("loss", [])
            if losses:
                curves.setdefault(pair.name, {})[_label(point.labels)] = losses
    return curves


def _label(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]}={label}" for name, label in labels.items())


def _panels(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 0.6 + 2.8 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(rows, columns, number) for number in range(1, count + 1)]
    for axes in panels:
        axes.grid(alpha=0.25, which="major")
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
