"""What is written of a whole sweep: CSV, Markdown, a contact sheet, plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from velatura.core.files import atomic_path
from velatura.imaging import write_picture
from velatura.jobs.processes import in_parallel
from velatura.jobs.sweep.grid import Point
from velatura.jobs.sweep.plots import plot_losses, plot_metrics
from velatura.jobs.sweep.sheet import contact_sheet
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, Store
from velatura.jobs.sweep.summary import as_csv, as_markdown, rows_of

__all__ = ["OUTPUTS", "write_outputs"]

OUTPUTS = {
    "csv": "cells.csv",
    "table": "table.md",
    "sheet": "sheet.png",
    "metrics": "metrics.png",
    "losses": "losses.png",
}
"""What is written, by what it is."""

_PLOTS = ("metrics", "losses")


def write_outputs(
    sweep: Sweep,
    store: Store,
    points: Sequence[Point],
    measured: Sequence[Measured],
    *,
    sources: Mapping[str, tuple[Path, Path]],
    is_new: bool,
    processes: int = 1,
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Writes everything that the cells show together.

    Args:
        sweep: What was varied.
        store: The folder.
        points: In the order of the table.
        measured: Every cell that was made, by whatever run.
        sources: Photograph and painting by the name of the pair.
        is_new: Whether a cell is among them that was not there before.
        processes: In how many drawings are made at once; 1: in this one.

    Returns:
        What was written, by what it is, and what there is to say about it.

    Raises:
        OutputError: A file cannot be written.
    """
    whole = [one for one in measured if one.error is None]
    can_plot = find_spec("matplotlib") is not None
    wanted = [name for name in OUTPUTS if (whole or name in ("csv", "table"))]
    notes: list[str] = []
    if not can_plot and whole:
        wanted = [name for name in wanted if name not in _PLOTS]
        notes.append("plots need matplotlib and were left out: pip install 'velatura[eval]'")
    files = {name: store.folder / OUTPUTS[name] for name in wanted}
    rows = rows_of(sweep, points, measured)
    _write(files["csv"], as_csv(sweep, measured))
    _write(files["table"], as_markdown(sweep, rows, measured))
    # Drawing takes seconds, and what is there shows the same cells.
    stale = [name for name, path in files.items() if is_new or not path.exists()]
    drawings: dict[str, Callable[[Path], str | None]] = {
        "metrics": partial(plot_metrics, sweep, rows),
        "losses": partial(plot_losses, sweep, store, points, whole),
        "sheet": partial(_draw_sheet, sweep, store, points, whole, sources),
    }
    calls = [partial(draw, files[name]) for name, draw in drawings.items() if name in stale]
    notes += filter(None, in_parallel(calls, processes=processes))
    return {name: path for name, path in files.items() if path.exists()}, tuple(notes)


def _draw_sheet(
    sweep: Sweep,
    store: Store,
    points: Sequence[Point],
    measured: Sequence[Measured],
    sources: Mapping[str, tuple[Path, Path]],
    path: Path,
) -> str | None:
    """Draws the contact sheet; what there is to say about it."""
    sheet, part = contact_sheet(sweep, store, points, measured, sources)
    write_picture(sheet, path)
    return f"the contact sheet shows the first {part}" if part else None


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
