"""What regions are to an optimisation: where its paintings go, and what must be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from velatura.core.errors import ConfigError
from velatura.engine.guides import Guiding
from velatura.engine.method import Optimization
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.regional import Placement, RegionalObjective
from velatura.imaging import Picture
from velatura.jobs.regions import PlacedPictures, everywhere_but
from velatura.jobs.stylization import Stylization, blend_weights

__all__ = ["RegionalRun", "regional_run"]


@dataclass(kw_only=True)
class RegionalRun:
    """One run's regions.

    Args:
        blend: Weight of each painting where there are no regions.
        placement: Where paintings go; None: everywhere.
        record: What goes into the record of the pictures.
        notes: What to say.
    """

    blend: tuple[float, ...]
    placement: Placement | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def check(self, stylizer: OptimizationStylizer) -> None:
        """Notes which layers each region is too small for.

        Raises:
            ConfigError: A region is too small for all of them.
        """
        objective = stylizer.objective
        if self.placement is None or not isinstance(objective, RegionalObjective):
            return
        whole = {
            layer for term in objective.whole_terms.values() if term.of == "style" for layer in term.layers
        }
        for region, layers in objective.missing(self.placement).items():
            if whole and len(layers) == len(whole):
                raise ConfigError(
                    f"region {region} is too small at this size: no layer of the style has a position for "
                    "it; choose a larger size, a larger mask, or guides.mode 'all'"
                )
            if layers:
                self.notes += (f"region {region} is too small for {', '.join(layers)}: left out there",)


def regional_run(
    placed: PlacedPictures | None,
    how: Stylization,
    method: Optimization,
    content: Picture,
    *,
    num_styles: int,
    size: tuple[int, int],
) -> RegionalRun:
    """The regions of an optimisation.

    Args:
        placed: Which paintings go where; None: all of them everywhere.
        how: Settings.
        method: Those of the optimisation.
        content: The photograph.
        num_styles: How many paintings there are.
        size: Height and width of the result.

    Raises:
        ConfigError: Settings that do not fit together, or masks that do not fit the photograph.
    """
    blend = blend_weights(how.blend, num_styles)
    for term in method.terms.values():
        term.blended(blend)
    if placed is None:
        if method.guides != Guiding():
            raise ConfigError("guides say how masks reach the layers, and there is no mask; leave them out")
        return RegionalRun(blend=blend)
    if placed.regions and how.blend is not None:
        raise ConfigError(
            "regions say where each style goes and a blend how much of it; leave one of them out"
        )
    whole = everywhere_but(placed, blend)
    placement, said = whole.placement(content, size)
    run = RegionalRun(
        blend=blend, placement=placement, record=placed.record(), notes=(*placed.notes(), *said)
    )
    if len(placement.blends) == 1 and not placement.parts and bool((placement.masks == 1).all()):
        # One region of everything is no region, and the way without is the faster one.
        return replace(run, blend=placement.blends[0], placement=None)
    return run
