"""Style transfer by one pass of a trained network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from velatura.core.config import Idle, Setting
from velatura.core.errors import Cancelled
from velatura.core.progress import OnProgress, Progress, never, silent
from velatura.engine.outcome import Outcome
from velatura.engine.precision import Precision, laid_out
from velatura.engine.regions import Regions, regions
from velatura.engine.tiles import GRID, largest_whole, margin, stylize_in_tiles
from velatura.networks import Network, Style, blend_styles
from velatura.ops.resize import fit, resize, resize_within

__all__ = ["MOST_OF_A_STYLE", "NetworkStylizer", "OnePass"]

_ALWAYS_WHOLE = 2**20
"""Pixels of a picture that no memory is too small for: it is not asked."""

_LEAST_INSIDE = 256
"""Pixels of a tile within its margins, where the memory would allow less."""

MOST_OF_A_STYLE = 1024
"""Longer edge that a painting is looked at, in pixels at most: its statistics hardly change above."""


@dataclass(frozen=True, kw_only=True)
class OnePass:
    """A trained network, and how it is used."""

    model: Annotated[str, Setting("Trained network: a name, a file, or the folder of its run")]
    styles: Annotated[
        tuple[str, ...], Setting("Which of the network's own styles; none: all, as they are blended")
    ] = ()
    alpha: Annotated[
        float,
        Interval(ge=0, le=1),
        Setting("How much of the style: at 0 the photo, as the network gives it back"),
    ] = 1.0
    masks: Annotated[
        tuple[str, ...],
        Setting(
            "Picture for each style that is white where the style goes; the photo stays where all are black"
        ),
    ] = ()
    tile: Annotated[
        int | None,
        Ge(GRID),
        Setting("Longest edge computed at once; unset: as the memory that is free allows", unit="pixels"),
    ] = None
    overlap: Annotated[
        int | None,
        Ge(0),
        Setting("How far tiles reach into each other; unset: as far as the network sees", unit="pixels"),
        Idle("tile", (None,)),
    ] = None


class NetworkStylizer:
    """One network, ready for pictures.

    Args:
        network: In evaluation, on the device to compute on.
        precision: What it computes in.
        alpha: How much of the style, from 0 to 1.
        tile: Longest edge that is computed at once, in pixels; None: what the free memory allows.
        overlap: How far tiles reach into each other, in pixels; None: as far as the network sees.
    """

    def __init__(
        self,
        network: Network,
        *,
        precision: Precision,
        alpha: float = 1.0,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> None:
        self.network = laid_out(network, precision.memory_format)
        self.precision, self.alpha = precision, alpha
        self.tile, self.overlap = tile, overlap
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def __call__(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        *,
        blends: Sequence[Sequence[float]],
        size: tuple[int, int],
        masks: Tensor | None = None,
        on_progress: OnProgress = silent,
        cancelled: Callable[[], bool] = never,
    ) -> Outcome:
        """Paints ``content`` in the style of ``styles``, or in the network's own.

        Args:
            content: The photograph, ``(3, H, W)`` in [0, 1].
            styles: Paintings, each ``(3, h, w)`` in about [0, 1], for a network that takes any; else none.
            blends: Weight of each painting, or of each of the network's own styles, which sum to 1: once, or
                once for each mask.
            size: Height and width of the result, in pixels.
            masks: Where each blend goes, ``(N, *size)`` in [0, 1], as :func:`regions` takes them;
                None: there is one, everywhere.
            on_progress: Told of every tile.
            cancelled: Asked before every tile.

        Raises:
            ConfigError: The picture does not fit into memory, and the network does not work in tiles.
            Cancelled: Cancelled before the last tile: there is no picture to return.
        """
        pictures = resize(content[None], size).clamp(0, 1).contiguous(memory_format=self._layout)
        with self.precision.autocast(self.device):
            given = self._styles(styles, blends, pictures)
            at = None if masks is None else regions(given, masks)
            pixels = self._passed(pictures, given[0], at, on_progress, cancelled)
        if at is not None:
            pixels = at.with_photograph(pixels.clamp(0, 1), pictures.to(pixels))
        return Outcome(pixels=pixels[0].clamp(0, 1).cpu().contiguous(), history=[], interrupted=False)

    @property
    def _layout(self) -> torch.memory_format:
        return self.precision.memory_format

    def _styles(
        self, paintings: Sequence[Tensor], blends: Sequence[Sequence[float]], pictures: Tensor
    ) -> list[Style | None]:
        """What the network is to know of each blend."""
        if self.network.styles == "one":
            return [None for _ in blends]
        if self.network.styles == "many":
            return [self.network.choose(blend) for blend in blends]
        known = [self._known(painting, pictures) for painting in paintings]
        return [blend_styles(known, blend) for blend in blends]

    def _known(self, painting: Tensor, pictures: Tensor) -> Style:
        """What the network knows of a painting, which is as large as the photograph, as far as that helps."""
        edge = min(max(pictures.shape[2:]), MOST_OF_A_STYLE)
        small = resize_within(painting[None], fit(painting.shape[1], painting.shape[2], edge))
        return self.network.encode(small.to(self.device).contiguous(memory_format=self._layout))

    def _passed(
        self,
        pictures: Tensor,
        style: Style | None,
        at: Regions | None,
        on_progress: OnProgress,
        cancelled: Callable[[], bool],
    ) -> Tensor:
        size = (pictures.shape[2], pictures.shape[3])
        if self._fits(size, style):
            if cancelled():
                raise Cancelled("interrupted before the network ran")
            shown = pictures.to(self.device)
            given: Tensor = (
                self.network(shown, style, alpha=self.alpha)
                if at is None
                else at.painted(self.network, shown, alpha=self.alpha)
            )
            on_progress(Progress(step=1, steps=1, size=size))
            return given.float()
        overlap = margin(self.network, style, overlap=self.overlap)
        edge = self.tile
        if edge is None:
            edge = max(int(largest_whole(self.network, style) ** 0.5), 2 * overlap + _LEAST_INSIDE)
        return stylize_in_tiles(
            self.network,
            pictures,
            style,
            alpha=self.alpha,
            edge=edge,
            overlap=overlap,
            regions=at,
            on_tile=lambda done, count: on_progress(Progress(step=done, steps=count, size=size)),
            cancelled=cancelled,
        )

    def _fits(self, size: tuple[int, int], style: Style | None) -> bool:
        """Whether the whole picture is computed at once."""
        if self.tile is not None:
            return max(size) <= self.tile
        if size[0] * size[1] <= _ALWAYS_WHOLE:
            return True
        return size[0] * size[1] <= largest_whole(self.network, style)
