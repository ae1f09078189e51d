"""The front of a gabled town house: wall, windows, door, shop and roof.

Positions on a front are ``u`` from its left edge and ``v`` up from the street, in picture heights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.noise import Noise

__all__ = ["House", "lay_house"]

ROOFS = hexes("8c4a38", "6d4a44", "54545c")
DOORS = hexes("24463f", "7a1f22", "233a5e", "3b2a20")
AWNINGS = hexes("b8322c", "2d6a4f")
FRAME, CREAM, GRIME, DUST = hexes("f3eee0", "efe4cc", "241a18", "5a4a40")
COURSE, BRICK = 0.0062, 0.0150


@dataclass(frozen=True, kw_only=True)
class House:
    """One front; lengths are in picture heights.

    Args:
        left: Its left edge.
        width: From edge to edge.
        tall: From the street to the foot of the gable.
        gable: Name of the gable's outline.
        rise: Height of the gable.
        wall: Colour of the wall, ``(3,)``.
        columns: Windows in a row.
        floors: Rows of windows.
        number: Its place in the row, from which its paint and its shop follow.
        chance: Random numbers in [0, 1) for its bricks and windows, ``(64, 64)``.
    """

    left: float
    width: float
    tall: float
    gable: str
    rise: float
    wall: Field
    columns: int
    floors: int
    number: int
    chance: Field


def lay_house(picture: Field, canvas: Canvas, house: House, street: float, noise: Noise) -> None:
    """Paint one house onto the picture in place.

    Args:
        picture: ``(H, W, 3)``.
        canvas: The picture's grid.
        house: What to paint.
        street: Where it stands, in heights from the top.
        noise: Source of its stains.
    """
    top = street - house.tall - house.rise
    part = canvas.part(house.left, top - 0.05, house.left + house.width, street)
    x, y = (field[part] for field in canvas.points)
    if x.size == 0:
        return
    u, v = x - np.float32(house.left), np.float32(street) - y
    _lay_roof(picture[part], house, u, v, noise)
    front = _wall(house, u, v, noise)
    _lay_windows(front, house, u, v, noise)
    _lay_door(front, house, u, v)
    _lay_shop(front, house, u, v)
    reach = house.tall + house.rise * _outline(house.gable, np.abs(2 * u / house.width - 1))
    coping = rise(v, reach - 0.010, reach - 0.008)
    stone = mix(hexes("efe6d2")[0], hexes("b3a58f")[0], rise(u / house.width, 0.3, 0.9))
    lay_over(front, stone, 0.9 * coping)
    lay_over(front, GRIME, 0.45 * rise(v, reach - 0.020, reach - 0.012) * (1 - coping))
    lay_over(picture[part], front, rise(v, reach + canvas.pixel, reach))


def _outline(gable: str, side: Field) -> Field:
    """Height of a gable, 0 to 1, by the distance from its middle, 0 to 1."""
    height: ArrayLike = 1 - side
    if gable == "step":
        height = np.clip(np.ceil((1 - side) * 6) / 6, 0, 1)
    elif gable == "bell":
        crown = 0.80 + 0.2 * np.sqrt(np.clip(1 - (side / 0.34) ** 2, 0, 1))
        height = np.maximum(0.67 - 0.62 * rise(side, 0.30, 0.95), (side < 0.34) * crown)
    elif gable == "neck":
        curl = 0.60 * (1 - np.clip((side - 0.40) / 0.6, 0, 1)) ** 2.2
        height = np.where(side < 0.40, 0.84 + 0.16 * (1 - side / 0.40), curl)
    elif gable == "flat":
        height = np.ones_like(side)
    return np.asarray(height, np.float32)


def _lay_roof(picture: Field, house: House, u: Field, v: Field, noise: Noise) -> None:
    """Tiles and a chimney that show beside and above the gable."""
    ridge = house.tall + house.rise * (0.80 if house.gable != "flat" else 1.55)
    courses = 0.90 + 0.10 * np.sin(v * 900) + 0.10 * noise(u * 90 + house.number, v * 90)
    margin = 0.10 * house.width
    inside = (u > margin + 0.3 * np.clip(v - house.tall, 0, None)) & (u < house.width - margin) & (v < ridge)
    lay_over(picture, ROOFS[house.number % len(ROOFS)] * (courses * 0.9)[..., None], inside)
    across = u - 0.80 * house.width
    stack = (np.abs(across) < 0.011) & (v < ridge + 0.035)
    brick = mix(hexes("b0705a")[0], hexes("5c3a36")[0], rise(across, -0.006, 0.006))
    lay_over(picture, brick * (1 - 0.35 * rise(v, ridge + 0.026, ridge + 0.028))[..., None], stack)


def _wall(house: House, u: Field, v: Field, noise: Noise) -> Field:
    """Plaster or brick with its stains, lit from the left."""
    stains = noise.fractal(u * 10 + house.number * 9, v * 4, octaves=5)
    if house.wall.sum() < 1.75:  # dark walls are bare brick
        grain = _bricks(house, u, v)
    else:
        grain = 0.05 * noise.fractal(u * 90, v * 90 + house.number, octaves=2)
    light = 1.04 - 0.16 * u / house.width + 0.09 * stains + grain - 0.22 * rise(v, 0.05, 0.0)
    neighbour = 0.30 * rise(u, 0.022 - 0.014 * (house.number % 3), 0.0) * rise(v, 0.0, 0.02)
    warm = house.wall * np.array([1.04, 1.0, 0.94], np.float32)
    return np.asarray(warm * (light * (1 - neighbour))[..., None], np.float32)


def _bricks(house: House, u: Field, v: Field) -> Field:
    course = np.floor(v / COURSE)
    along = u / BRICK + 0.5 * (course % 2)
    chance = house.chance[course.astype(np.intp) % 64, np.floor(along).astype(np.intp) % 64]
    joint = np.minimum(np.abs(v / COURSE % 1 - 0.5), np.abs(along % 1 - 0.5) * 2.4)
    return np.asarray(0.16 * (chance - 0.5) + 0.10 * rise(joint, 0.46, 0.40), np.float32)


def _lay_windows(front: Field, house: House, u: Field, v: Field, noise: Noise) -> None:
    """Rows of sash windows, and one in the gable."""
    margin, foot = 0.010, 0.088
    pitch = (house.width - 2 * margin) / house.columns
    storey = (house.tall - foot - 0.008) / (house.floors - 1)
    column, level = np.floor((u - margin) / pitch), np.floor((v - foot) / storey)
    inside = (column >= 0) & (column < house.columns) & (level >= 0) & (level < house.floors - 1)
    chance = house.chance[level.astype(np.intp) % 64, column.astype(np.intp) % 64]
    p = (u - margin) / pitch % 1 * pitch - pitch / 2
    q = (v - foot) / storey % 1 * storey - 0.47 * storey
    _lay_window(front, p, q, (0.0145, 0.40 * storey * (1 - 0.06 * level)), inside, chance, noise)
    if house.gable in ("peak", "step", "neck"):
        p, q = u - house.width / 2, v - house.tall - 0.36 * house.rise
        _lay_window(
            front, p, q, (0.0115, 0.021), np.ones(u.shape, np.bool_), np.full(u.shape, 0.2, np.float32), noise
        )


def _lay_window(
    front: Field,
    p: Field,
    q: Field,
    size: tuple[float, ArrayLike],
    inside: NDArray[np.bool_],
    chance: Field,
    noise: Noise,
) -> None:
    """A window set back in the wall, with a sill, by the place from its middle and half its size."""
    half, tall = size[0], np.asarray(size[1], np.float32)
    box = np.maximum(np.abs(p) - half, np.abs(q) - tall)
    below = -tall - q
    sill = inside & (np.abs(p) < half + 0.006) & (np.abs(below - 0.004) < 0.0032)
    under = inside & (np.abs(p - 0.002) < half + 0.006) & (below > 0.006)
    lay_over(front, GRIME, 0.35 * under * rise(below, 0.014, 0.007))
    lay_over(front, DUST, 0.55 * (inside & (box < 0.0050)))
    lay_over(front, FRAME * 0.97, inside & (box < 0.0034))
    lay_over(front, FRAME, sill)
    lay_over(front, _panes(p, q, half, tall, chance, noise), inside & (box < 0.0006))


def _panes(p: Field, q: Field, half: float, tall: Field, chance: Field, noise: Noise) -> Field:
    """Glass with the sky in it, a curtain here and a lamp there, behind glazing bars."""
    height = (q + tall) / (2 * tall) + 0.5 * noise(p * 50 + chance * 300, q * 34)
    glass = ramp(height, (0, 0.55, 1), hexes("1f2a33", "3a4c5c", "93aec4"))
    curtain = (np.abs(p) > half * (0.42 + 0.4 * chance)) & (chance > 0.35)
    lay_over(glass, hexes("e9e2d0")[0], 0.75 * curtain)
    lay_over(glass, hexes("ffc46b")[0], 0.85 * (chance > 0.86))
    recess = np.maximum(rise(q, tall - 0.011, tall - 0.002), rise(p, -half + 0.006, -half + 0.001))
    glass *= (1 - 0.55 * recess)[..., None]
    bars = (np.abs(p) < 0.0011) | (np.abs(q - 0.30 * tall) < 0.0013) | (np.abs(q + 0.38 * tall) < 0.0009)
    lay_over(glass, FRAME * 0.9, bars)
    return glass


def _lay_door(front: Field, house: House, u: Field, v: Field) -> None:
    """A panelled door, under the ledge that runs along the whole front."""
    lay_over(front, CREAM, 0.85 * ((v > 0.080) & (v < 0.086)))
    lay_over(front, GRIME, 0.4 * rise(v, 0.070, 0.080) * (v < 0.080))
    paint = DOORS[house.number % len(DOORS)]
    p = u - (0.24 if house.number % 2 else 0.76) * house.width
    door = (np.abs(p) < 0.014) & (v < 0.060)
    panels = (np.abs(np.abs(p) - 0.006) < 0.0038) & (np.abs(v % 0.022 - 0.011) < 0.0075)
    lay_over(front, hexes("e8dfca")[0], (np.abs(p) < 0.0175) & (v < 0.066))
    lay_over(front, paint, door)
    lay_over(front, paint * 0.6, door & panels & (v < 0.044))
    lay_over(front, hexes("2a343c")[0], door & (v > 0.047))


def _lay_shop(front: Field, house: House, u: Field, v: Field) -> None:
    """A lit shop window, for every third house under a striped awning."""
    p, half = u - (0.66 if house.number % 2 else 0.34) * house.width, 0.26 * house.width
    lay_over(front, DOORS[house.number % len(DOORS)], (np.abs(p) < half + 0.005) & (v > 0.008) & (v < 0.067))
    glass = (np.abs(p) < half) & (v > 0.018) & (v < 0.062) & (np.abs(p % 0.022 - 0.011) > 0.0012)
    glow = ramp(v / 0.062 + 1.5 * p, (0.2, 0.7, 1.1), hexes("5a3a20", "f2b661", "fbe2a6"))
    lay_over(front, glow, 0.9 * glass)
    if house.number % 3:
        return
    drop = np.clip((0.078 - v) / 0.024, 0, 1)
    hem = 0.054 + 0.003 * np.cos(p * 600)
    cloth = (np.abs(p) < half + 0.006 + 0.006 * drop) & (v < 0.078) & (v > hem)
    stripes = mix(CREAM, AWNINGS[house.number // 3 % 2], np.floor(p / 0.0085) % 2)
    lay_over(front, stripes * (1.05 - 0.25 * drop)[..., None], cloth)
    shadow = (np.abs(p) < half + 0.01) * rise(v, 0.036, 0.052) * (v < 0.052)
    lay_over(front, GRIME, 0.45 * shadow)
