"""Brush strokes: paths that follow a field of directions, and thick paint laid along them.

Points are ``(x, y)`` in picture heights, as everywhere in this package.

A stroke is a ribbon of samples; the last sample that falls on a pixel owns it. Knowing its owner,
a pixel knows its stroke, how far along it lies and how far across, which is all that colour,
bristle marks and the height of the paint need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velatura.imaging.samples.canvas import Canvas, Field, shrink

__all__ = ["Brush", "Paint", "at", "follow"]

T = TypeVar("T", bound=np.generic)

SAMPLES_AT_ONCE = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Brush:
    """How a stroke is laid; lengths are shares of the picture's height.

    Args:
        length: From end to end.
        width: Across.
        roundness: 1 makes a dot an ellipse; larger exponents blunt the ends.
        streaks: How much lightness varies from bristle to bristle.
        grooves: How deep the bristles cut into the paint, as a share of its height.
        ragged: Share of the length over which the bristles run dry at the end.
        body: Height of the paint, where 1 is a heavy impasto.
    """

    length: float
    width: float
    roundness: float = 3.0
    streaks: float = 0.05
    grooves: float = 0.5
    ragged: float = 0.25
    body: float = 1.0


@dataclass
class Paint:
    """Wet paint on a canvas.

    Args:
        colour: What is seen, ``(H, W, 3)``.
        height: How high the paint stands, ``(H, W)``.
        oversampling: The canvas's.
    """

    colour: Field
    height: Field
    oversampling: int

    @classmethod
    def on(cls, canvas: Canvas, ground: Field) -> Paint:
        """Bare ground: one colour ``(3,)`` or a whole underpainting ``(H, W, 3)``."""
        colour = canvas.filled(ground)
        return cls(colour, np.zeros(colour.shape[:2], np.float32), canvas.oversampling)

    def lay(self, brush: Brush, paths: Field, colours: Field, rng: np.random.Generator) -> None:
        """Lay strokes one over the other.

        Args:
            brush: Their shape and body.
            paths: Centre lines, ``(N, L, 2)``, the first stroke lowest.
            colours: One for each stroke, ``(N, 3)``.
            rng: Source of the bristles.
        """
        unit = self.height.shape[0]
        along = max(3, int(brush.length * unit * 1.35) + 1)
        across = max(3, int(brush.width * unit * 1.45) + 1)
        bristles = rng.standard_normal((len(paths), across)).astype(np.float32)
        dry = 1 - brush.ragged * rng.random((len(paths), across)).astype(np.float32)
        owner = _owners(self.height.shape, brush, paths * np.float32(unit), (along, across), dry)
        pixel = np.flatnonzero(owner >= 0)
        stroke, rest = np.divmod(owner[pixel], along * across)
        step, bristle = np.divmod(rest, across)
        streak = bristles[stroke, bristle]
        self._cover(pixel, colours[stroke] + brush.streaks * streak[:, None])
        side = np.abs(2 * bristle / (across - 1) - 1)
        lip = 0.75 + 0.25 * side**2 + 0.2 * (step / (along - 1)) ** 4
        height = brush.body * (1 - side**6) * lip * (1 + 0.3 * brush.grooves * streak)
        relief = self.height.reshape(-1)
        relief[pixel] = 0.3 * relief[pixel] + height

    def _cover(self, pixel: NDArray[np.intp], colour: Field) -> None:
        self.colour.reshape(-1, 3)[pixel] = colour

    def lit(self, *, depth: float = 0.004, gloss: float = 0.15) -> Field:
        """The finished picture: the paint under a light from the upper left, ``(H, W, 3)`` in [0, 1].

        Args:
            depth: Height of a full body of paint, as a share of the picture's height.
            gloss: Strength of the highlights on slopes that face the light.
        """
        down, right = np.gradient(self.height * (depth * self.height.shape[0]))
        slope = np.clip((right + down) * 0.7, -1.2, 1.2)
        shaded = self.colour * (1 + 0.38 * slope)[..., None]
        glossy = np.clip(shaded + gloss * np.clip(slope - 0.25, 0, 1)[..., None] ** 2, 0, 1)
        return shrink(glossy, self.oversampling)


def _owners(
    shape: tuple[int, ...],
    brush: Brush,
    paths: Field,
    grid: tuple[int, int],
    dry: Field,
) -> NDArray[np.int64]:
    """Number of the sample that owns each pixel, ``(H * W,)``; -1 where no stroke passed."""
    height, width = shape
    along, across = grid
    owner = np.full(height * width, -1, np.int64)
    s = np.linspace(0, 1, along, dtype=np.float32)
    taper = np.maximum(1 - np.abs(2 * s - 1) ** (2 * brush.roundness), 0) ** 0.5 * (brush.width * height / 2)
    t = np.linspace(-1, 1, across, dtype=np.float32)
    batch = max(1, SAMPLES_AT_ONCE // (along * across))
    for first in range(0, len(paths), batch):
        centre, normal = _ribbon(paths[first : first + batch], s)
        offset = taper[:, None] * t
        x = centre[:, :, None, 0] + normal[:, :, None, 0] * offset
        y = centre[:, :, None, 1] + normal[:, :, None, 1] * offset
        column, row = x.astype(np.int32), y.astype(np.int32)
        wet = s[None, :, None] <= dry[first : first + batch, None, :]
        inside = wet & (x >= 0) & (y >= 0) & (column < width) & (row < height)
        number = np.flatnonzero(inside.reshape(-1))
        place = (row * width + column).reshape(-1)[number]
        np.maximum.at(owner, place, number + first * along * across)
    return owner


def _ribbon(paths: Field, s: Field) -> tuple[Field, Field]:
    """Centres and unit normals, each ``(N, S, 2)``, at the shares ``s`` of every path."""
    place = s * (paths.shape[1] - 1)
    before = np.minimum(place.astype(np.intp), paths.shape[1] - 2)
    share = (place - before)[None, :, None]
    centre = paths[:, before] * (1 - share) + paths[:, before + 1] * share
    ahead = np.gradient(paths, axis=1)
    tangent = ahead[:, before] * (1 - share) + ahead[:, before + 1] * share
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
    return centre, normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)


def at(field: NDArray[T], points: Field) -> NDArray[T]:
    """Values of ``(H, W, ...)`` at points ``(..., 2)``; outside, the nearest edge's."""
    place = (points * np.float32(field.shape[0])).astype(np.intp)
    column = np.clip(place[..., 0], 0, field.shape[1] - 1)
    row = np.clip(place[..., 1], 0, field.shape[0] - 1)
    return np.asarray(field[row, column])


