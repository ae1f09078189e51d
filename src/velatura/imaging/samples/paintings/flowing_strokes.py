"""Wheat and cypresses under a turning sky: thick strokes that follow the wind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, mix, ramp, rise
from velatura.imaging.samples.noise import Noise, scatter
from velatura.imaging.samples.strokes import Brush, Paint, at, follow

__all__ = ["draw"]

GROUND = hexes("5b4a34")[0]
SKY = hexes("142058", "1f3f9a", "3777c4", "78b4da", "c9e2d6", "f4ecb4")
HALO = hexes("fffce8", "fff08a", "fdcb33", "ef9d28", "b9b072", "5b9ac0")
HILLS = hexes("7f9dc0", "3c6a9c", "23507a", "2b6a5e", "6c9a55")
WHEAT = hexes("7a4a1a", "b9761c", "e2a728", "f5cf4a", "fbe98f")
ROAD = hexes("8d6f8f", "c3a9a6", "ecd9bd")
CYPRESS = hexes("0b2226", "17413a", "2f6440", "789a45")
SUN = (1.13, 0.23)
EDDIES = (
    (0.60, 0.30, 0.15, 1.0),
    (0.80, 0.11, 0.09, -1.0),
    (0.10, 0.20, 0.12, 1.0),
    (0.86, 0.43, 0.07, -1.0),
)
LAYERS = (
    (Brush(length=0.17, width=0.034, body=0.8), 0.043, 0.05),
    (Brush(length=0.11, width=0.020, body=1.1), 0.027, 0.08),
    (Brush(length=0.07, width=0.013, body=1.2), 0.0175, 0.10),
)
DETAIL = (Brush(length=0.034, width=0.0095, body=1.2), 0.0065, 0.07)


@dataclass
class Scene:
    """What every stroke takes from the place where it lands.

    Args:
        colour: Its paint, ``(H, W, 3)``.
        angle: Its direction in radians, ``(H, W)``.
        fine: Where only the finest brush goes, ``(H, W)``.
    """

    colour: Field
    angle: Field
    fine: NDArray[np.bool_]

    def put(self, inside: ArrayLike, colour: Field, angle: ArrayLike, *, fine: bool = False) -> None:
        """Replace all three inside a shape."""
        self.fine = np.where(inside, fine, self.fine)
        self.colour = np.where(np.asarray(inside)[..., None], colour, self.colour)
        self.angle = np.where(inside, angle, self.angle).astype(np.float32)


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Paint the scene in layers of ever finer strokes, then light the paint."""
    scene = _scene(*canvas.plain.points, Noise(rng))
    paint = Paint.on(canvas, GROUND)
    for brush, spacing, variety in (*LAYERS, DETAIL):
        middles = scatter(rng, spacing=spacing, aspect=canvas.aspect, margin=0.03)
        middles = middles[at(scene.fine, middles) == (brush is DETAIL[0])]
        tint = 1 + variety * rng.standard_normal((len(middles), 1)) * (0.8, 1.0, 0.9)
        tint += 0.4 * variety * rng.standard_normal((len(middles), 3))
        paths = follow(scene.angle, middles, brush.length)
        paint.lay(brush, paths, at(scene.colour, middles) * tint.astype(np.float32), rng)
    return paint.lit()


def _scene(x: Field, y: Field, noise: Noise) -> Scene:
    scene = Scene(*_sky(x, y, noise), np.zeros(x.shape, np.bool_))
    _put_sun(scene, x, y)
    _put_hills(scene, x, y, noise)
    _put_field(scene, x, y, noise)
    _put_cottage(scene, x, y)
    for middle, foot, top, breadth in ((0.335, 0.93, 0.10, 0.062), (0.225, 0.97, 0.36, 0.050)):
        _put_cypress(scene, x - middle, (foot - y) / (foot - top), breadth, noise)
    return scene


def _sky(x: Field, y: Field, noise: Noise) -> tuple[Field, Field]:
    """Colour and direction of the wind: bands along the streamlines of a few eddies."""
    stream = 1.1 * y + 0.09 * np.sin(3.4 * x + 0.4) + 0.05 * noise.fractal(x * 2.2, y * 2.2, octaves=2)
    for middle, level, radius, turn in EDDIES:
        nearness = np.exp(-(((x - middle) ** 2 + (y - level) ** 2) / radius**2))
        stream = stream + turn * 3.0 * radius * nearness
    down, right = np.gradient(stream)
    tone = 0.42 + 0.75 * (y - 0.25) + 0.27 * np.sin(stream * 36) + 0.18 * noise(x * 5, y * 5)
    return ramp(tone, (0, 0.25, 0.5, 0.72, 0.92, 1.1), SKY), np.arctan2(-right, down)


