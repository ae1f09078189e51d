"""Breakers under a red sun: a woodcut in five flat inks, with the marks of the gouge."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, mix, rise
from velatura.imaging.samples.curve import spline
from velatura.imaging.samples.noise import Noise

__all__ = ["draw"]

PAPER, PALE, BLUE, INDIGO, RED, SAND = range(6)
INKS = hexes("f3e7cc", "a9cbd0", "4b83ad", "1b2a52", "d8452b", "e3b877")
# A breaker that rolls to the right: its back and its hollow face, from the foot to the tip; y is up.
BACK = (
    (-2.1, -0.3),
    (-1.55, 0.02),
    (-1.0, 0.24),
    (-0.55, 0.56),
    (-0.15, 0.86),
    (0.24, 1.0),
    (0.58, 0.95),
    (0.76, 0.74),
    (0.70, 0.55),
)
FACE = (
    (1.7, -0.3),
    (1.05, -0.02),
    (0.55, 0.06),
    (0.24, 0.2),
    (0.12, 0.42),
    (0.22, 0.62),
    (0.42, 0.72),
    (0.60, 0.68),
    (0.68, 0.55),
)
STRIPES = (
    (0.00, 1.00, BLUE),
    (0.0, 0.055, INDIGO),
    (0.13, 0.19, PALE),
    (0.22, 0.30, INDIGO),
    (0.36, 0.44, PAPER),
    (0.47, 0.58, INDIGO),
    (0.64, 0.70, PALE),
    (0.74, 0.84, INDIGO),
    (0.89, 0.94, PAPER),
    (0.955, 1.0, INDIGO),
)
# Where breakers stand (foot x, foot y), their height, and their lean to the right, far ones first.
BREAKERS = (
    (0.98, 0.66, 0.10),
    (0.52, 0.67, 0.12),
    (1.36, 0.69, 0.15),
    (0.08, 0.70, 0.14),
    (0.80, 0.745, 0.19),
    (1.28, 0.84, 0.26),
    (0.34, 0.90, 0.60),
    (1.02, 1.03, 0.30),
    (0.02, 1.10, 0.34),
)
DETAIL = 2  # the block is cut this much finer than the canvas


class Block:
    """The picture as numbers of inks, cut at a high resolution.

    Args:
        canvas: What it is cut for.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._unit = canvas.height * DETAIL
        self._image = Image.new("L", (canvas.width * DETAIL, self._unit), PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def cut(self, outline: Field, ink: int) -> None:
        """Fill a polygon ``(N, 2)``."""
        self._pen.polygon((outline * self._unit).ravel().tolist(), fill=ink)

    def dot(self, x: float, y: float, radius: float, ink: int) -> None:
        """Fill a disc."""
        box = np.array([x - radius, y - radius, x + radius, y + radius]) * self._unit
        self._pen.ellipse(box.tolist(), fill=ink)

    def sliver(self, path: Field, width: float, ink: int) -> None:
        """A gouge mark along a path ``(N, 2)``: widest in the middle, pointed at both ends."""
        normal = np.gradient(path, axis=0)[:, ::-1] * (-1, 1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        half = width / 2 * np.sin(np.linspace(0, np.pi, len(path)))[:, None]
        self.cut(np.concatenate([path + normal * half, (path - normal * half)[::-1]]), ink)

    def covers(self, canvas: Canvas) -> Field:
        """How much of each finished pixel each ink covers, ``(H, W, inks)``."""
        inks, factor = np.asarray(self._image), DETAIL * canvas.oversampling
        rows = canvas.plain.height
        return np.stack(
            [
                (inks == ink).reshape(rows, factor, -1, factor).mean((1, 3), dtype=np.float32)
                for ink in range(len(INKS))
            ],
            -1,
        )


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Cut the block from the far sky to the near waves, then print it."""
    block = Block(canvas)
    _cut_sky(block, canvas, rng)
    _cut_boat(block, (1.135, 0.635), 0.13)
    block.cut(np.array([(0, 0.655), (canvas.aspect, 0.655), (canvas.aspect, 1), (0, 1)]), BLUE)
    for number, (foot, level, height) in enumerate(BREAKERS):
        _cut_swell(block, canvas, rng, level, height, INDIGO if number % 2 else BLUE)
        _cut_breaker(block, np.array((foot, level)), height, rng)
    return _printed(canvas.plain, block.covers(canvas), Noise(rng))


def _cut_sky(block: Block, canvas: Canvas, rng: np.random.Generator) -> None:
    middle, level, radius = 1.03, 0.30, 0.165
    for number, bearing in enumerate(np.arange(72) * (2 * np.pi / 72)):
        out = np.array([np.cos(bearing), np.sin(bearing)])
        reach = np.linspace(radius * 1.12, radius * (1.5 + 0.5 * (number % 2) + 0.3 * rng.random()), 7)
        block.sliver((middle, level) + reach[:, None] * out, 0.007, SAND)
    block.dot(middle, level, radius, RED)
    for row in np.arange(0.018, 0.64, 0.0125):
        for _ in range(int(7 - 8 * row)):
            start, length = rng.random() * canvas.aspect, 0.05 + 0.25 * rng.random()
            x = np.linspace(start, start + length, 9)
            if np.hypot(x - middle, row - level).min() > 1.75 * radius:
                y = row + 0.004 * np.sin(6 * x)
                block.sliver(np.stack([x, y], 1), 0.0055 - 0.004 * row, PALE if row > 0.15 else BLUE)
    for row in np.arange(level + 0.035, level + radius, 0.022):
        half = np.sqrt(radius**2 - (row - level) ** 2)
        x = np.linspace(middle - half * 1.1, middle + half * (0.2 + 0.7 * rng.random()), 9)
        block.sliver(np.stack([x, np.full_like(x, row)], 1), 0.03 * (row - level) + 0.003, PAPER)


def _cut_boat(block: Block, foot: tuple[float, float], size: float) -> None:
    def placed(*points: tuple[float, float]) -> Field:
        return (np.array(points) * (1, -1) * size + foot).astype(np.float32)

    block.cut(
        placed((-0.62, 0.34), (-0.4, 0.12), (0.4, 0.12), (0.72, 0.42), (0.5, -0.12), (-0.42, -0.12)), INDIGO
    )
    block.cut(placed((0.0, 0.14), (0.03, 0.14), (0.03, 1.5), (0.0, 1.5)), INDIGO)
    block.cut(placed((-0.42, 0.3), (0.5, 0.3), (0.34, 1.4), (-0.26, 1.4)), SAND)
    for share in np.arange(0.1, 1, 0.16):
        height, half = 0.3 + 1.1 * share, 0.46 - 0.16 * share
        path = np.stack([np.linspace(-half + 0.04, half + 0.04, 5), np.full(5, height)], 1)
        block.sliver(placed(*path.tolist()), 0.006, INDIGO)


def _cut_swell(
    block: Block, canvas: Canvas, rng: np.random.Generator, level: float, height: float, ink: int
) -> None:
    """The water that a breaker stands in, with its lines."""
    x = np.linspace(-0.05, canvas.aspect + 0.05, 160)
    phase, pace = rng.random() * 6, 5 / (0.4 + height * 2)

    def surface(below: float) -> Field:
        wave = np.sin(pace * x + phase + 2 * below) + 0.4 * np.sin(2.3 * pace * x + phase)
        return np.stack([x, level + 0.22 * height + below + 0.10 * height * wave], 1)

    block.cut(np.concatenate([surface(0), [(x[-1], 1.5), (x[0], 1.5)]]), ink)
    for below in np.arange(0.02, 0.30, 0.016 + 0.02 * height):
        line = surface(below)
        for _ in range(9):
            start, length = rng.integers(0, 140), rng.integers(10, 40)
            mark = (PALE, PAPER, BLUE if ink == INDIGO else INDIGO)[rng.integers(3)]
            block.sliver(line[start : start + length], 0.006 + 0.008 * height, mark)


def _cut_breaker(block: Block, foot: Field, height: float, rng: np.random.Generator) -> None:
    back, face = spline(BACK, pieces=9), spline(FACE, pieces=9)

    def placed(share: float, points: slice = slice(None)) -> Field:
        curve = back[points] * (1 - share) + face[points] * share
        return (curve * (1, -1) * height + foot).astype(np.float32)

    for first, last, ink in STRIPES:
        block.cut(np.concatenate([placed(first), placed(last)[::-1]]), ink)
    for _ in range(int(60 + 260 * height)):
        share, start = rng.random(), rng.integers(5, len(back) - 14)
        mark = (PAPER, PALE, INDIGO)[rng.integers(3)]
        block.sliver(placed(share, slice(start, start + rng.integers(6, 14))), 0.0035 + 0.004 * height, mark)
    _cut_foam(block, placed(0.0), placed(1.0), height, rng)


def _cut_foam(block: Block, crest: Field, hollow: Field, height: float, rng: np.random.Generator) -> None:
    """Foam in fingers over the crest, and spray before it."""
    edge = crest[int(0.52 * len(crest)) :]
    sizes = height * np.linspace(0.02, 0.056, len(edge)) * (0.7 + 0.6 * rng.random(len(edge)))
    beads = [(x, y, size) for (x, y), size in zip(edge.tolist(), sizes.tolist(), strict=True)]
    lip = [(x + 0.02 * height, y + 0.03 * height) for x, y in hollow[-10::2].tolist()]
    beads += [(x, y, 0.05 * height * (0.6 + 0.7 * rng.random())) for x, y in lip]
    claws = [_claw(np.array(bead), height, rng) for bead in beads[len(edge) // 3 :]]
    for grown, ink in ((0.018 * height + 0.0044, INDIGO), (0.0, PAPER)):
        for claw in claws:
            block.sliver(claw, 0.042 * height + grown, ink)
        for x, y, size in beads:
            block.dot(x, y, size + grown / 2, ink)
    for x, y, size in beads[::2]:
        block.dot(x + 0.2 * size, y + 0.25 * size, 0.42 * size, PALE)
    tip = crest[-1]
    for _ in range(int(14 + 50 * height)):
        away, fall = np.abs(rng.normal(0, 0.22, 2)) * height
        x, y = tip[0] + away - 0.06 * height, tip[1] - 0.22 * height + 1.6 * fall
        radius = height * (0.006 + 0.012 * rng.random()) + 0.0012
        block.dot(x, y, radius + 0.0018, INDIGO)
        block.dot(x, y, radius, PAPER)


def _claw(bead: Field, height: float, rng: np.random.Generator) -> Field:
    """A finger of foam that hooks forwards and down from a bead ``(x, y, size)``."""
    x, y, size = bead
    t = np.linspace(-0.4, 1, 12)
    reach = height * (0.07 + 0.07 * rng.random())
    turn = 0.9 - 1.9 * t + 0.5 * (rng.random() - 0.5)
    forward, down = np.cumsum(np.cos(turn)) / len(t), -np.cumsum(np.sin(turn)) / len(t)
    return np.stack([x - 0.3 * size + reach * 1.6 * forward, y + reach * 1.6 * down], 1).astype(np.float32)


def _printed(canvas: Canvas, covers: Field, noise: Noise) -> Field:
    """Ink on paper: grain of the block, uneven pressure, a shaded band along the top."""
    x, y = canvas.points
    rings = y * 46 + 3.2 * noise.fractal(x * 0.9, y * 3, octaves=2)
    grain = 0.5 * np.sin(2 * np.pi * rings) + noise.fractal(x * 5, y * 110, octaves=2)
    mottle = noise.fractal(x * 60, y * 60, octaves=2)
    press = np.clip(0.93 + 0.10 * grain + 0.08 * mottle, 0, 1)
    paper = INKS[PAPER] * (1 + 0.025 * mottle + 0.02 * noise.fractal(x * 4, y * 4, octaves=3))[..., None]
    bare = covers[..., PAPER]
    inked = covers[..., 1:] @ INKS[1:] / np.maximum(1 - bare, 1e-6)[..., None]
    picture = mix(paper, inked, (1 - bare) * press)
    band = 0.85 * rise(y, 0.20, 0.0) * bare * (0.9 + 0.15 * grain)
    return np.clip(mix(picture, INKS[BLUE], band), 0, 1)
