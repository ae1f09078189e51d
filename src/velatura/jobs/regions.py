"""Regions: which paintings go where, as files name them and as pictures hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.engine.regional import Placement
from velatura.imaging import Picture, read_picture
from velatura.jobs.labels import Labels, at_size, is_color, label_masks
from velatura.jobs.masks import (
    LEAST_WHITE,
    check_aspect,
    check_mask,
    check_not_black,
    lightness,
    mask_notes,
    mask_weights,
)
from velatura.jobs.stylization import blend_weights, fingerprint
from velatura.ops.masks import feathered, shares

__all__ = [
    "NONE",
    "REST",
    "Placed",
    "PlacedPictures",
    "Region",
    "Regions",
    "everywhere_but",
    "paintings_of",
    "placed_pictures",
]

REST: Final = "rest"
"""The region of what no other one covers."""
NONE: Final = "none"
"""In the place of a painting: the photograph stays."""

_SAID_ABOVE = 0.02
_PROTECTS = 0.5
# More is left of a region that is covered where it is grey throughout; less is the line around it.
_LEFT = 0.1


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of the photograph with paintings of its own, as files."""

    mask: Annotated[
        Any, Setting("Picture that is white where it is; a colour of the labels, #ff0000; or rest")
    ]
    styles: Annotated[tuple[Any, ...], Setting("Its paintings; none: the photo stays")] = ()
    weights: Annotated[
        tuple[Annotated[float, Ge(0)], ...] | None, Setting("Weight of each; unset: all the same")
    ] = None
    part: Annotated[Any, Setting("Picture that is white where its painting is looked at")] = None

    def __post_init__(self) -> None:
        given: Any = self.styles
        if not isinstance(given, list | tuple):
            object.__setattr__(self, "styles", () if given is None else (given,))
        if self.part is not None and len(self.styles) != 1:
            raise ConfigError(
                f"region {_called(self.mask)}: a mask of the painting goes with one painting, not with "
                f"{len(self.styles)}; leave it out, or give it one"
            )
        if self.weights is not None and len(self.weights) != len(self.styles):
            raise ConfigError(
                f"region {_called(self.mask)} has {len(self.weights)} weights for {len(self.styles)} "
                "paintings; give one for each"
            )


@dataclass(frozen=True, kw_only=True)
class Regions:
    """All of a photograph's regions, as files."""

    regions: Annotated[
        tuple[Region, ...], Setting("Which paintings go where; none: all of them everywhere")
    ] = ()
    labels: Annotated[Any, Setting("Picture with one colour for each region")] = None
    protect: Annotated[Any, Setting("Picture that is white where the photo is to stay")] = None
    feather: Annotated[
        float,
        Interval(ge=0, le=4096),
        Setting("How far the edges of masks fade, to either side", unit="pixels"),
    ] = 0.0

    def __post_init__(self) -> None:
        colors = [one.mask for one in self.regions if _is_label(one.mask)]
        if colors and self.labels is None:
            raise ConfigError(f"region {colors[0]} is a colour, and there are no labels; name the picture")
        if self.labels is not None and not colors:
            raise ConfigError("there are labels, and no region names one of their colours; leave them out")
        if self.feather and not (self.regions or self.protect is not None):
            raise ConfigError("there is no mask to feather; leave feather out")
        if self.regions and not any(one.styles for one in self.regions):
            raise ConfigError("no region has a painting: nothing would be painted; name one")

    @property
    def pictures(self) -> tuple[Any, ...]:
        """The pictures that it reads beside paintings."""
        masks = [one.mask for one in self.regions if not _is_word(one.mask)]
        parts = [one.part for one in self.regions]
        return tuple(each for each in (*masks, *parts, self.labels, self.protect) if each is not None)

    def __bool__(self) -> bool:
        """Whether there is a mask at all."""
        return bool(self.regions) or self.protect is not None


def _called(picture: Any) -> str:
    """How a message names a picture that may have no file."""
    return str(picture) if isinstance(picture, str | Path) else f"of {type(picture).__name__}"


def _is_label(mask: Any) -> bool:
    return isinstance(mask, str) and is_color(mask)


def _is_word(mask: Any) -> bool:
    return isinstance(mask, str) and (mask == REST or is_color(mask))


def paintings_of(regions: Regions, styles: Sequence[Any]) -> tuple[Any, ...]:
    """The paintings of a job: those named outside, then those of regions, each once.

    Raises:
        ConfigError: There are regions, and one of those named outside is in none of them.
    """
    paintings = list(styles)
    named = [style for region in regions.regions for style in region.styles]
    if regions.regions:
        for number, style in enumerate(paintings, start=1):
            if not any(_same(style, other) for other in named):
                called = style if isinstance(style, str) else f"number {number}"
                raise ConfigError(
                    f"style {called} is in no region; give it one, such as {REST}={called} for what no mask "
                    "covers, or leave it out"
                )
    for style in named:
        if not any(_same(style, other) for other in paintings):
            paintings.append(style)
    return tuple(paintings)


