"""How much memory a stylization will take, said before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from velatura.core.progress import OnProgress, Progress
from velatura.engine.footprint import Run, choose_tile, free_memory, measure_footprint
from velatura.engine.optimization import OptimizationStylizer
from velatura.imaging import Picture

__all__ = ["foretell_memory"]

_SHARE = 0.8
"""Of the memory that is free: what is foretold is right to a quarter, and others want some too."""
_SAID_ABOVE = 2**18
"""Pixels of a result that is worth the half second: below, the libraries take more than the picture."""


def foretell_memory(
    stylizer: OptimizationStylizer,
    content: Picture,
    styles: Sequence[Picture],
    size: tuple[int, int],
    *,
    saved: bool,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Says, as a message of step 0, how much memory the run takes, and how much is free.

    Where the picture does not fit into what is free, and no tile was asked for, the largest that fits is
    chosen.

    Args:
        stylizer: What will run.
        content: The photograph.
        styles: The paintings.
        size: Height and width of the result.
        saved: Whether checkpoints are written.
        on_progress: Who is told.

    Returns:
        ``{"memory": {"predicted_mib": ..., "free_mib": ..., "tile": ...}}`` for the record: of the process
        on a processor, of the card on a card. Empty where the picture is so small that nothing is said.

    Raises:
        ConfigError: There is not enough memory whatever the tile.
    """
    if math.prod(size) <= _SAID_ABOVE:
        return {}
    free = free_memory(stylizer.device)
    footprint = measure_footprint(stylizer, size=size, num_styles=len(styles))
    run = run_of(stylizer, content, styles, size, saved=saved)
    tile = stylizer.method.tile
    if tile is None and stylizer.objective.works_in_tiles:
        tile = choose_tile(
            footprint,
            run,
            room=footprint.base + _SHARE * free,
            most=footprint.base + free,
            least=stylizer.objective.needs.least_edge,
        )
        stylizer.objective.edge = tile
    predicted = footprint.peak(run, tile=None if tile is None else tile**2)
    in_tiles = "" if tile is None else f", in tiles of {tile} pixels"
    on_progress(
        Progress(
            step=0,
            steps=run.steps,
            scales=len(run.scales),
            size=run.scales[0].size,
            message=f"about {_gib(predicted)} of memory{in_tiles}, {_gib(free)} free",
        )
    )
    foretold = {"predicted_mib": round(predicted / 2**20), "free_mib": round(free / 2**20), "tile": tile}
    return {"memory": foretold}


def run_of(
    stylizer: OptimizationStylizer,
    content: Picture,
    styles: Sequence[Picture],
    size: tuple[int, int],
    *,
    saved: bool,
) -> Run:
    """What a run passes through: see :func:`foretell_memory`."""
    return Run(
        scales=stylizer.scales(size),
        photo=content.height * content.width,
        paintings=[math.prod(stylizer.looked_at(style.pixels, size, size)) for style in styles],
        saved=saved,
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
