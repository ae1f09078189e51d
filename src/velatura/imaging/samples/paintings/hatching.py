"""An oak and a windmill in ink: lines that swell with the shadow and cross where it is deep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from velatura.imaging.samples.canvas import Canvas, Field, polygon, shrink
from velatura.imaging.samples.colour import hexes, mix, rise
from velatura.imaging.samples.noise import Noise

__all__ = ["draw"]

PAPER = hexes("f3e9d2", "dcc9a3")
INK = hexes("2a1d1a", "4a3428")
SPACING = 0.0098
# Each layer: how its lines turn against the form, and the tone below which it is drawn.
LAYERS = ((0.0, 0.92), (0.95, 0.62), (-0.75, 0.40), (1.57, 0.22))


FIELDS = ("x", "y", "tone", "along", "across", "outline")


@dataclass
class Drawing:
    """What the pen knows of every pixel, each ``(H, W)``.

    Args:
        x: Where the pixels lie.
        y: Where the pixels lie.
        tone: Lightness to reach, 0 black to 1 bare paper.
        along: Place along the first layer's lines.
        across: Place across them.
        outline: Ink of the contours.
        unit: Pixels in the picture's height.
    """

    x: Field
    y: Field
    tone: Field
    along: Field
    across: Field
    outline: Field
    unit: int

    def around(self, middle: float, level: float, reach: float) -> Drawing:
        """The same drawing, only within ``reach`` of a point."""
        ends = np.array([level - reach, level + reach, middle - reach, middle + reach]) * self.unit
        top, bottom, left, right = np.maximum(ends, 0).astype(int).tolist()
        views = {name: getattr(self, name)[top:bottom, left:right] for name in FIELDS}
        return Drawing(**views, unit=self.unit)

    def put(
        self, inside: ArrayLike, tone: ArrayLike, along: ArrayLike, across: ArrayLike, *, pen: float = 1.0
    ) -> None:
        """Replace a shape in place, and draw its contour where ``pen`` is above 0."""
        inside = np.asarray(inside, np.bool_)
        for field, values in ((self.tone, tone), (self.along, along), (self.across, across)):
            np.copyto(field, np.asarray(values, np.float32), where=inside)
        soft = Image.fromarray(inside.astype(np.uint8) * 255).filter(
            ImageFilter.GaussianBlur(0.0016 * self.unit)
        )
        share = np.asarray(soft, np.float32) / 255
        np.copyto(self.outline, 0, where=inside)
        np.maximum(self.outline, pen * rise(4 * share * (1 - share), 0.35, 0.8), out=self.outline)


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Set down the scene's tones and forms, then ink them layer by layer."""
    noise = Noise(rng)
    drawing = _sky(canvas, noise)
    _put_hills(drawing, noise)
    _put_mill(drawing.around(1.12, 0.50, 0.4))
    _put_lawn(drawing, noise)
    _put_oak(drawing, canvas, rng, noise)
    x, y = canvas.points
    waver = 0.0016 * noise.fractal(x * 9, y * 9, octaves=2)
    ink = drawing.outline * rise(noise(x * 40, y * 40), -0.75, -0.25)
    for number, (turn, threshold) in enumerate(LAYERS):
        ink = np.maximum(ink, _lines(drawing, waver, turn, threshold, number, noise))
    return _printed(canvas.plain, shrink(np.clip(ink, 0, 1), canvas.oversampling), noise)


def _lines(drawing: Drawing, waver: Field, turn: float, threshold: float, number: int, noise: Noise) -> Field:
    """Ink of one layer: parallel lines at an angle to the form, thicker where it is darker."""
    cosine, sine = np.cos(turn), np.sin(turn)
    dark = drawing.tone < threshold + 0.2
    u, v, tone = drawing.along[dark], drawing.across[dark], drawing.tone[dark]
    across = (v * cosine + u * sine + waver[dark]) / SPACING + 31.7 * number
    along = (u * cosine - v * sine) / SPACING
    line = np.floor(across)
    hand = 0.13 * noise(line * 5.31 + 0.5, along * 0.09) + 0.05 * noise(line * 3.7, along * 0.5)
    depth = np.clip((threshold - tone + hand) / threshold, 0, 1)
    width = np.where(depth > 0, 0.07 + 0.30 * depth**0.8, 0) * rise(depth, 0, 0.10)
    edge = 0.12
    ink = np.zeros(drawing.tone.shape, np.float32)
    ink[dark] = rise(np.abs(across - line - 0.5), width + edge, np.maximum(width - edge, 0)) * rise(
        width, 0, 0.1
    )
    return ink


