"""Pieces of the painting itself, laid where the photograph's features ask for them.

A decoder of a few convolutions does not know how this painting is painted; the painting does. So each
position of a deep layer looks for the place in the painting whose features are most like its own (Chen and
Schmidt 2016, *Fast patch-based style transfer of arbitrary style*; matched after the statistics were
exchanged, as in Sheng et al. 2018, *Avatar-Net*) and whose colours are (Hertzmann et al. 2001, *Image
analogies*), and takes the pixels there. Neighbours that can be neighbours in the painting too are preferred
(Ashikhmin 2001, *Synthesizing natural textures*): a sky is then made of parts of a painted sky, and not of
one stroke repeated. What is coarser than the pieces stays the photograph's, in the painting's colours, so
that the pieces do not show as steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.networks.base import PIECES, Style

__all__ = ["Collage"]

_WINDOW = 3
_COLOURS = 0.5
"""What the colours weigh, in contrasts of the painting, beside features of length 1."""
_CELLS = 2
"""Means of the colours that are compared, along an edge of a position."""
_BONUS = 0.2
"""What a neighbour's consent weighs."""
_ROUNDS = 4
_TASTE = 0.6
"""How far a position's own taste moves what it asks for, where 1 is as much as the features say."""
_WHIM = 3000.0
"""How fast tastes change with the features."""
_PERIOD = 4
"""Positions after which tastes repeat where nothing changes: no more than the grid that tiles begin at."""
_MOST_SCORES = 2**24
"""Comparisons that are held at once: 64 MiB."""
_LEAST_CONTRAST = 0.02
_BESIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Collage(nn.Module):
    """The search, and the laying of what was found.

    Features are compared by what random directions see of 3x3 positions (Johnson and Lindenstrauss 1984): a
    tenth of the numbers, and nearly the same order. The directions are drawn with the weights and kept with
    them. To the distance of the features that of the colours is added, in four parts of a position.

    Args:
        channels: Of the layer that is compared.
        stride: Its pixels from one position to the next.
        directions: Numbers that a place is compared by.
    """

    directions: Tensor
    phases: Tensor
    share: Tensor

    def __init__(self, channels: int, stride: int, directions: int) -> None:
        super().__init__()
        self.stride = stride
        basis = torch.linalg.qr(torch.randn(channels * _WINDOW**2, directions)).Q
        self.register_buffer("directions", basis.T.reshape(directions, channels, _WINDOW, _WINDOW).clone())
        self.register_buffer("phases", 2 * math.pi * torch.rand(directions, _PERIOD, _PERIOD))
        # Of a piece, by pixel: with that of the next one, a stride further, it makes 1.
        share = torch.sin(math.pi * (torch.arange(2 * stride) + 0.5) / (2 * stride)).square()
        self.register_buffer("share", share, persistent=False)

    def encode(self, painting: Tensor, features: Tensor) -> dict[str, Tensor]:
        """What is known of a painting, as entries of a style.

        Args:
            painting: ``(B, 3, h, w)``, whose edges are multiples of the stride.
            features: Of the layer, each channel of mean 0 and deviation 1, ``(B, C, h/stride, w/stride)``.
        """
        contrast = painting.flatten(1).std(dim=1) + _LEAST_CONTRAST
        keys = self._keys(features, painting, contrast)
        # Of the squared distance, what depends on the painting alone; its partner in the photograph is 1.
        half_square = keys.square().sum(dim=1, keepdim=True) / 2
        return {
            f"{PIECES}0.keys": torch.cat([keys, -half_square], dim=1),
            f"{PIECES}0.contrast": contrast,
            f"{PIECES}0.pixels": self._blocks(painting),
            f"{PIECES}0.share": painting.new_ones(1),
        }

    def _keys(self, features: Tensor, colours: Tensor, contrast: Tensor) -> Tensor:
        """What a position is compared by, ``(B, directions + 3 cells^2, H, W)``."""
        padded = functional.pad(features, (_WINDOW // 2,) * 4, mode="replicate")
        seen = functional.normalize(functional.conv2d(padded, self.directions.to(features)), dim=1)
        cells = functional.avg_pool2d(colours, self.stride // _CELLS)
        scale = _COLOURS / (_CELLS * contrast[:, None, None, None])
        return torch.cat([seen, (functional.pixel_unshuffle(cells, _CELLS) * scale).to(seen)], dim=1)

    def _blocks(self, painting: Tensor) -> Tensor:
        """Squares half a stride off: four of them are the piece around a position, twice as wide.

        ``(B, 3 stride^2, H + 1, W + 1)``.
        """
        padded = functional.pad(painting, (self.stride // 2,) * 4, mode="replicate")
        return functional.pixel_unshuffle(padded, self.stride)

    def forward(self, features: Tensor, style: Style, colours: Tensor) -> Tensor:
        """The collage of a style; of a blend, the sum of theirs by share.

        Args:
            features: Of the photograph, carried over to the painting's statistics, ``(B, C, H, W)``.
            style: With the entries of :meth:`encode`.
            colours: The photograph in the painting's colours, ``(B, 3, H * stride, W * stride)``. It takes
                the share that no painting has.
        """
        left = torch.ones(1, dtype=colours.dtype, device=colours.device)
        whole = torch.zeros_like(colours)
        for known, contrast, blocks, share in _sources(style):
            keys = self._keys(features, colours, contrast)
            laid = self._laid(self._found(keys, known), blocks)
            toned = laid + self._coarse(colours - laid)
            whole = whole + share * (toned + self._nothing(keys))
            left = left - share
        return whole + left * colours

    def _coarse(self, picture: Tensor) -> Tensor:
        """What is coarser than about three positions, ``(B, 3, H, W)`` to the same shape."""
        means = functional.pad(functional.avg_pool2d(picture, self.stride), (1, 1, 1, 1), mode="replicate")
        smooth = functional.avg_pool2d(means, 3, stride=1)
        return functional.interpolate(smooth, scale_factor=float(self.stride), mode="bilinear")

    def _nothing(self, keys: Tensor) -> Tensor:
        """0 at each pixel, and not a number where keys that it may depend on are none.

        So tiles can measure how far a network sees; a place that was chosen shows no trace of them.
        """
        nothing = (0 * keys).sum(dim=1, keepdim=True)
        for _ in range(_ROUNDS + 3):  # Three times for pieces that reach over, and for what is coarse.
            nothing = functional.avg_pool2d(functional.pad(nothing, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return nothing.repeat_interleave(self.stride, dim=2).repeat_interleave(self.stride, dim=3)

    def _found(self, keys: Tensor, known: Tensor) -> Tensor:
        """Row and column in the painting for each position, ``(B, 2, H, W)``, as float32.

        In flat parts, where all positions ask for nearly the same, their tastes make them ask for different
        things. A taste follows from the features, as good as at random, so that tiles have the same.
        """
        rows, columns = known.shape[2:]
        places = known.flatten(2).expand(keys.shape[0], -1, -1)  # (B, D, P)
        row, column = (torch.arange(edge, device=keys.device) for edge in keys.shape[2:])
        phases = self.phases.to(keys)[:, row % _PERIOD][:, :, column % _PERIOD]
        taste = functional.normalize(torch.sin(_WHIM * keys[:, : phases.shape[0]] + phases), dim=1)
        keys = functional.pad(keys, (0, 0, 0, 0, 0, 1), value=1.0)
        asked = keys + functional.pad(_TASTE * taste, (0, 0, 0, 0, 0, keys.shape[1] - taste.shape[1]))
        best = _nearest(asked.flatten(2), places).view(-1, *keys.shape[2:])
        above = best // columns  # Not with a remainder: an exported graph has none.
        found = torch.stack([above, best - above * columns], dim=1).to(torch.float32)
        # Half of the positions at a time: all at once, each would take what its neighbour gives up.
        half = (row[:, None] + column) % 2
        for turn in range(_ROUNDS):
            # What it has; and where each neighbour would have this position, next to its own.
            proposed = [found, *(_within(_from(found, *step), rows, columns) for step in _BESIDE)]
            scores = []
            for place in proposed:
                index = (place[:, 0] * columns + place[:, 1]).long().flatten(1)
                # Minus half of the squared distance, but for what all places have in common.
                likeness = (keys.flatten(2) * _picked(places, index)).sum(dim=1).view_as(place[:, 0])
                agreeing = [(place == other).all(dim=1).to(likeness) for other in proposed[1:]]
                scores.append(likeness + _BONUS * torch.stack(agreeing).sum(dim=0))
            chosen = torch.stack(scores).argmax(dim=0)[None, :, None].expand(1, -1, 2, -1, -1)
            better = torch.stack(proposed).gather(0, chosen)[0]
            found = torch.where(half == turn % 2, better, found)
        return found

    def _laid(self, found: Tensor, blocks: Tensor) -> Tensor:
        """Pieces of the painting at each position, faded into each other: ``(B, 3, H stride, W stride)``."""
        blocks = blocks.expand(found.shape[0], -1, -1, -1)
        columns = blocks.shape[3]
        around = _continued(found)
        height, width = found.shape[2] + 1, found.shape[3] + 1
        first, second = self.share.view(2, self.stride)
        laid = blocks.new_zeros(1)
        for down, vertical in enumerate((second, first)):
            for right, horizontal in enumerate((second, first)):
                # The square at a corner is the lower right one of the piece above and to the left of it.
                place = around[:, :, down : down + height, right : right + width]
                row, column = place[:, 0] + 1 - down, place[:, 1] + 1 - right
                index = (row * columns + column).long().flatten(1)
                weight = (vertical[:, None] * horizontal).flatten().repeat(3)
                laid = laid + _picked(blocks.flatten(2), index) * weight[:, None]
        pieces = functional.pixel_shuffle(laid.view(-1, blocks.shape[1], height, width), self.stride)
        half = self.stride // 2
        return pieces[..., half:-half, half:-half]


def _sources(style: Style) -> Iterator[tuple[Tensor, ...]]:
    """Keys, contrast, blocks and share of each painting."""
    number = 0
    while f"{PIECES}{number}.keys" in style:
        yield tuple(style[f"{PIECES}{number}.{part}"] for part in ("keys", "contrast", "pixels", "share"))
        number += 1


def _nearest(keys: Tensor, places: Tensor) -> Tensor:
    """Which of ``places``, ``(B, D, P)``, is most like each of ``keys``, ``(B, D, N)``: ``(B, N)``."""
    if torch.compiler.is_exporting():
        return (keys.mT @ places).argmax(dim=2)
    count = max(1, _MOST_SCORES // (places.shape[0] * places.shape[2]))
    return torch.cat([(some.mT @ places).argmax(dim=2) for some in torch.split(keys, count, dim=2)], dim=1)


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """``(B, C, P)`` at ``(B, N)``: ``(B, C, N)``."""
    return values.gather(2, index[:, None].expand(-1, values.shape[1], -1))


def _from(found: Tensor, down: int, right: int) -> Tensor:
    """Where the neighbour ``(-down, -right)`` away would have each position, ``(B, 2, H, W)``."""
    height, width = found.shape[2:]
    padded = functional.pad(found, (1, 1, 1, 1), mode="replicate")
    moved = padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]
    return moved + found.new_tensor([down, right])[:, None, None]


def _within(found: Tensor, rows: int, columns: int) -> Tensor:
    """Places that left the painting, back on its edge."""
    return torch.stack([found[:, 0].clamp(0, rows - 1), found[:, 1].clamp(0, columns - 1)], dim=1)


def _continued(found: Tensor) -> Tensor:
    """Places with one more on each side, next to the last: ``(B, 2, H + 2, W + 2)``."""
    padded = functional.pad(found, (1, 1, 1, 1), mode="replicate")
    rows, columns = padded.shape[2:]
    row, column = torch.arange(rows, device=found.device), torch.arange(columns, device=found.device)
    down = (row == rows - 1).to(found) - (row == 0).to(found)
    right = (column == columns - 1).to(found) - (column == 0).to(found)
    return padded + torch.stack([down[:, None].expand(rows, columns), right.expand(rows, columns)])
