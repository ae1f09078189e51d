"""Plots of a sweep: metrics along an axis, and what the losses did."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from velatura.core.files import atomic_path
from velatura.jobs.plot import add_legend, figure_with_panels, line_style, plot_curves
from velatura.jobs.sweep.grid import Axis, Point, short_name
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, Store
from velatura.jobs.sweep.summary import Row
from velatura.metrics import Metric

__all__ = ["plot_losses", "plot_metrics"]

_BETTER = {"lower": "lower is better", "higher": "higher is better", "one": "1 is best"}
_MEAN = "mean, 95 % interval"
_LETTERS = 30
_APART = 0.08  # Between intervals of several lines at one label.
_PUBLISHED = "tab:red"
_MOST_PANELS, _MOST_LINES = 6, 12
_MARKERS = "ooooooooooss"  # Other ones where colours come again.


def plot_metrics(sweep: Sweep, rows: Sequence[Row], path: Path) -> None:
    """A panel a metric: its mean with the interval along one axis, a line for each place on the others.

    Where there is one line, each pair's own values are drawn thinly behind it. Values that were
    published stand as crosses, on an axis of their own. Along goes the axis of numbers that comes
    last, or the last one.

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
    figure, panels = figure_with_panels(len(names))
    has_lines = along.numbers is not None and (sweep.combination == "crossed" or len(sweep.axes) == 1)
    for name, axes in zip(names, panels, strict=True):
        for number, (label, of_line) in enumerate(list(lines.items())[:_MOST_LINES]):
            aside = 0.0 if along.numbers is not None else _APART * (number - (len(lines) - 1) / 2)
            if len(lines) == 1:
                _draw_pairs(axes, along, name, of_line)
            style = line_style(number) if has_lines else {**line_style(number), "linestyle": ""}
            _draw_metric(axes, along, name, label, of_line, aside, {"marker": _MARKERS[number], **style})
        _draw_published(axes, along, name, rows)
        cut = _cut("lines", len(lines), _MOST_LINES)
        metric = sweep.evaluation.metrics[name].metric
        axes.set(title=f"{name} ({cut})" if cut else name, xlabel=along.name, ylabel=_unit(metric))
        if along.numbers is not None and _spans_magnitudes(along.numbers):
            axes.set_xscale("symlog" if min(along.numbers) == 0 else "log", **_linear_below(along.numbers))
        elif along.numbers is None:
            axes.set_xticks(range(len(along)), along.labels, rotation=30, ha="right", fontsize=8)
            axes.set_xlim(-0.5, len(along) - 0.5)
    add_legend(figure, panels)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())


def _unit(metric: Metric) -> str:
    """``dB (higher is better)``, in lines that fit beside a panel."""
    return textwrap.fill(f"{metric.unit} ({_BETTER[metric.direction]})", _LETTERS)


def _spans_magnitudes(numbers: Sequence[float]) -> bool:
    above = [number for number in numbers if number > 0]
    return min(numbers) >= 0 and bool(above) and max(above) >= 10 * min(above)


def _linear_below(numbers: Sequence[float]) -> dict[str, float]:
    """Where an axis that has a zero begins to be logarithmic; nothing of one that has none."""
    return {"linthresh": min(number for number in numbers if number > 0)} if min(numbers) == 0 else {}


