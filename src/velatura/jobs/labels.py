"""Label pictures: one colour a region."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.imaging import Picture
from velatura.ops.masks import nearest_colors
from velatura.ops.resize import resize

__all__ = ["is_color", "label_masks"]

_COLOR = re.compile("#[0-9a-fA-F]{6}")

# Colours that no region names are found on a coarse lattice, and count if they cover as much as this; what a
# JPEG, or a brush with soft edges, makes between two colours is less, or near one of them.
_LEAST_COVERED = 0.01
_LATTICE = 8
_OTHER = 0.25
_AROUND, _FLAT = 3, 0.1


def is_color(name: str) -> bool:
    """Whether a name is that of a colour: ``#ff0000``."""
    return _COLOR.fullmatch(name) is not None


@dataclass(frozen=True)
class Labels:
    """What a label picture says.

    Args:
        masks: One for each colour that was asked for, ``(N, H, W)``, 0 or 1.
        others: Further colours, with the part of the picture that each covers.
    """

    masks: Tensor
    others: dict[str, float]

    def notes(self, name: str) -> Iterator[str]:
        """What to say of colours that nobody named."""
        for color, part in self.others.items():
            yield f"{name} is {color} over {part:.0%}, which no region names; the photograph stays there"


def label_masks(labels: Picture, colors: Sequence[str], name: str) -> Labels:
    """Where a label picture has which colour.

    Each pixel is the nearest of the colours named and of others that cover at least a hundredth, so that what
    a JPEG does to a colour does not matter.

    Args:
        labels: The picture; transparent parts are black.
        colors: Those to look for, such as ``#ff0000``.
        name: The picture's, for messages.

    Raises:
        ConfigError: A colour is nowhere in it.
    """
    pixels = labels.over((0.0, 0.0, 0.0)).pixels
    named = torch.stack([_rgb(color) for color in colors])
    palette = torch.cat([named, _others(pixels, named)])
    nearest = nearest_colors(pixels, palette)
    parts = [float((nearest == number).float().mean()) for number in range(len(palette))]
    others = {_hex(palette[n]): parts[n] for n in range(len(colors), len(palette))}
    for color, part in zip(colors, parts, strict=False):
        if part == 0:
            found = ", ".join([*(c for c, p in zip(colors, parts, strict=False) if p), *others])
            raise ConfigError(f"no pixel of {name} is {color} (it has {found}); name a colour that it has")
    return Labels(torch.stack([(nearest == number).float() for number in range(len(colors))]), others)


def _others(pixels: Tensor, named: Tensor) -> Tensor:
    """Colours of large parts of the picture that are far from those named, ``(N, 3)``."""
    # No larger than is needed to tell what covers a hundredth; the nearest pixel, for a mean is no label.
    step = max(1, max(pixels.shape[1:]) // 512)
    coarse = pixels[:, ::step, ::step]
    flat = coarse.flatten(1).T[_is_flat(coarse).flatten()]
    if not len(flat):
        return named[:0]
    cells = (flat * _LATTICE).round()
    _, members, counts = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)
    kept = named
    for number in counts.argsort(descending=True).tolist():
        if counts[number] < _LEAST_COVERED * coarse[0].numel():
            break
        color = flat[members == number].median(dim=0).values
        if (kept - color).square().sum(dim=1).sqrt().min() > _OTHER:
            kept = torch.cat([kept, color[None]])
    return kept[len(named) :]


def _is_flat(pixels: Tensor) -> Tensor:
    """Where a picture is of one colour all around, ``(H, W)``: between two, a JPEG invents others."""
    found = torch.ones(pixels.shape[1:], dtype=torch.bool)
    for axis in (1, 2):
        if pixels.shape[axis] > _AROUND:
            length = pixels.shape[axis] - _AROUND
            one, other = (pixels.narrow(axis, start, length) for start in (0, _AROUND))
            near = (one - other).abs().amax(dim=0) < _FLAT
            found.narrow(axis - 1, 0, length).logical_and_(near)
            found.narrow(axis - 1, _AROUND, length).logical_and_(near)
    return found


def at_size(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks at another size, soft where a pixel is of two regions."""
    return resize(masks[None], size)[0].clamp(0, 1)


def _rgb(color: str) -> Tensor:
    return torch.tensor([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255


def _hex(color: Tensor) -> str:
    return "#" + "".join(f"{round(value * 255):02x}" for value in color.tolist())