def follow(angle: Field, middles: Field, length: ArrayLike, *, steps: int = 8) -> Field:
    """Paths through their middles along a field of directions.

    Args:
        angle: Direction of every pixel in radians, clockwise from rightwards, ``(H, W)``.
        middles: Where the strokes pass, ``(N, 2)``.
        length: Of every path, or of each, ``(N,)``.
        steps: Straight pieces on either side of the middle.

    Returns:
        Points, ``(N, 2 * steps + 1, 2)``.
    """
    flow = np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)
    stride = np.asarray(length, np.float32).reshape(-1, 1) / np.float32(2 * steps)
    start = at(flow, middles)
    back = _walk(flow, middles, -start, stride, steps)
    return np.stack([*reversed(back), middles, *_walk(flow, middles, start, stride, steps)], 1)


def _walk(flow: Field, point: Field, heading: Field, stride: Field, steps: int) -> list[Field]:
    """Steps along the flow, which has no sign: each goes on the way the last one went."""
    points = []
    for _ in range(steps):
        point = np.asarray(point + heading * stride, np.float32)
        turn = at(flow, point)
        forwards = np.sign((turn * heading).sum(-1, keepdims=True) + np.float32(1e-9))
        heading = np.asarray(turn * forwards, np.float32)
        points.append(point)
    return points
