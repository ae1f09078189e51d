"""The losses of a run as a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path

__all__ = ["add_legend", "check_plot", "figure_with_panels", "line_style", "plot_curves", "plot_history"]

_COLUMNS = 3
_ROOM = 30  # What a loss may rise to over its start before it is cut.
_FEW_DECADES = 300
_COLORS = 10
_DASHES = ("-", "--", ":")  # As three and ten have no common factor, thirty lines differ.
_MARGIN_INCHES, _LINE_INCHES, _LETTER_INCHES = 0.25, 0.19, 0.07
_SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".webp")


def check_plot(path: Path) -> None:
    """Whether a plot can be drawn at all, asked before the run.

    Raises:
        ConfigError: matplotlib is not installed, or the suffix is unknown.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"cannot plot to {path}: expected one of {', '.join(_SUFFIXES)}")
    if find_spec("matplotlib") is None:
        raise ConfigError("plots need matplotlib: pip install 'velatura[eval]'")


def plot_history(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Each weighted term and their sum over the steps, on a logarithmic axis where it can be.

    Args:
        history: Entries with ``scale``, ``size``, ``loss`` and ``terms``, one a step; of a dream, which has
            no terms, the loss is the activation.
        path: The file; its suffix decides the format.

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    terms = history[0]["terms"] if history else {}
    what = "loss" if terms else "activation"
    steps = range(1, len(history) + 1)
    axes.plot(steps, [entry["loss"] for entry in history], color="0.15", linewidth=1.8, label=what)
    for name in terms:
        axes.plot(steps, [entry["terms"][name] for entry in history], linewidth=1.2, label=name)
    _mark_scales(axes, history)
    # A loss of zero throughout, as at strength 0, has no place on a logarithmic axis.
    falls = any(entry["loss"] > 0 for entry in history)
    axes.set(xlabel="step", ylabel="weighted loss" if terms else what, xlim=(0, max(1, len(history))))
    axes.set_yscale("log" if falls else "linear")
    axes.grid(alpha=0.25, which="major")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.06), borderaxespad=0)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())


def plot_curves(
    curves: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, what: str, title: str = ""
) -> None:
    """One panel a layer with a line a network: what each run's loss did.

    A line looks the same in every panel. Peaks that leave the rest no room are cut, and the panel says so.

    Args:
        curves: Numbers of every step, by panel and by line.
        path: The file; its suffix decides the format.
        what: What the numbers are.
        title: Stands above the panels.

    Raises:
        OutputError: The file cannot be written.
    """
    shown = {panel: lines for panel, lines in curves.items() if any(lines.values())}
    figure, panels = figure_with_panels(len(shown))
    figure.suptitle(title or None, fontsize=10)
    places = {name: place for place, name in enumerate(dict.fromkeys(itertools.chain(*shown.values())))}
    for (panel, lines), axes in zip(shown.items(), panels, strict=True):
        for name, values in lines.items():
            axes.plot(
                range(1, len(values) + 1), values, linewidth=1.2, label=name, **line_style(places[name])
            )
        positive = any(value > 0 for values in lines.values() for value in values)
        axes.set(title=panel, xlabel="step", ylabel=what)
        if positive:
            axes.set_yscale("log")
            _cut_peaks(axes, lines)
            _name_powers(axes)
    add_legend(figure, panels)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())


def figure_with_panels(count: int) -> tuple[Any, list[Any]]:
    """A figure of so many panels, three in a row at most, and the panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 2 if count == 4 else min(_COLUMNS, max(1, count))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(1 + 3.6 * columns, 0.6 + 2.8 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(rows, columns, number) for number in range(1, count + 1)]
    for axes in panels:
        axes.grid(alpha=0.25, which="major")
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def line_style(place: int) -> dict[str, str]:
    """Colour and dashes of a line, so that thirty of them differ and one that another one covers is seen.

    Args:
        place: Of the line, from 0.
    """
    return {"color": f"C{place % _COLORS}", "linestyle": _DASHES[place % len(_DASHES)]}


def add_legend(figure: Any, panels: Sequence[Any]) -> None:
    """Names the lines of all panels once, below them, and makes the figure higher by as much.

    A line of one name has to look the same in every panel.
    """
    named: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if not named:
        return
    width, height = figure.get_size_inches()
    column = 0.6 + _LETTER_INCHES * max(map(len, named))
    columns = max(1, min(len(named), int(width / column)))
    rows = -(-len(named) // columns)
    figure.set_size_inches(max(width, column), height + _MARGIN_INCHES + _LINE_INCHES * rows)
    figure.legend(
        named.values(), named.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )


def _cut_peaks(axes: Any, lines: Mapping[str, Sequence[float]]) -> None:
    """Bounds a panel to where its lines start, with room above; says what is out of it."""
    starts = [values[0] for values in lines.values() if values and values[0] > 0]
    highest = max((value for values in lines.values() for value in values if math.isfinite(value)), default=0)
    if starts and highest > _ROOM * max(starts):
        axes.set_ylim(top=_ROOM * max(starts))
        axes.annotate(
            f"peaks up to {highest:.0e} are cut",
            (0.98, 0.98),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=7,
            color="0.45",
        )


def _name_powers(axes: Any) -> None:
    """Plain numbers on a logarithmic axis that spans so little that powers of ten alone would not do."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    axes.yaxis.set_minor_formatter(NullFormatter())
    if high < _FEW_DECADES * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _mark_scales(axes: Any, history: Sequence[dict[str, Any]]) -> None:
    for step, entry in enumerate(history):
        if step == 0 or entry["scale"] != history[step - 1]["scale"]:
            height, width = entry["size"]
            axes.axvline(step, color="0.8", linewidth=0.8, zorder=0)
            axes.annotate(
                f"{width}x{height}",
                (step, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, 2),
                textcoords="offset points",
                fontsize=7,
                color="0.45",
            )
