"""The losses of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path

__all__ = ["check_plot", "plot_curves", "plot_history"]

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


def plot_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, what: str) -> None:
    """One panel a layer with a line a network: what each run's loss did.

    Args:
        curves: Numbers of every step, by panel and by line.
        path: The file; its suffix decides the format.
        what: What the numbers are.

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = {panel: lines for panel, lines in curves.items() if any(lines.values())}
    columns = min(3, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(1 + 3.6 * columns, 0.6 + 2.6 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for number, (panel, lines) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        for name, values in lines.items():
            axes.plot(range(1, len(values) + 1), values, linewidth=1.2, label=name)
        positive = any(value > 0 for values in lines.values() for value in values)
        axes.set(title=panel, xlabel="step", ylabel=what)
        axes.set_yscale("log" if positive else "linear")
        axes.grid(alpha=0.25, which="major")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())


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
