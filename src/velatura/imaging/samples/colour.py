"""Colours and the ways to mix them; a colour is sRGB in [0, 1] along the last axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from velatura.imaging.samples.canvas import Field

__all__ = ["hexes", "lay_over", "mix", "ramp", "rise"]


def hexes(*codes: str) -> Field:
    """Colours from their hexadecimal codes, ``(N, 3)`` in [0, 1]."""
    return np.array(
        [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes], np.float32
    ) / np.float32(255)


def rise(values: ArrayLike, start: ArrayLike, end: ArrayLike) -> Field:
    """A smooth step from 0 at ``start`` to 1 at ``end``; falling where ``end`` is the smaller."""
    span = np.subtract(end, start, dtype=np.float32)
    t = np.clip(np.subtract(values, start, dtype=np.float32) / span, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(first: ArrayLike, second: ArrayLike, share: ArrayLike) -> Field:
    """Colours between two, ``(..., 3)``, by the share ``(...)`` of the second."""
    share = np.asarray(share, np.float32)[..., None]
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(first + (second - first) * share, np.float32)


def ramp(values: ArrayLike, stops: ArrayLike, colours: Field) -> Field:
    """Colours ``(..., 3)`` along a gradient whose ``colours`` ``(N, 3)`` stand at ``stops``."""
    values = np.asarray(values, np.float32)
    return np.stack([np.interp(values, np.asarray(stops), colours[:, c]) for c in range(3)], -1).astype(
        np.float32
    )


def lay_over(picture: Field, colour: ArrayLike, cover: ArrayLike) -> None:
    """Paint ``colour`` onto ``picture`` in place, as dense as ``cover`` in [0, 1]."""
    cover = np.asarray(cover, np.float32)[..., None]
    picture += (np.asarray(colour, np.float32) - picture) * cover
