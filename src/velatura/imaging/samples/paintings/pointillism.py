"""An afternoon by the river: dots of divided colour that the eye mixes."""

from __future__ import annotations

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field, polygon
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.noise import Noise, scatter
from velatura.imaging.samples.strokes import Brush, Paint, at

__all__ = ["draw"]

GROUND = hexes("efe3c6")[0]
SKY = hexes("9cc3e6", "c3dbe8", "f3e6cf", "f8d9b4")
WATER = hexes("b9d3e0", "8bb4d6", "6c97c8", "88b3c4")
GRASS = hexes("e0d86a", "a9c04c", "6f9d3d")
SHADE = hexes("34506f", "3f6b4c")
LEAVES = hexes("1f4a52", "2f6d45", "79a83c", "d5cf58")
PURE = hexes("f2542d", "f7b32b", "3fae49", "2a6fdb", "8e44ad", "f08fb0")
LAYERS = ((0.0165, 0.0120, 0.30), (0.0130, 0.0115, 0.55), (0.0105, 0.0105, 0.62))


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Three layers of round dots, each dot leaning from the scene's colour to a pure one."""
    scene = _scene(canvas.plain, Noise(rng))
    paint = Paint.on(canvas, GROUND)
    lean = PURE - PURE.mean(0)
    for size, spacing, division in LAYERS:
        middles = scatter(rng, spacing=spacing, aspect=canvas.aspect, margin=0.01)
        colours = at(scene, middles)
        hue = lean[rng.integers(len(lean), size=len(middles))]
        strength = division * (0.35 + 0.65 * rng.random((len(middles), 1), np.float32))
        diameter = size * (0.8 + 0.35 * rng.random((len(middles), 1), np.float32))
        half = np.concatenate([diameter / 2, np.zeros_like(diameter)], 1)
        paths = np.stack([middles - half, middles + half], 1)
        brush = Brush(length=size, width=size, roundness=1, streaks=0.0, grooves=0.15, ragged=0, body=0.8)
        paint.lay(brush, paths, np.clip(colours + strength * hue, 0, 1), rng)
    return paint.lit(depth=0.0012, gloss=0.0)


def _scene(canvas: Canvas, noise: Noise) -> Field:
    x, y = canvas.points
    clouds = noise.fractal(x * 2, y * 5, octaves=3)
    picture = ramp(y * 2.6 + 0.25 * clouds, (0, 0.35, 0.75, 1.0), SKY)
    _lay_far_bank(picture, x, y, noise)
    _lay_river(picture, x, y, noise)
    for middle, foot, size in ((0.62, 0.435, 0.16), (0.82, 0.415, 0.10), (0.40, 0.405, 0.07)):
        _lay_boat(picture, canvas, middle, foot, size)
    _lay_lawn(picture, x, y, noise)
    _lay_tree(picture, canvas, x, y, noise)
    _lay_walker(picture, canvas, 0.98, 0.86, 0.30)
    _lay_walker(picture, canvas, 0.70, 0.68, 0.13)
    return picture


def _lay_far_bank(picture: Field, x: Field, y: Field, noise: Noise) -> None:
    crest = 0.315 - 0.035 * np.sin(2.1 * x + 0.5) + 0.022 * noise.fractal(x * 9, 0.5, octaves=3)
    tone = 0.5 + 0.5 * noise.fractal(x * 12, y * 16, octaves=2) - 4 * (y - crest)
    lay_over(
        picture, ramp(tone, (-0.2, 0.4, 1.0), hexes("5b7fae", "6fa07e", "c4cf82")), rise(y - crest, 0, 0.01)
    )


def _lay_river(picture: Field, x: Field, y: Field, noise: Noise) -> None:
    ripple = noise.fractal(x * 4, y * 28, octaves=3)
    water = ramp((y - 0.37) * 3 + 0.28 * ripple, (0, 0.25, 0.6, 0.95), WATER)
    bank = rise(y, 0.47, 0.38) * (0.6 + 0.3 * ripple)
    glint = rise(noise.fractal(x * 7, y * 40, octaves=2), 0.35, 0.6)
    lay_over(water, hexes("7f9f8b")[0], np.clip(bank, 0, 1))
    lay_over(water, hexes("fdf1d0")[0], glint * 0.8)
    lay_over(picture, water, rise(y, 0.368, 0.372))


