"""Smooth curves through a few corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from velatura.imaging.samples.canvas import Field

__all__ = ["spline"]


def spline(corners: ArrayLike, *, pieces: int) -> Field:
    """A smooth curve through every corner (Catmull and Rom 1974).

    Args:
        corners: ``(N, 2)``.
        pieces: Straight pieces from one corner to the next.

    Returns:
        Points, ``((N - 1) * pieces + 1, 2)``.
    """
    inner = np.asarray(corners, np.float64)
    knots = np.concatenate([inner[:1], inner, inner[-1:]])
    before, start, end, after = knots[:-3, None], knots[1:-2, None], knots[2:-1, None], knots[3:, None]
    t = (np.arange(pieces) / pieces)[None, :, None]
    linear = (end - before) * t
    square = (2 * before - 5 * start + 4 * end - after) * t**2
    cubic = (3 * start - before - 3 * end + after) * t**3
    curve = start + (linear + square + cubic) / 2
    return np.concatenate([curve.reshape(-1, 2), knots[-1:]]).astype(np.float32)
