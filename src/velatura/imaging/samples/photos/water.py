"""Still water: a mirror with ripples."""

from __future__ import annotations

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import mix, rise
from velatura.imaging.samples.noise import Noise

__all__ = ["lay_water"]


def lay_water(
    picture: Field,
    canvas: Canvas,
    noise: Noise,
    *,
    shore: float,
    deep: Field,
    glint: Field,
    sway: float = 1.0,
) -> None:
    """Mirror what stands above the shore, in ripples that grow towards the viewer.

    Args:
        picture: Painted in place below the shore, ``(H, W, 3)``.
        canvas: The picture's grid.
        noise: Source of the ripples.
        shore: Where the water begins, in heights from the top.
        deep: Colour of the water seen from above.
        glint: Colour of the sparkle.
        sway: How far the ripples bend the mirror image.
    """
    rows, _ = canvas.part(0, shore, canvas.aspect, 1)
    x, y = (field[rows] for field in canvas.points)
    below = y - shore
    away = 1 / (below + 0.035)
    u, v = (x - canvas.aspect / 2) * away * 0.9, away * 5.5
    ripple = noise.fractal(u, v, octaves=4) + 0.6 * noise.fractal(u * 3.1, v * 2.3 + 9, octaves=2)
    calm = rise(noise.fractal(x * 1.3 + 4, v * 0.22, octaves=3), -0.35, 0.25)
    ripple = ripple * (0.25 + 0.75 * calm) * np.float32(sway)
    water = _mirrored(picture, canvas, rows.start, shore, ripple)
    facing = np.clip(0.10 + 0.75 * below + 0.70 * ripple * below, 0, 0.8)
    water = mix(water, deep, facing)
    sparkle = rise(noise.fractal(u * 2.2, v * 4, octaves=3), 0.45, 0.9) * rise(below, 0, 0.05)
    water += 0.22 * sparkle[..., None] * glint
    picture[rows] = water * (1 - 0.55 * np.exp(-below / 0.004))[..., None]


def _mirrored(picture: Field, canvas: Canvas, first: int, shore: float, ripple: Field) -> Field:
    """Mean of three mirror images at slightly different heights, which blurs upright lines least."""
    x, y = (field[first:] for field in canvas.points)
    below = y - shore
    column = np.clip(((x + 0.05 * ripple * below) * canvas.height).astype(np.intp), 0, canvas.width - 1)
    total = np.zeros_like(picture[first:])
    for spread in (-0.5, 0.0, 0.6):
        level = shore - below * (0.97 + 0.115 * spread) + (0.10 * below + 0.002) * ripple
        row = np.clip((level * canvas.height).astype(np.intp), 0, max(first - 1, 0))
        total += picture[row, column]
    return np.asarray(total / 3, np.float32)