def _same(one: Any, other: Any) -> bool:
    are_files = isinstance(one, str | Path) and isinstance(other, str | Path)
    return one is other or (are_files and str(one) == str(other))


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One region, as pictures.

    Args:
        name: What it is called in messages.
        mask: White where it is; a colour of the labels, or ``rest``.
        blend: Weight of each of the job's paintings, summing to 1; all 0: the photograph stays.
        part: What of its painting is looked at.
    """

    name: str
    mask: Picture | str
    blend: tuple[float, ...]
    part: Picture | None = None


@dataclass(frozen=True, kw_only=True)
class PlacedPictures:
    """All regions of a photograph, as pictures."""

    regions: tuple[Placed, ...]
    labels: Picture | None = None
    protect: Picture | None = None
    feather: float = 0.0

    @property
    def has_parts(self) -> bool:
        """Whether a painting is looked at in part."""
        return any(region.part is not None for region in self.regions)

    @property
    def blends(self) -> tuple[tuple[float, ...], ...]:
        """The weights of each region that is painted."""
        return tuple(region.blend for region in self.regions if any(region.blend))

    def placement(self, content: Picture, size: tuple[int, int]) -> tuple[Placement, tuple[str, ...]]:
        """Masks at a size, and what to say of them.

        Raises:
            ConfigError: A mask has other proportions than the photograph, or is black; or nothing is left
                of a region.
        """
        raw, notes = self._masks(content, size)
        kept = self._kept(content, size)
        notes += _overlap_notes(raw, [region.name for region in self.regions])
        soft = None
        if kept is not None:
            soft = feathered(kept, self.feather)
            notes += _fading_notes(kept, soft, self.feather)
        parts = shares(feathered(raw, self.feather), kept=soft)
        painted = [n for n, region in enumerate(self.regions) if any(region.blend)]
        for number in painted:
            covered = kept is not None and _is_covered(raw[number], kept[0])
            if covered or parts[number].max() < LEAST_WHITE:
                raise ConfigError(self._why_gone(self.regions[number]))
        placement = Placement(
            names=tuple(self.regions[n].name for n in painted),
            masks=parts[painted],
            blends=self.blends,
            parts=self._parts(painted),
        )
        return placement, (*notes, *mask_notes(placement.masks))

    def _kept(self, content: Picture, size: tuple[int, int]) -> Tensor | None:
        """What is protected at a size, ``(1, *size)``, as it was drawn; None: nothing is."""
        if self.protect is None:
            return None
        check_aspect("the mask that protects", self.protect, content)
        check_not_black("that protects", self.protect, "where the photograph is to stay")
        return mask_weights([self.protect], size)

    def _why_gone(self, region: Placed) -> str:
        """What to say of a region of which nothing is left."""
        if len(self.regions) == 1 and region.mask == REST:
            return (
                "nothing is left to paint: what is protected covers all of the photograph; make it black "
                "where the painting goes"
            )
        if self.protect is None and region.mask != REST:
            return (
                f"nothing is left of region {region.name} at this size: its white is too small; make it "
                "larger, or choose a larger size"
            )
        return (
            f"nothing is left of region {region.name}: what is protected, or other regions, cover all of it; "
            "leave it out, or make room for it"
        )

    def _parts(self, painted: Sequence[int]) -> dict[tuple[int, int], Tensor]:
        found = {}
        for row, number in enumerate(painted):
            region = self.regions[number]
            if region.part is not None:
                check_not_black(f"of the painting of {region.name}", region.part, "where it is looked at")
                found[row, region.blend.index(max(region.blend))] = lightness(region.part)[0]
        return found

    def _masks(self, content: Picture, size: tuple[int, int]) -> tuple[Tensor, list[str]]:
        """Each region's mask at a size, ``(R, *size)``, as it was drawn."""
        masks = torch.zeros(len(self.regions), *size)
        labels = self._labels(content)
        colors = [region.mask for region in self.regions if _is_label(region.mask)]
        for number, region in enumerate(self.regions):
            if isinstance(region.mask, Picture):
                check_mask(region.name, region.mask, content)
                masks[number] = mask_weights([region.mask], size)[0]
            elif labels is not None and region.mask in colors:
                at = colors.index(region.mask)
                masks[number] = at_size(labels.masks[at : at + 1], size)[0]
        rest = (1 - masks.sum(dim=0)).clamp(0, 1)
        for number, region in enumerate(self.regions):
            if region.mask == REST:
                masks[number] = rest
        return masks, [] if labels is None else list(labels.notes("the label picture"))

    def _labels(self, content: Picture) -> Labels | None:
        if self.labels is None:
            return None
        check_aspect("the label picture", self.labels, content)
        colors = [str(region.mask) for region in self.regions if _is_label(region.mask)]
        return label_masks(self.labels, colors, "the label picture")

    def record(self) -> dict[str, Any]:
        """Hashes of the pictures and what goes where, as JSON can hold it."""
        of_regions = [
            {
                "mask": _print_of(region.mask),
                "blend": list(region.blend),
                "part": _print_of(region.part),
            }
            for region in self.regions
        ]
        return {
            "regions": of_regions,
            "labels": _print_of(self.labels),
            "protect": _print_of(self.protect),
            "feather": self.feather,
        }

    def notes(self) -> Iterator[str]:
        """What reading the masks had to say."""
        masks = [region.mask for region in self.regions]
        parts = [region.part for region in self.regions]
        for picture in (*masks, *parts, self.labels, self.protect):
            if isinstance(picture, Picture):
                yield from (f"{picture.name}: {note}" for note in picture.notes)


