"""Masks: pictures that say where each style goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.imaging import Picture, read_picture
from velatura.ops.color import luma
from velatura.ops.resize import resize, same_aspect

__all__ = [
    "LEAST_WHITE",
    "check_aspect",
    "check_mask",
    "check_not_black",
    "lightness",
    "mask_notes",
    "mask_weights",
    "read_masks",
]

LEAST_WHITE: Final = 2 / 255
"""Below, a mask is black but for rounding, or for what becomes of it at another size."""

_BLACK = (0.0, 0.0, 0.0)

# Below, it is what a JPEG makes of white.
_SAID_ABOVE = 0.02


def read_masks(paths: Sequence[str], content: Picture) -> list[Picture]:
    """The masks for one photograph.

    Args:
        paths: A file for each style.
        content: The photograph, of whatever size.

    Raises:
        ImageError: A mask cannot be read.
        ConfigError: A mask has not the photograph's proportions, or is black everywhere.
    """
    masks = [read_picture(path) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        check_mask(path, mask, content)
    return masks


def check_mask(name: str, mask: Picture, content: Picture) -> None:
    """Raises ``ConfigError`` where a mask has not the photograph's proportions, or is black everywhere."""
    check_aspect(f"mask {name}", mask, content)
    check_not_black(name, mask, "where its style goes")


def check_aspect(what: str, mask: Picture, content: Picture) -> None:
    """Raises ``ConfigError`` where a picture that is laid over the photograph has other proportions."""
    if not same_aspect((mask.height, mask.width), (content.height, content.width)):
        raise ConfigError(
            f"{what} is {mask.width}x{mask.height} and the photograph "
            f"{content.width}x{content.height}; give it the same proportions"
        )


def check_not_black(name: str, mask: Picture, where: str) -> None:
    """Raises ``ConfigError`` where a mask is black everywhere, or all but black."""
    if lightness(mask).max() < LEAST_WHITE:
        raise ConfigError(f"mask {name} is black everywhere; make it white {where}")


def mask_weights(masks: Sequence[Picture], size: tuple[int, int]) -> Tensor:
    """How light each mask is, at a size, ``(N, *size)`` in [0, 1]; what is transparent counts as black."""
    return torch.cat([resize(lightness(mask), size).clamp(0, 1)[0] for mask in masks])


def mask_notes(weights: Tensor) -> Iterator[str]:
    """What to say of masks, ``(N, H, W)``, that leave much of the photograph as it is."""
    left = 1 - float(weights.sum(dim=0).clamp(max=1).mean())
    if left > _SAID_ABOVE:
        yield f"the masks leave {left:.0%} of the photograph as it is"


def lightness(mask: Picture) -> Tensor:
    """How light each pixel is, ``(1, 1, H, W)`` in [0, 1]; what is transparent counts as black."""
    return luma(mask.over(_BLACK).pixels[None])
