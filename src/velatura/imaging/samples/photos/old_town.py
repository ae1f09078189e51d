"""Gabled houses along a canal in the light of a late afternoon."""

from __future__ import annotations

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.noise import Noise
from velatura.imaging.samples.photos.facade import House, lay_house
from velatura.imaging.samples.photos.lens import developed
from velatura.imaging.samples.photos.water import lay_water

__all__ = ["draw"]

STREET, WATERLINE = 0.665, 0.715
SKY = hexes("f6dfbf", "d9dbe0", "a5c1de", "6f9ccc")
WALLS = hexes("a8503a", "e8d3a0", "7a8f86", "c98a4b", "8a3d36", "e6e0d2", "5f7690", "d7a55f", "b86b52")
STONE = hexes("8d8578", "5a554e")
LEAF = hexes("3a3f1c", "8a7a26", "d9a431", "f0cf6a")
DEEP, GLINT = hexes("2c3a33", "fff0cf")
GABLES = ("step", "bell", "peak", "neck", "flat", "peak", "step", "bell", "neck")


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Build the row of houses from behind to the front, then mirror it in the canal."""
    noise = Noise(rng)
    picture = canvas.spread(_sky(canvas.plain, noise))
    _lay_church(picture, canvas, noise)
    for house in _row(canvas, rng):
        lay_house(picture, canvas, house, STREET, noise)
    _lay_quay(picture, canvas, noise)
    for x, tall in ((0.115, 0.30), (1.36, 0.33)):
        _lay_tree(picture, canvas, x, tall, noise, rng)
    for x in (0.36, 0.80, 1.17):
        _lay_lamp(picture, canvas, x)
    lay_water(picture, canvas, noise, shore=WATERLINE, deep=DEEP, glint=GLINT, sway=0.8)
    _lay_boat(picture, canvas, 0.64, 0.80, 0.12)
    return developed(picture, canvas, noise, exposure=1.05)


def _sky(canvas: Canvas, noise: Noise) -> Field:
    x, y = canvas.points
    picture = ramp((0.62 - y) / 0.62 + 0.1 * (x - 0.5), (0, 0.25, 0.6, 1.0), SKY)
    billow = noise.fractal(x * 2.1, y * 4.2 + 1, octaves=6)
    lit = noise.fractal(x * 2.1 + 0.09, y * 4.2 + 1.12, octaves=4)
    cover = rise(billow, -0.05, 0.45) * rise(y, 0.75, 0.3)
    tone = np.clip(0.72 + 1.1 * (billow - lit), 0, 1)
    lay_over(picture, ramp(tone, (0, 0.55, 1), hexes("a9afc0", "e9e0dc", "fffaf0")), 0.9 * cover)
    return picture


def _lay_church(picture: Field, canvas: Canvas, noise: Noise) -> None:
    """A tower far behind the houses, pale with distance."""
    part = canvas.part(0.78, 0.0, 1.0, STREET)
    x, y = canvas.x[:, part[1]], canvas.y[part[0]]
    side = (x - 0.89) + 0 * y
    share = (y - 0.008) / 0.135
    spire = (share > 0) & (share <= 1) & (np.abs(side) < 0.004 + 0.034 * np.clip(share, 0, 1) ** 1.25)
    shaft = (y > 0.142) & (np.abs(side) < np.where(y < 0.23, 0.036, 0.045))
    light = mix(hexes("d8c4a6")[0], hexes("8f8fa0")[0], rise(side, -0.02, 0.035))
    light *= (1 + 0.06 * noise.fractal(x * 60, y * 30, octaves=2))[..., None]
    lay_over(picture[part], light, shaft * 0.95)
    lay_over(
        picture[part], mix(hexes("8fae9f")[0], hexes("5f7880")[0], rise(side, -0.015, 0.02)), spire * 0.95
    )
    face = np.hypot(side, y - 0.180)
    lay_over(picture[part], hexes("efe6d0")[0], face < 0.019)
    lay_over(
        picture[part],
        hexes("5a5f72")[0],
        (np.abs(face - 0.018) < 0.002) | ((np.abs(side) < 0.0016) & (face < 0.015) & (y < 0.180)),
    )
    for level in (0.265, 0.32):
        lay_over(picture[part], hexes("5d6377")[0], (np.abs(side) < 0.009) & (np.abs(y - level) < 0.018))


def _row(canvas: Canvas, rng: np.random.Generator) -> list[House]:
    """Fronts from edge to edge, their gables in turn, their colours by chance."""
    houses: list[House] = []
    walls, left = rng.permutation(len(WALLS)), -0.03
    while left < canvas.aspect:
        number = len(houses)
        columns, gable = (3, 2, 3, 2, 3)[number % 5], GABLES[number % len(GABLES)]
        width = columns * (0.056 + 0.006 * rng.random()) + 0.012
        house = House(
            left=left,
            width=width,
            tall=0.29 + 0.10 * rng.random(),
            gable=gable,
            rise=(0.075 + 0.035 * rng.random()) * (0.55 if gable == "flat" else 1.0),
            wall=WALLS[walls[number % len(WALLS)]],
            columns=columns,
            floors=4,
            number=number,
            chance=rng.random((64, 64), np.float32),
        )
        houses.append(house)
        left += width + 0.001
    return houses


def _lay_quay(picture: Field, canvas: Canvas, noise: Noise) -> None:
    part = canvas.part(0, STREET - 0.012, canvas.aspect, WATERLINE)
    x, y = (field[part] for field in canvas.points)
    pavement = mix(hexes("c2b59e")[0], hexes("8b8072")[0], rise(y, STREET - 0.012, STREET))
    lay_over(
        picture[part],
        pavement * (1 + 0.10 * noise(x * 80, y * 300))[..., None],
        rise(y, STREET - 0.012, STREET - 0.008),
    )
    course = np.floor((y - STREET) / 0.0125)
    block = (x / 0.042 + 0.5 * (course % 2)) % 1
    joint = np.minimum(np.abs(block - 0.5) * 2, 1) > 0.95
    joint |= np.abs((y - STREET) / 0.0125 % 1 - 0.5) > 0.43
    tone = np.clip(0.25 + 0.5 * noise.fractal(x * 26, y * 60, octaves=4) + (y - STREET) / 0.06, 0, 1)
    stone = mix(STONE[0], STONE[1], tone)
    lay_over(stone, hexes("2f332c")[0], 0.6 * joint)
    wet = y + 0.006 * noise(x[:1] * 30, 1.5)
    lay_over(stone, hexes("38432b")[0], 0.75 * rise(wet, WATERLINE - 0.016, WATERLINE))
    lay_over(picture[part], stone, y > STREET)
    lay_over(picture[part], hexes("d9ccb4")[0], np.abs(y - STREET) < 0.003)


def _lay_tree(
    picture: Field, canvas: Canvas, foot: float, tall: float, noise: Noise, rng: np.random.Generator
) -> None:
    """An autumn tree: a trunk, and leaves in clumps that the sun catches from the left."""
    part = canvas.part(foot - 0.1 * tall, STREET - 0.8 * tall, foot + 0.1 * tall, STREET + 0.004)
    x, y = (field[part] for field in canvas.points)
    up, side = (STREET + 0.002 - y) / tall, (x - foot) / tall
    trunk = np.abs(side - 0.03 * np.sin(5 * up)) < 0.028 * (1.35 - up) + 0.03 * rise(up, 0.08, 0.0)
    bark = mix(hexes("8a7458")[0], hexes("2a221e")[0], rise(side, -0.025, 0.02))
    bark *= (1 + 0.25 * noise(x * 260, y * 60))[..., None]
    lay_over(picture[part], bark, trunk & (up > 0) & (up < 0.75))
    for turn in rng.random(26):
        bearing, reach = turn * 50, np.sqrt(rng.random())
        px, py = (
            foot + 0.36 * tall * reach * np.cos(bearing),
            STREET - tall * (0.72 + 0.28 * reach * np.sin(bearing)),
        )
        _lay_leaves(picture, canvas, (px, py), tall * (0.13 + 0.07 * rng.random()), noise)


def _lay_leaves(
    picture: Field, canvas: Canvas, middle: tuple[float, float], size: float, noise: Noise
) -> None:
    """A ragged clump of leaves, bright towards the sun."""
    (px, py), reach = middle, 1.6 * size
    part = canvas.part(px - reach, py - reach, px + reach, py + reach)
    x, y = (field[part] for field in canvas.points)
    right, down = (x - px) / size, (y - py) / size
    leaves = noise.fractal(x * 95 + px * 60, y * 95, octaves=3)
    light = np.clip(0.50 - 0.33 * right - 0.33 * down + 0.5 * leaves, 0, 1)
    cover = rise(np.hypot(right, down) - 0.75 * leaves, 1.0, 0.86) * rise(np.hypot(right, down), 1.6, 1.5)
    lay_over(picture[part], ramp(light, (0, 0.4, 0.75, 1), LEAF), cover)


def _lay_lamp(picture: Field, canvas: Canvas, foot: float) -> None:
    part = canvas.part(foot - 0.06, STREET - 0.16, foot + 0.06, STREET + 0.002)
    x, y = (field[part] for field in canvas.points)
    side, up = x - foot, STREET - y
    post = (np.abs(side) < 0.0022 + 0.003 * rise(up, 0.02, 0.0)) & (up < 0.098)
    lantern = (np.abs(side) < 0.0045 + 0.10 * (up - 0.098)) & (up > 0.098) & (up < 0.122)
    roof = (np.abs(side) < 0.009 * (1 - (up - 0.122) / 0.012)) & (up >= 0.122)
    picture[part] += 0.35 * hexes("ffb95e") * np.exp(-((np.hypot(side, up - 0.11) / 0.022) ** 2))[..., None]
    lay_over(picture[part], hexes("1d2420")[0], post | roof)
    lay_over(picture[part], hexes("ffe9b0")[0], lantern)
    frame = lantern & ((np.abs(side) < 0.0008) | (np.abs(side) > 0.0034 + 0.10 * (up - 0.098)))
    lay_over(picture[part], hexes("1d2420")[0], frame)


def _lay_boat(picture: Field, canvas: Canvas, middle: float, level: float, size: float) -> None:
    """A moored boat under a tarpaulin, and its dark image in the water."""
    part = canvas.part(middle - 1.3 * size, level - size, middle + 1.3 * size, level + 0.6 * size)
    x, y = (field[part] for field in canvas.points)
    right, up = (x - middle) / size, (level - y) / size
    for flip, depth in ((-1, 0.60), (1, 1.0)):
        above = up * flip + (0.012 * np.sin(up * 70) if flip < 0 else 0)
        rail = 0.22 + 0.13 * right**2 + 0.03 * right
        hull = (above > -0.01) & (above < rail) & (np.abs(right) < 0.88 + 0.5 * above)
        paint = ramp(
            above / rail,
            (0, 0.18, 0.2, 0.80, 0.84, 1.0),
            hexes("3b1f1a", "7a2f24", "1f4a5a", "2f6f80", "efe3c8", "cdbb98"),
        )
        paint *= (1.08 - 0.18 * right)[..., None]
        cover = (above >= rail - 0.02) & (
            above < rail + 0.17 * np.clip(1 - ((right + 0.1) / 0.66) ** 2, 0, 1)
        )
        folds = np.clip(0.55 + 0.35 * np.sin(right * 26) * rise(above, rail + 0.18, rail) - 0.3 * right, 0, 1)
        lay_over(picture[part], ramp(folds, (0, 0.6, 1), hexes("4a5a3a", "8a9a62", "c9cf9a")), depth * cover)
        lay_over(picture[part], paint, depth * hull)