def _printed(canvas: Canvas, ink: Field, noise: Noise) -> Field:
    x, y = canvas.points
    fibre = 0.5 * noise.fractal(x * 90, y * 60, octaves=3) + 0.35 * noise.fractal(x * 2, y * 2, octaves=3)
    vignette = 0.9 * np.hypot(x / canvas.aspect - 0.5, y - 0.5) ** 2
    paper = mix(PAPER[0], PAPER[1], np.clip(0.18 + 0.35 * fibre + vignette, 0, 1))
    colour = mix(INK[0], INK[1], np.clip(0.5 + noise.fractal(x * 7, y * 7, octaves=2), 0, 1))
    return mix(paper, colour, ink * np.clip(0.93 - 0.22 * fibre, 0.6, 1))


def _sky(canvas: Canvas, noise: Noise) -> Drawing:
    x, y = canvas.plain.points
    cloud = noise.fractal(x * 1.7 + 8.3, y * 3.0 + 4.1, octaves=3)
    beyond = noise.fractal(x * 1.7 + 8.24, y * 3.0 + 4.01, octaves=3)
    clear = 0.60 + 0.42 * y / 0.6 + 0.2 * rise(cloud, -0.05, 0.08)
    shaded = 0.97 - 0.35 * rise(beyond - cloud, 0.0, 0.25)
    tone = canvas.spread(np.where(cloud > 0.08, shaded, clear).astype(np.float32))
    x, y = canvas.points
    across = (y + 0.012 * np.sin(4 * x)).astype(np.float32)
    return Drawing(x, y, tone, x.copy(), across, np.zeros(x.shape, np.float32), canvas.height)


def _put_hills(drawing: Drawing, noise: Noise) -> None:
    x, y = drawing.x, drawing.y
    for level, height, pace, shift, tone in ((0.60, 0.05, 3.1, 2.2, 0.72), (0.655, 0.04, 4.3, 4.4, 0.6)):
        crest = level - height * np.sin(pace * x + shift) + 0.008 * noise.fractal(x[:1] * 16, 0.3, octaves=3)
        depth = y - crest
        wood = rise(noise.fractal(x * 7, y * 16, octaves=2), 0.05, 0.3)
        shade = tone + 1.3 * depth - 0.32 * wood
        drawing.put(depth > 0, shade, x + 0.4 * depth, depth * 1.1 - 0.25 * x, pen=0.8)


def _put_mill(drawing: Drawing) -> None:
    x, y = drawing.x, drawing.y
    middle, foot, top = 1.12, 0.70, 0.40
    share = np.clip((foot - y) / (foot - top), 0, 1)
    half = 0.066 - 0.024 * share
    side = (x - middle) / half
    light = 0.86 - 0.62 * rise(side, -0.5, 0.9)
    tower = (np.abs(side) < 1) & (y > top) & (y < foot)
    drawing.put(tower, light, side * 0.05, y + 0.012 * side**2)
    cap = np.hypot(side / 1.12, (y - top) / 0.055)
    drawing.put((cap < 1) & (y <= top), 0.55 - 0.4 * rise(side, -0.6, 0.8), y, cap * 0.05)
    for across, level, wide, tall in (
        (-0.25, 0.47, 0.011, 0.017),
        (0.1, 0.57, 0.012, 0.019),
        (0.0, 0.675, 0.017, 0.03),
    ):
        opening = (np.abs(x - middle - across * 0.05) < wide) & (np.abs(y - level) < tall)
        drawing.put(opening, 0.08, x, y)
    _put_sails(drawing, (middle - 0.012, top - 0.012))


