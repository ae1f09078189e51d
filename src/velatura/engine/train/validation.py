"""Validation: the loss of held-out pictures, and one picture that shows what the network makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from velatura.engine.train.data import Batch
from velatura.engine.train.trainer import Trainer
from velatura.networks import Style

__all__ = ["HeldOut", "contact_sheet"]

_MOST = 4
_GAP = 4


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Pictures that only validate: the same at every validation.

    Args:
        contents: Photographs, ``(N, 3, H, W)`` uint8.
        styles: Paintings, ``(M, 3, H, W)`` uint8, for a network of any style; else None.
        num_styles: Paintings of a network of many; 0 for others.
    """

    contents: Tensor
    styles: Tensor | None = None
    num_styles: int = 0

    def batches(self, size: int) -> list[Batch]:
        """All photographs, ``size`` at a time, each with the next of the styles."""
        numbers = torch.arange(len(self.contents))
        return [
            Batch(
                contents=self.contents[some],
                styles=None if self.styles is None else self.styles[some % len(self.styles)],
                chosen=some % self.num_styles if self.num_styles else None,
            )
            for some in torch.split(numbers, size)
        ]


def contact_sheet(trainer: Trainer, held_out: HeldOut) -> Tensor:
    """A few photographs, each a row, in a few styles, each a column, below the paintings.

    Returns:
        ``(3, H, W)`` in [0, 1], on the CPU.
    """
    contents = trainer.pixels(held_out.contents[:_MOST])
    size = (contents.shape[-2], contents.shape[-1])
    paintings, styles = _styles(trainer, held_out)
    columns = [contents, *(trainer.stylized(contents, style) for style in styles)]
    heads = [torch.ones(3, *size), *(_thumbnail(painting, size) for painting in paintings)]
    rows = [heads, *([column[row] for column in columns] for row in range(len(contents)))]
    return _grid([[cell.float().cpu() for cell in row] for row in rows])


def _styles(trainer: Trainer, held_out: HeldOut) -> tuple[list[Tensor], list[Style | None]]:
    """Paintings, each ``(1, 3, h, w)``, with what the network is to know of each."""
    network = trainer.averaged
    if held_out.styles is not None:
        squares = [trainer.pixels(square[None]) for square in held_out.styles[:_MOST]]
        with torch.no_grad():
            return squares, [network.encode(square) for square in squares]
    paintings = list(trainer.paintings[:_MOST])
    if network.styles == "one":
        return paintings, [None]
    count, first = network.num_styles, trainer.first_style(network)
    weights = [[float(at == first + index) for at in range(count)] for index in range(len(paintings))]
    return paintings, [network.choose(row) for row in weights]


def _thumbnail(painting: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(painting, size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _grid(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Cells of one size with white between them."""
    lines = [torch.cat([functional.pad(cell, (0, _GAP, 0, 0), value=1.0) for cell in row], 2) for row in rows]
    sheet = torch.cat([functional.pad(line, (0, 0, 0, _GAP), value=1.0) for line in lines], 1)
    return sheet[:, :-_GAP, :-_GAP]
