"""Where the tiles of an optimisation lie: each counts positions of its own, and reads what those see.

Tiles meet at multiples of the stride of the deepest layer, so that every position of every layer belongs to
one tile, and stands for the same pixels in it as in the whole. A tile reads as far around as its own
positions see. The picture's own edges are its edges too, where padding is that of the whole; elsewhere the
positions that padding reaches are not its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError

__all__ = ["PictureTile", "Sight", "Span", "picture_tiles", "sight"]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What the layers of an objective ask of a tile, in pixels.

    Args:
        grid: Tiles meet at its multiples.
        before: What is read before the first of a tile's own pixels, at least.
        after: What is read after the last, at least.
        smallest: Shortest edge that the backbone takes.
    """

    grid: int
    before: int
    after: int
    smallest: int

    @property
    def least_edge(self) -> int:
        """Shortest edge of a tile within the picture, with what it reads around."""
        return max(self._margins + self.grid, _up(self.smallest, self.grid))

    @property
    def before_in_cells(self) -> int:
        """The same as ``before``, in cells of the grid."""
        return -(-self.before // self.grid)

    @property
    def after_in_cells(self) -> int:
        """The same as ``after``, in cells of the grid."""
        return -(-max(0, self.after) // self.grid)

    @property
    def _margins(self) -> int:
        return (self.before_in_cells + self.after_in_cells) * self.grid

    def inner(self, edge: int) -> int:
        """How many own pixels a tile has that reads ``edge``.

        Raises:
            ConfigError: None at all.
        """
        if edge < self.least_edge:
            raise ConfigError(
                f"a tile of {edge} pixels is smaller than what the deepest layer sees; choose at least "
                f"{self.least_edge} (2 or 3 times as much costs less time), or leave it out"
            )
        return (edge - self._margins) // self.grid * self.grid


@dataclass(frozen=True, kw_only=True)
class Span:
    """One tile along one direction, in pixels of the whole.

    Args:
        own: The pixels whose positions it counts.
        read: What it is shown; it begins at a multiple of the grid.
        ends: Whether the picture ends with it.
    """

    own: slice
    read: slice
    ends: bool

    def positions(self, stride: int, length: int) -> tuple[slice, int]:
        """Own positions of a layer, within the tile's map of ``length``, and where that map begins."""
        offset = self.read.start // stride
        start = min(self.own.start // stride - offset, length)
        stop = length if self.ends else min(self.own.stop // stride - offset, length)
        return slice(start, max(start, stop)), offset


@dataclass(frozen=True, kw_only=True)
class PictureTile:
    """A part of a picture: its span along rows, and along columns."""

    rows: Span
    columns: Span

    @property
    def read(self) -> tuple[slice, slice]:
        """What is shown of the picture."""
        return self.rows.read, self.columns.read


def sight(backbone: Backbone, layers: Collection[str], *, beyond: int = 0) -> Sight:
    """What tiles must be for these layers.

    Args:
        backbone: Knows each layer's stride, receptive field and padding.
        layers: What is read of it; none: the picture alone.
        beyond: Positions after its own that a loss reads, at most.
    """
    shapes = [backbone.shapes[layer] for layer in backbone.check_layers(layers)]
    grid = math.lcm(1, *(shape.stride for shape in shapes))
    before, after = 0, beyond
    for shape in shapes:
        # Where nobody says on which side a position sees more, it may be either.
        padding = shape.padding
        before = max(before, shape.receptive_field - 1 if padding is None else padding)
        behind = shape.receptive_field - shape.stride - (0 if padding is None else padding)
        after = max(after, behind + beyond * shape.stride)
    return Sight(grid=grid, before=before, after=after, smallest=backbone.smallest_input(layers))


def picture_tiles(size: tuple[int, int], *, edge: int, needs: Sight) -> list[PictureTile]:
    """Tiles that together are the whole, and read parts of one size.

    Maps of one size leave no gaps behind that those of the next do not fit into: of 608 pixels at 2048, tiles
    of many sizes took a third more memory, and a tenth more time.

    Args:
        size: Height and width of the whole.
        edge: Pixels that a tile reads along either direction, at most.
        needs: What :func:`sight` gives.

    Raises:
        ConfigError: Tiles of that edge would have no pixels of their own.
    """
    rows, columns = (list(_spans(length, edge, needs)) for length in size)
    return [PictureTile(rows=row, columns=column) for row in rows for column in columns]


def _spans(length: int, edge: int, needs: Sight) -> Iterator[Span]:
    if length <= edge:
        yield Span(own=slice(0, length), read=slice(0, length), ends=True)
        return
    grid, before, after = needs.grid, needs.before_in_cells, needs.after_in_cells
    cells, margins = -(-length // grid), before + after
    count = -(-(cells - margins) // (needs.inner(edge) // grid))
    # All read as much, but that the last ends with the picture: what one leaves behind fits the next.
    shown = max(-(-(cells + (count - 1) * margins) // count), -(-needs.smallest // grid))
    firsts = [number * (cells - shown) // (count - 1) for number in range(count)]
    firsts[-1] = min(firsts[-1], (length - needs.smallest) // grid)
    borders = [0, *(first + shown - after for first in firsts[:-1]), cells]
    for first, (start, stop) in zip(firsts, pairwise(borders), strict=True):
        last = length if stop == cells else (first + shown) * grid
        yield Span(
            own=slice(start * grid, min(stop * grid, length)),
            read=slice(first * grid, last),
            ends=stop == cells,
        )


def _up(pixels: int, grid: int) -> int:
    """The next multiple of the grid."""
    return -(-max(0, pixels) // grid) * grid