def _put_sails(drawing: Drawing, hub: tuple[float, float]) -> None:
    x, y = drawing.x, drawing.y
    for turn in np.arange(4) * (np.pi / 2) + 0.42:
        out, side = np.cos(turn), np.sin(turn)
        reach = (x - hub[0]) * out + (y - hub[1]) * side
        off = -(x - hub[0]) * side + (y - hub[1]) * out
        cloth = (reach > 0.05) & (reach < 0.265) & (off > 0.0) & (off < 0.046)
        lattice = np.where((reach / 0.024) % 1 < 0.2, 0.15, 0.8)
        drawing.put(cloth, lattice, reach, off)
        drawing.put((reach > 0) & (reach < 0.275) & (np.abs(off) < 0.0045), 0.1, reach, off, pen=0.6)


def _put_lawn(drawing: Drawing, noise: Noise) -> None:
    x, y = drawing.x, drawing.y
    crest = 0.80 - 0.10 * np.exp(-(((x - 0.42) / 0.42) ** 2)) + 0.02 * np.sin(4 * x)
    tufts = 0.010 * np.abs(noise(x[:1] * 55, 0.2)) + 0.006 * noise.fractal(x[:1] * 20, 0.7, octaves=2)
    depth = y - crest + tufts
    shadow = rise(np.hypot((x - 0.62) / 0.44, (y - 0.845) / 0.052) + 0.2 * noise(x * 14, y * 20), 1.1, 0.8)
    rough = noise.fractal(x * 5, y * 12, octaves=2)
    tone = 0.84 - 0.30 * depth / 0.25 + 0.22 * rough - 0.62 * shadow
    drawing.put(depth > 0, tone, x, depth * 1.2 + 0.010 * np.abs(noise(x * 26, y * 8)), pen=0.9)


def _put_oak(drawing: Drawing, canvas: Canvas, rng: np.random.Generator, noise: Noise) -> None:
    x, y = canvas.points
    bend = 0.012 * np.sin(9 * y)
    half = 0.034 + 0.055 * rise(y, 0.66, 0.80) ** 2 + 0.02 * rise(y, 0.5, 0.3)
    side = (x - 0.43 - bend) / half
    bark = 0.30 * noise.fractal(side * 2.2, y * 9, octaves=3)
    trunk = (np.abs(side) < 1) & (y > 0.3) & (y < 0.765 + 0.02 * noise(x[:1] * 30, 0.9))
    drawing.put(trunk, 0.72 - 0.62 * rise(side, -0.7, 0.7) + bark, y, side * 0.034 + 0.02 * bark)
    for tip, root in (((0.15, 0.36), (0.42, 0.56)), ((0.70, 0.33), (0.44, 0.54)), ((0.56, 0.2), (0.43, 0.5))):
        tip_x, tip_y = tip
        limb = polygon(canvas, [(root[0], root[1] - 0.03), (tip_x, tip_y), (root[0], root[1] + 0.02)])
        drawing.put(limb > 0, 0.3, x, y)
    clumps = [
        (0.43 + 0.36 * np.sqrt(r) * np.cos(a), 0.30 + 0.19 * np.sqrt(r) * np.sin(a))
        for r, a in zip(rng.random(34), rng.random(34) * 2 * np.pi, strict=True)
    ]
    for middle, level in sorted(clumps, key=lambda clump: clump[1] - 0.3 * clump[0]):
        size = 0.075 + 0.045 * rng.random()
        _put_leaves(drawing.around(middle, level, 1.4 * size), (middle, level), size, noise)


def _put_leaves(drawing: Drawing, centre: tuple[float, float], size: float, noise: Noise) -> None:
    """One clump of foliage, lit from the upper left, its edge in small lobes."""
    right, down = (drawing.x - centre[0]) / size, (drawing.y - centre[1]) / size
    bearing = np.arctan2(down, right)
    lobes = 0.10 * np.abs(np.sin(bearing * 6 + size * 90)) + 0.16 * noise(right * 2.6 + size * 70, down * 2.6)
    tone = 0.60 - 0.42 * (right * 0.55 + down * 0.85) + 0.25 * noise(right * 4, down * 4 + size * 60)
    # The lines are arcs about a point below the clump's shadow side, so that no rings close.
    around = np.arctan2(down - 1.5, right - 1.1)
    arcs = np.hypot(down - 1.5, right - 1.1) * size + 0.006 * np.abs(np.sin(around * 21))
    drawing.put(np.hypot(right, down) + lobes < 1, tone, around * 0.12, arcs, pen=0.7)
