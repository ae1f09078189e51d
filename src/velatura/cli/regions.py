"""The options that say which paintings go where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from velatura.core.errors import ConfigError, counted
from velatura.jobs.regions import NONE, Region, Regions
from velatura.jobs.schema import build, help_of

__all__ = ["feather_option", "labels_option", "parse_region", "protect_option", "regions_of", "split_masks"]

_FORM = "expected MASK=PAINTING, such as sky.png=night.jpg or sky.png:part.png=one.jpg*0.7,other.jpg*0.3"


def labels_option(panel: str) -> Any:
    """``--labels``."""
    text = f"{help_of(Regions, 'labels')}; its regions: --mask '#ff0000=painting.jpg'"
    return typer.Option("--labels", metavar="FILE", help=text, rich_help_panel=panel)


def protect_option(panel: str) -> Any:
    """``--protect``."""
    return typer.Option("--protect", metavar="FILE", help=help_of(Regions, "protect"), rich_help_panel=panel)


def feather_option(panel: str) -> Any:
    """``--feather``."""
    return typer.Option(
        "--feather", metavar="PIXELS", help=help_of(Regions, "feather"), rich_help_panel=panel
    )


def split_masks(masks: Sequence[str]) -> tuple[tuple[Region, ...], tuple[str, ...]]:
    """Those that name their paintings, and those that are in the order of the styles.

    Raises:
        ConfigError: There are some of each.
    """
    placed = tuple(parse_region(mask) for mask in masks if "=" in mask)
    plain = tuple(mask for mask in masks if "=" not in mask)
    if placed and plain:
        raise ConfigError(
            f"--mask {plain[0]} names no painting, and others do; write {plain[0]}=PAINTING, or none of them"
        )
    return placed, plain


def regions_of(
    placed: Sequence[Region],
    plain: Sequence[str],
    styles: Sequence[str],
    *,
    labels: str | None,
    protect: str | None,
    feather: float | None,
) -> Regions:
    """All regions of a job.

    Args:
        placed: Regions with their paintings.
        plain: Masks in the order of the styles, of an optimisation.
        styles: The paintings named on the command line.
        labels: The label picture.
        protect: Where the photograph stays.
        feather: How far edges fade, in pixels.

    Raises:
        ConfigError: Not as many masks as styles, or options that do not fit together.
    """
    if plain and len(plain) != len(styles):
        raise ConfigError(
            f"{counted(len(plain), 'mask')} for {counted(len(styles), 'painting')}; give one for each, or "
            f"name them: --mask {plain[0]}=PAINTING"
        )
    in_order = tuple(Region(mask=mask, styles=(style,)) for mask, style in zip(plain, styles, strict=False))
    given = {"regions": (*placed, *in_order), "labels": labels, "protect": protect, "feather": feather}
    return build(Regions, {name: value for name, value in given.items() if value is not None})


def parse_region(text: str) -> Region:
    """``MASK[:PART]=PAINTING[*WEIGHT][,PAINTING[*WEIGHT]...]`` as a region.

    Raises:
        ConfigError: It has not this form.
    """
    where, equals, what = text.partition("=")
    if not equals or not where or not what:
        raise ConfigError(f"{_FORM}, or MASK={NONE}, not {text!r}")
    mask, part = _divided(where)
    if what == NONE:
        if part is not None:
            raise ConfigError(
                f"{text!r}: where the photograph stays no painting is looked at; leave out {part}"
            )
        return Region(mask=mask)
    weighed = [_weighed(one, text) for one in what.split(",")]
    given = [weight for _, weight in weighed if weight is not None]
    if given and len(given) < len(weighed):
        raise ConfigError(
            f"{text!r} gives {len(given)} weights for {len(weighed)} paintings; give one for each"
        )
    return Region(
        mask=mask, styles=tuple(name for name, _ in weighed), weights=tuple(given) or None, part=part
    )


def _divided(where: str) -> tuple[str, str | None]:
    """The mask, and that of the painting."""
    # Not the colon behind the letter of a drive.
    at = where.find(":", 2)
    return (where, None) if at < 0 else (where[:at], where[at + 1 :] or None)


def _weighed(text: str, whole: str) -> tuple[str, float | None]:
    name, star, weight = text.rpartition("*")
    if not star:
        name, weight = text, ""
    try:
        value = float(weight) if star else None
    except ValueError:
        raise ConfigError(f"{whole!r}: expected a number behind '*', not {weight!r}") from None
    if not name:
        raise ConfigError(f"{_FORM}, not {whole!r}")
    return name, value
