"""The settings of an optimisation: what it is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Interval

from velatura.backbones import BackboneConfig
from velatura.core.config import Idle, PartOf, Setting
from velatura.core.errors import ConfigError
from velatura.engine.descent import Iterates
from velatura.engine.guides import Guiding
from velatura.engine.objective import Term
from velatura.engine.pyramid import Pyramid
from velatura.engine.tiled import TileStatistics
from velatura.initializations import Initialization, initializations
from velatura.ops.resize import fit
from velatura.optimizers import ImageOptimizer, optimizers

__all__ = ["FineStyle", "Optimization"]

_MOST_OF_THE_CANVAS = 2
"""Pixels of a painting over those of the canvas, where both are of one scale."""


@dataclass(frozen=True, kw_only=True)
class FineStyle:
    """How the fine texture of one painting is laid onto another (Gatys et al. 2017, section 6)."""

    until: Annotated[str, Setting("Deepest layer of the style that is taken from the fine painting")] = (
        "relu2_1"
    )
    steps: Annotated[int, Ge(1), Setting("Steps that lay it onto the other painting")] = 50


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """What an optimisation is made of."""

    backbone: Annotated[BackboneConfig, Setting("Network whose feature maps are compared")] = field(
        default_factory=BackboneConfig
    )
    terms: Annotated[Mapping[str, Term], Setting("The objective: weighted terms by name")]
    initialization: Annotated[Initialization, PartOf(initializations), Setting("Where the canvas starts")]
    optimizer: Annotated[ImageOptimizer, PartOf(optimizers), Setting("How the canvas moves")]
    pyramid: Annotated[Pyramid, Setting("Scales from coarse to fine")] = field(default_factory=Pyramid)
    iterates: Annotated[Iterates, Setting("What becomes of the canvases on the way")] = field(
        default_factory=Iterates
    )
    style_scale: Annotated[
        float,
        Interval(gt=0, le=16),
        Setting("Longer edge of the painting over that of the canvas: larger strokes above 1"),
    ] = 1.0
    style_size: Annotated[
        int | None,
        Interval(ge=1, le=2**16),
        Setting("Longer edge that the painting is looked at beside the finished canvas", unit="pixels"),
    ] = None
    fine: Annotated[FineStyle, Setting("How a fine style is laid onto the painting")] = field(
        default_factory=FineStyle
    )
    detail: Annotated[
        float,
        Ge(0),
        Setting("Most energy of the finest detail, over the painting's, but in regions; 0: as it comes"),
    ] = 0.0
    guides: Annotated[Guiding, Setting("How masks reach the layers")] = field(default_factory=Guiding)
    tile: Annotated[
        int | None,
        Ge(1),
        Setting("Longest edge computed at once; unset: all, or less if memory runs out", unit="pixels"),
    ] = None
    tile_statistics: Annotated[
        TileStatistics,
        Setting(
            "Statistics that each tile is compared by: exact takes two passes over the picture; last-step "
            "one, against those of the step before"
        ),
        Idle("tile", (None,)),
    ] = "exact"

    def __post_init__(self) -> None:
        if self.style_size is not None and self.style_scale != 1:
            raise ConfigError(
                "style_size and style_scale both say how large the painting is looked at; leave one out"
            )
        for name, term in self.terms.items():
            if term.of == "transfer":
                raise ConfigError(
                    f"term {name!r} is of 'transfer', which only a network in training has; "
                    "take its target from content or style"
                )

    def looked_at(
        self, painting: tuple[int, int], canvas: tuple[int, int], finished: tuple[int, int]
    ) -> tuple[int, int]:
        """Height and width that a painting is looked at beside a canvas.

        Its longer edge is ``style_scale`` times the canvas's. Beside a panorama that would be many more
        pixels than the canvas has: of a painting that would have more than twice the canvas's, times
        ``style_scale`` squared, the edge is the one that makes it exactly so many. ``style_size`` is taken
        as it is.

        Args:
            painting: Its own height and width.
            canvas: Height and width of the canvas.
            finished: Those of the canvas that it is on the way to.
        """
        if self.style_size is not None:
            return fit(*painting, max(1, round(self.style_size * max(canvas) / max(finished))))
        height, width = fit(*painting, round(max(canvas) * self.style_scale))
        most = _MOST_OF_THE_CANVAS * math.prod(canvas) * self.style_scale**2
        if height * width <= most:
            return height, width
        return fit(*painting, max(1, math.floor(math.sqrt(most * max(painting) / min(painting)))))