def _print_of(picture: Picture | str | None) -> str | None:
    return fingerprint(picture) if isinstance(picture, Picture) else picture


def _is_covered(mask: Tensor, kept: Tensor) -> bool:
    """Whether all of a region is protected, both ``(H, W)`` and without a feather."""
    # Where both fade, a product is above 0, and leaves a line around what is covered.
    left = mask * (1 - kept)
    return bool((mask - kept).max() < LEAST_WHITE) and float(left.sum()) < _LEFT * float(mask.sum())


def _overlap_notes(masks: Tensor, names: Sequence[str]) -> list[str]:
    both = float((masks.sum(dim=0) - 1).clamp_min(0).mean())
    if both <= _SAID_ABOVE:
        return []
    return [
        f"{', '.join(names)}: the masks overlap over {both:.0%} of the photograph, where each has a share"
    ]


def _fading_notes(kept: Tensor, soft: Tensor, feather: float) -> list[str]:
    """What to say of a protection before and after its feather, both ``(1, H, W)``."""
    strongest = float(soft.max())
    if not strongest < _PROTECTS <= float(kept.max()):
        return []
    return [
        f"feathered over {feather:g} pixels, what is protected stays by {strongest:.0%} at most; choose a "
        "smaller feather to keep it"
    ]


def placed_pictures(regions: Regions, paintings: Sequence[Any]) -> PlacedPictures:
    """Reads the pictures of regions.

    Args:
        regions: Files, or pictures in any form.
        paintings: What :func:`paintings_of` gave, in the order of the job's styles.

    Raises:
        ImageError: A mask cannot be read.
        ConfigError: A painting that is not among them, or a region that is named twice.
    """
    placed = []
    for number, region in enumerate(regions.regions, start=1):
        blend = [0.0] * len(paintings)
        for style, weight in zip(region.styles, _weights(region), strict=True):
            at = next((n for n, other in enumerate(paintings) if _same(style, other)), None)
            if at is None:
                raise ConfigError(
                    f"region {_called(region.mask)}: {_called(style)} is not among the styles; add it to them"
                )
            blend[at] += weight
        name = str(region.mask) if isinstance(region.mask, str | Path) else f"number {number}"
        placed.append(
            Placed(name=name, mask=_read(region.mask), blend=tuple(blend), part=_read_or_none(region.part))
        )
    names = [region.name for region in placed]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(
            f"region {twice} is named twice; give its paintings at once: {twice}=one.jpg,other.jpg"
        )
    return PlacedPictures(
        regions=tuple(placed),
        labels=_read_or_none(regions.labels),
        protect=_read_or_none(regions.protect),
        feather=regions.feather,
    )


def _weights(region: Region) -> tuple[float, ...]:
    return blend_weights(region.weights, len(region.styles)) if region.styles else ()


def _read(mask: Any) -> Picture | str:
    if _is_word(mask):
        return str(mask)
    return read_picture(mask) if isinstance(mask, str) else Picture.of(mask)


def _read_or_none(picture: Any) -> Picture | None:
    if picture is None:
        return None
    return read_picture(picture) if isinstance(picture, str) else Picture.of(picture)


def everywhere_but(placed: PlacedPictures, blend: Sequence[float]) -> PlacedPictures:
    """What only protects, with all paintings everywhere else."""
    if placed.regions:
        return placed
    whole = Placed(name="the picture", mask=REST, blend=tuple(blend))
    return replace(placed, regions=(whole,))