def _lay_boat(picture: Field, canvas: Canvas, middle: float, foot: float, size: float) -> None:
    tip = (middle + 0.05 * size, foot - 1.25 * size)
    main = [tip, (middle + 0.07 * size, foot - 0.12 * size), (middle + 0.62 * size, foot - 0.16 * size)]
    jib = [tip, (middle + 0.0 * size, foot - 0.14 * size), (middle - 0.42 * size, foot - 0.12 * size)]
    hull = [
        (middle - 0.5 * size, foot - 0.1 * size),
        (middle + 0.65 * size, foot - 0.12 * size),
        (middle + 0.5 * size, foot + 0.03 * size),
        (middle - 0.38 * size, foot + 0.03 * size),
    ]
    for corners, code in ((main, "fff6e0"), (jib, "f6dfc8"), (hull, "8c3b3a")):
        mirrored = [(px, foot + 0.06 * size + 0.8 * (foot - py)) for px, py in corners]
        lay_over(picture, hexes(code)[0], 0.45 * polygon(canvas, mirrored))
        lay_over(picture, hexes(code)[0], polygon(canvas, corners))


def _lay_lawn(picture: Field, x: Field, y: Field, noise: Noise) -> None:
    edge = 0.79 - 0.235 * x + 0.03 * np.sin(5 * x) + 0.008 * noise.fractal(x * 20, 0.5, octaves=2)
    depth = y - edge
    grain = noise.fractal(x * 6, y * 14, octaves=3)
    grass = ramp(0.35 + 1.1 * depth + 0.35 * grain, (0, 0.45, 0.9), GRASS)
    shadow = rise(
        noise.fractal(x * 2.2 + 3, y * 5, octaves=2) + 1.6 * (y - 0.84) - 0.5 * (x - 0.6), 0.02, 0.16
    )
    lay_over(grass, ramp(depth + 0.2 * grain, (0, 0.4), SHADE), shadow * 0.82)
    lay_over(picture, hexes("c9a66b")[0], rise(depth, -0.014, -0.006))
    lay_over(picture, grass, rise(depth, 0, 0.008))


def _lay_tree(picture: Field, canvas: Canvas, x: Field, y: Field, noise: Noise) -> None:
    trunk = polygon(
        canvas, [(0.15, 1.02), (0.185, 0.7), (0.19, 0.2), (0.235, 0.2), (0.245, 0.7), (0.29, 1.02)]
    )
    bark = ramp(
        (x - 0.16) * 9 + 0.4 * noise.fractal(x * 30, y * 6, octaves=2),
        (0, 0.5, 1),
        hexes("f0a860", "8a5a4a", "3d3560"),
    )
    lay_over(picture, bark, trunk)
    for middle, level, across, tall in (
        (0.16, 0.13, 0.34, 0.22),
        (0.40, 0.06, 0.30, 0.15),
        (0.04, 0.32, 0.20, 0.13),
    ):
        reach = np.hypot((x - middle) / across, (y - level) / tall)
        rough = noise.fractal(x * 9, y * 9, octaves=3)
        light = 0.55 - 0.8 * (y - level) / tall - 0.4 * (x - middle) / across + 0.55 * rough
        lay_over(picture, ramp(light, (-0.1, 0.3, 0.75, 1.25), LEAVES), rise(reach + 0.30 * rough, 1.0, 0.96))


def _lay_walker(picture: Field, canvas: Canvas, middle: float, foot: float, tall: float) -> None:
    """A woman with a parasol, and her shadow on the grass."""
    x, y = canvas.points
    shadow = np.hypot((x - middle - 0.28 * tall) / (0.42 * tall), (y - foot + 0.01) / (0.07 * tall))
    lay_over(picture, SHADE[0], 0.8 * rise(shadow, 1.05, 0.9))
    right, up = (x - middle) / tall, (foot - y) / tall
    skirt = (up > 0) & (up < 0.5) & (np.abs(right + 0.08 * rise(up, 0.1, 0.4)) < 0.23 - 0.28 * up)
    bodice = (up >= 0.45) & (up < 0.76) & (np.abs(right + 0.05) < 0.075 + 0.03 * np.sin(9 * up))
    head = np.hypot(right + 0.05, up - 0.82) < 0.06
    pole = (np.abs(right - 0.06 - 0.05 * up) < 0.012) & (up > 0.5) & (up < 1.05)
    dome = (np.hypot((right - 0.1) / 0.36, (up - 0.92) / 0.26) < 1) & (up > 0.92 + 0.04 * np.cos(right * 28))
    lay_over(picture, mix(hexes("4a3a86")[0], hexes("27285c")[0], rise(right, -0.15, 0.15)), skirt)
    lay_over(picture, hexes("6b4aa0")[0], bodice)
    lay_over(picture, hexes("f3c7a0")[0], head)
    lay_over(picture, hexes("3a2b3a")[0], pole)
    lay_over(picture, mix(hexes("ff8a4a")[0], hexes("b8324a")[0], rise(right, -0.2, 0.45)), dome)