def _lines(sweep: Sweep, along: Axis, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows that belong together; one line, where axes are paired and each row is somewhere else."""
    if sweep.combination == "paired":
        return {"": list(rows)}
    lines: dict[str, list[Row]] = {}
    for row in rows:
        lines.setdefault(_others(along, row), []).append(row)
    return lines


def _others(along: Axis, row: Row) -> str:
    others = [
        f"{short_name(name)} = {label}" for name, label in row.point.labels.items() if name != along.name
    ]
    return ", ".join(others)


def _place(along: Axis, row: Row) -> float:
    """Where a row stands along an axis: its number, or which label it has."""
    name = row.point.labels[along.name]
    return row.point.numbers.get(along.name, float(along.labels.index(name)) if along.numbers is None else 0)


def _draw_metric(
    axes: Any,
    along: Axis,
    metric: str,
    label: str,
    rows: Sequence[Row],
    aside: float,
    style: Mapping[str, str],
) -> None:
    ordered = sorted(rows, key=lambda row: _place(along, row))
    means = [row.means[metric] for row in ordered]
    bars = [0.0 if math.isnan(mean.half_width) else mean.half_width for mean in means]
    places = [_place(along, row) + aside for row in ordered]
    values = [mean.value for mean in means]
    axes.errorbar(places, values, yerr=bars, capsize=3, label=label or _MEAN, **style)


def _draw_pairs(axes: Any, along: Axis, metric: str, rows: Sequence[Row]) -> None:
    """What each pair has by itself: they differ more from each other than settings do."""
    ordered = sorted(rows, key=lambda row: _place(along, row))
    pairs = dict.fromkeys(pair for row in ordered for pair in row.of_pairs[metric])
    if len(pairs) < 2:
        return
    for number, pair in enumerate(pairs):
        found = [
            (_place(along, row), row.of_pairs[metric][pair])
            for row in ordered
            if pair in row.of_pairs[metric]
        ]
        label = None if number else "one pair"
        axes.plot(*zip(*found, strict=True), color="0.65", linewidth=0.8, marker=".", zorder=1, label=label)


def _draw_published(axes: Any, along: Axis, metric: str, rows: Sequence[Row]) -> None:
    """Values of a document, on an axis of their own: on other pictures, only their order compares."""
    found = [
        (_place(along, row), value) for row in rows if (value := row.published_value(metric)) is not None
    ]
    if not found:
        return
    other = axes.twinx()
    other.plot(*zip(*found, strict=True), "x", color=_PUBLISHED)
    axes.plot([], [], "x", color=_PUBLISHED, label="published, right axis")
    other.margins(y=0.5)
    other.tick_params(axis="y", labelcolor=_PUBLISHED, labelsize=8)
    other.spines[["top", "left"]].set_visible(False)


def plot_losses(
    sweep: Sweep, store: Store, points: Sequence[Point], measured: Sequence[Measured], path: Path
) -> None:
    """A panel a pair: the loss of every step with the first seed, a line for each point.

    Nothing is drawn of methods without steps. Where there are more pairs or lines than can be told apart,
    the first of them are drawn, and titles say so.

    Args:
        sweep: What was varied.
        store: Where the losses are.
        points: In their order.
        measured: Cells that were made.
        path: The file; its suffix decides the format.

    Raises:
        OutputError: The file cannot be written.
    """
    with_steps = [one for one in measured if one.steps > 0]
    found = {one.pair for one in with_steps}
    pairs = [pair.name for pair in sweep.pairs if pair.name in found]
    curves = dict(_curves(pair, store, points, with_steps) for pair in pairs[:_MOST_PANELS])
    if any(curves.values()):
        plot_curves(curves, path, what="weighted loss", title=_cut("pairs", len(pairs), _MOST_PANELS))


def _curves(
    pair: str, store: Store, points: Sequence[Point], measured: Sequence[Measured]
) -> tuple[str, Mapping[str, Sequence[float]]]:
    """A panel's title, and its lines under their names."""
    first: dict[str, Measured] = {}
    for one in measured:
        if one.pair == pair:
            first.setdefault(_label(one.labels), one)
    labels = [label for point in points if (label := _label(point.labels)) in first]
    cut = _cut("lines", len(labels), _MOST_LINES)
    losses = ((label, store.losses(first[label].key).get("loss")) for label in labels[:_MOST_LINES])
    return f"{pair}\n({cut})" if cut else pair, {label: values for label, values in losses if values}


def _cut(what: str, count: int, most: int) -> str:
    """``the first 12 of 20 lines``; empty where all are drawn."""
    return f"the first {most} of {count} {what}" if count > most else ""


def _label(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{short_name(name)} = {label}" for name, label in labels.items())