def _put_sun(scene: Scene, x: Field, y: Field) -> None:
    right, down = x - SUN[0], y - SUN[1]
    distance = np.hypot(right, down)
    rings = distance + 0.009 * np.sin(distance * 150)
    glow = ramp(rings, (0.05, 0.075, 0.11, 0.145, 0.185, 0.225), HALO)
    inside = distance < 0.21
    scene.put(inside, mix(glow, scene.colour, rise(distance, 0.17, 0.22)), np.arctan2(right, -down))


def _put_hills(scene: Scene, x: Field, y: Field, noise: Noise) -> None:
    for level, height, pace, shift, tone in ((0.555, 0.045, 4.2, 0.8, 0.1), (0.605, 0.035, 5.6, 2.9, 0.45)):
        crest = level - height * np.sin(pace * x + shift) - 0.012 * np.sin(13 * x)
        slope = -height * pace * np.cos(pace * x + shift)
        depth = y - crest
        light = tone + 3.2 * depth + 0.22 * np.sin(depth * 140 + 3 * noise(x * 4, y * 9))
        scene.put(
            depth > 0, ramp(light, (0, 0.2, 0.4, 0.65, 0.9), HILLS), np.arctan(slope * 1.3 + 0.6 * depth)
        )


def _put_field(scene: Scene, x: Field, y: Field, noise: Noise) -> None:
    """Furrows that run to a vanishing point, with a road between them."""
    edge = 0.655 + 0.018 * np.sin(3 * x + 1)
    away = y - 0.60
    bearing = (x - 0.93) / away
    wind = noise.fractal(x * 3, y * 3, octaves=2)
    tone = 0.52 + 0.26 * np.sin(bearing * 17 + 1.4 * wind) + 0.30 * wind - 0.5 * (y - 0.8)
    angle = np.arctan2(away, x - 0.93) + 0.35 * wind
    scene.put(y > edge, ramp(tone, (0, 0.25, 0.5, 0.75, 1.0), WHEAT), angle)
    bend = bearing + 0.25 * np.sin(9 * y)
    road = np.abs(bend) < 0.42
    shade = 0.5 + 1.1 * bend + 0.3 * wind
    scene.put((y > edge) & road, ramp(shade, (0, 0.5, 1.0), ROAD), angle)


def _put_cottage(scene: Scene, x: Field, y: Field) -> None:
    left, right, foot, eaves, ridge = 0.98, 1.27, 0.70, 0.61, 0.525
    chimney = (np.abs(x - right + 0.06) < 0.017) & (np.abs(y - ridge) < 0.035)
    scene.put(chimney, _flat(scene, "a8432f"), np.pi / 2, fine=True)
    wall = (x > left) & (x < right) & (y > eaves) & (y < foot)
    shadow = rise(x, left + 0.085, left + 0.075)
    scene.put(wall, mix(hexes("fbf1d6")[0], hexes("90a4cc")[0], shadow), 0.0, fine=True)
    height = (y - ridge) / (eaves - ridge)
    slant = (x > left + 0.05 - 0.06 * height) & (x < right - 0.03 + 0.045 * height)
    roof = (height > 0) & (height < 1.15) & slant
    tiles = ramp(height + 0.35 * np.sin(x * 90), (-0.2, 0.4, 1.2), hexes("f0803f", "cf4a2c", "7d2a2c"))
    scene.put(roof, tiles, np.pi / 2 + 0.4 * (x - 1.12), fine=True)
    for middle, half, code in ((0.043, 0.012, "24365e"), (0.135, 0.015, "24365e"), (0.235, 0.015, "2b5f74")):
        opening = (np.abs(x - left - middle) < half) & (np.abs(y - 0.655) < 0.02)
        scene.put(opening, _flat(scene, code), np.pi / 2, fine=True)


def _flat(scene: Scene, code: str) -> Field:
    return np.broadcast_to(hexes(code)[0], scene.colour.shape)


def _put_cypress(scene: Scene, side: Field, up: Field, breadth: float, noise: Noise) -> None:
    """A flame of foliage; ``up`` is 0 at the foot and 1 at the tip."""
    sway = 0.25 * breadth * np.sin(7 * up + 1)
    flicker = 1 + 0.25 * noise(side * 14, up * 7)
    half = (
        breadth
        * np.clip(np.minimum(np.clip(1 - up, 0, None) ** 0.75 * 1.25, 0.72 + 0.8 * up), 0, None)
        * flicker
    )
    place = (side - sway) / np.maximum(half, 1e-4)
    inside = (np.abs(place) < 1) & (up > 0) & (up < 1)
    tone = 0.45 + 0.32 * place + 0.30 * np.sin(place * 5 + up * 24 + 2 * noise(side * 9, up * 9))
    angle = -np.pi / 2 - 0.45 * place + 0.5 * np.sin(up * 19 + place * 2)
    scene.put(inside, ramp(tone, (0, 0.35, 0.7, 1.05), CYPRESS), angle)
