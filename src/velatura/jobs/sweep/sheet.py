"""The contact sheet: every picture of a sweep at its place in the grid."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture
from velatura.imaging.sheet import labelled_sheet
from velatura.jobs.sweep.grid import Point, short_name
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, Store
from velatura.ops.resize import fit, resize

__all__ = ["contact_sheet"]

_EDGE = 224
_SOURCES = ("photograph", "painting")
_MOST_ROWS, _MOST_COLUMNS = 24, 16


def contact_sheet(
    sweep: Sweep,
    store: Store,
    points: Sequence[Point],
    measured: Sequence[Measured],
    sources: Mapping[str, tuple[Path, Path]],
) -> tuple[Picture, str]:
    """The pictures of the first seed: the last axis to the right, pairs and the other axes downwards.

    Photograph and painting stand first, no larger than the largest result, but for one that cannot be
    read; under each picture stands its first metric.

    Args:
        sweep: What was varied.
        store: Where the pictures are.
        points: In their order.
        measured: Cells that have a picture, one at least.
        sources: Photograph and painting by the name of the pair.

    Returns:
        The sheet, and how much of the grid it shows, in words; empty where it shows all.
    """
    metric = next(iter(sweep.evaluation.metrics))
    first: dict[tuple[str, str], Measured] = {}
    for one in measured:
        first.setdefault((_row(sweep, one.pair, one.labels), _column(sweep, one.labels)), one)
    columns = list(dict.fromkeys(_column(sweep, point.labels) for point in points))
    pair_of = {_row(sweep, pair.name, point.labels): pair.name for pair in sweep.pairs for point in points}
    rows = list(pair_of)
    shown_rows, shown_columns = rows[:_MOST_ROWS], columns[:_MOST_COLUMNS]
    shown = {at: one for at, one in first.items() if at[0] in shown_rows and at[1] in shown_columns}
    pictures = {at: _within(store.picture(one.key), _EDGE, _EDGE) for at, one in shown.items()}
    height = max((picture.height for picture in pictures.values()), default=_EDGE)
    width = max((picture.width for picture in pictures.values()), default=_EDGE)
    small = {pair: _readable(sources[pair], height, width) for pair in {pair_of[row] for row in shown_rows}}
    for row in shown_rows:
        pictures |= {(row, name): picture for name, picture in small[pair_of[row]].items()}
    sheet = labelled_sheet(
        pictures,
        rows=shown_rows,
        columns=[*_SOURCES, *shown_columns],
        captions={at: f"{metric} {one.values.get(metric, float('nan')):.3g}" for at, one in shown.items()},
    )
    is_whole = shown_rows == rows and shown_columns == columns
    part = f"{len(shown_rows)} of {len(rows)} rows and {len(shown_columns)} of {len(columns)} columns"
    return sheet, "" if is_whole else part


def _column(sweep: Sweep, labels: Mapping[str, str]) -> str:
    """What varies to the right: the last axis, or all where they are paired."""
    named = [(axis.name, labels[axis.name]) for axis in sweep.axes]
    return ", ".join(_named(*one) for one in (named[-1:] if sweep.combination == "crossed" else named))


def _row(sweep: Sweep, pair: str, labels: Mapping[str, str]) -> str:
    """What varies downwards; each part goes on a line of its own."""
    others = sweep.axes[:-1] if sweep.combination == "crossed" else ()
    return "+".join([pair, *(_named(axis.name, labels[axis.name]) for axis in others)])


def _named(axis: str, label: str) -> str:
    """``style weight = 100``: the end of a dotted name is enough beside its value."""
    return f"{short_name(axis)} = {label}"


def _readable(files: tuple[Path, Path], height: int, width: int) -> dict[str, Picture]:
    """Photograph and painting under their names, without one that cannot be read."""
    found = {}
    for name, file in zip(_SOURCES, files, strict=True):
        with contextlib.suppress(ImageError):
            found[name] = _within(file, height, width)
    return found


def _within(path: Path, height: int, width: int) -> Picture:
    """A picture, made smaller where it is higher or wider than that."""
    picture = read_picture(path)
    factor = min(height / picture.height, width / picture.width)
    if factor >= 1:
        return picture
    long_edge = max(1, round(factor * max(picture.height, picture.width)))
    size = fit(picture.height, picture.width, long_edge)
    return Picture(pixels=resize(picture.pixels[None], size)[0].clamp(0, 1))
