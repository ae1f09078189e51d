"""A lagoon with sails in thin washes: pigment that gathers at the edges and settles in the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, rise
from velatura.imaging.samples.noise import Noise

__all__ = ["draw"]

PAPER = hexes("fbf7ec")[0]
# Pigments by the colour that a full wash lets through.
ROSE, OCHRE, SIENNA, SAFFRON, VERMILION = hexes("f2a0a0", "f0c876", "c98052", "f3a63c", "d9573a")
COBALT, VIRIDIAN, VIOLET, INDIGO = hexes("7fa8d8", "7dbfae", "a890c8", "4a5a86")
SHORE = 0.545
TOWER, ROOFS = 0.47, 0.475
DOMES = ((0.70, 0.455, 0.066), (0.81, 0.478, 0.040), (0.605, 0.482, 0.036))
# Boats: middle, waterline, size, and the pigments of the sails; the far ones first.
BOATS = (
    (0.28, 0.605, 0.085, ROSE, OCHRE),
    (1.32, 0.640, 0.120, OCHRE, SIENNA),
    (1.00, 0.765, 0.265, SAFFRON, VERMILION),
)


class Sheet:
    """Paper that takes one transparent wash after another.

    Args:
        canvas: Its grid of pixels.
        rng: Source of the paper's grain and of the ragged edges.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.x, self.y = canvas.points
        self._unit, self._rng = canvas.height, rng
        self.noise = Noise(rng)
        self._grain = self.noise.fractal(self.x * 95, self.y * 95, octaves=3)
        self._density = np.zeros((canvas.height, canvas.width, 3), np.float32)

    def wash(self, shape: Field, pigment: Field, strength: ArrayLike = 1.0, *, wet: float = 0.0) -> None:
        """Lay one wash.

        Args:
            shape: Above 0 inside, in picture heights from the edge, ``(H, W)``.
            pigment: What a full wash lets through, ``(3,)``.
            strength: Of the wash, which may vary over the paper.
            wet: Width over which the edge runs into wet paper; 0 leaves it hard and dark.
        """
        raggedness = 0.005 + 0.5 * wet
        part = _around(shape > -1.5 * raggedness - 0.0015 - wet)
        x, y, grain, inside = self.x[part], self.y[part], self._grain[part], shape[part]
        u, v = self._rng.random(2) * 90
        inside = inside + raggedness * self.noise.fractal(x * 16 + u, y * 16 + v, octaves=4)
        flow = self.noise.fractal(x * 3.2 + v, y * 3.2 + u, octaves=3)
        pool = 0.60 * np.exp(-np.clip(inside, 0, None) / 0.0045) if wet == 0 else 0
        settled = np.clip(0.80 + 0.50 * flow + pool + 0.13 * grain, 0.1, None)
        cover = rise(inside, -0.0015 - wet, 0.0015 + wet) * np.broadcast_to(strength, shape.shape)[part]
        self._density[part] -= np.log(pigment) * (cover * settled)[..., None]

    def reserve(self, shape: Field) -> None:
        """Keep a shape nearly white, as masking fluid would have."""
        self._density *= (1 - 0.93 * rise(shape, -0.001, 0.001))[..., None]

    def dried(self) -> Field:
        """The finished sheet in a light from the upper left, ``(H, W, 3)`` in [0, 1]."""
        down, right = np.gradient(self._grain)
        slope = np.clip(np.asarray(right + down, np.float32) * np.float32(self._unit / 512), -1, 1)
        tooth = 1 + np.float32(0.045) * slope
        return np.asarray(np.clip(PAPER * np.exp(-self._density) * tooth[..., None], 0, 1), np.float32)


def _around(inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold a shape."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Wash in sky and water, then the far town, and the boats with their images in the water."""
    sheet = Sheet(canvas.plain, rng)
    _wash_sky(sheet)
    _wash_water(sheet)
    _wash_town(sheet)
    for boat in BOATS:
        _wash_boat(sheet, *boat)
    _wash_posts(sheet)
    return sheet.dried()


def _wash_sky(sheet: Sheet) -> None:
    x, y = sheet.x, sheet.y
    cloud = sheet.noise.fractal(x * 2.2, y * 3.5, octaves=4)
    sheet.wash(SHORE - y, OCHRE, 0.50 * rise(y, 0.1, 0.5), wet=0.05)
    sheet.wash(0.08 - np.abs(y - 0.40), ROSE, 0.55, wet=0.07)
    sheet.wash(0.12 * (0.10 - cloud) + 0.2 * (0.32 - y), COBALT, 1.0 - 1.4 * y, wet=0.03)
    sheet.wash(np.minimum(0.15 * (cloud - 0.18), 0.40 - y), VIOLET, 0.40, wet=0.02)


def _wash_water(sheet: Sheet) -> None:
    x, y = sheet.x, sheet.y
    depth = y - SHORE
    ripple = sheet.noise.fractal(x * 3, y * 22, octaves=3)
    sheet.wash(depth, VIRIDIAN, 0.35 + 0.9 * np.clip(depth, 0, None), wet=0.012)
    sheet.wash(
        np.minimum(depth, 0.05 * (ripple - 0.05)), COBALT, 0.55 + 0.9 * np.clip(depth, 0, None), wet=0.006
    )
    sheet.wash(np.minimum(depth - 0.05, 0.07 * (-ripple - 0.24)), COBALT, 0.65)
    sheet.wash(np.minimum(depth - 0.22, 0.07 * (ripple - 0.30)), INDIGO, 0.40)


def _wash_town(sheet: Sheet) -> None:
    """Domes and a bell tower in the haze, their shaded sides, and the windows of the houses."""
    x, y = sheet.x, sheet.y
    above = SHORE - y
    steps = 0.018 * np.sign(np.sin(x * 23)) + 0.014 * np.sign(np.sin(x * 41 + 1))
    roofs = np.minimum(y - ROOFS - steps - 0.05 * rise(x, 0.85, 1.5), above)
    tall, shade = _towers(x, y)
    town = np.minimum(np.maximum(roofs, tall), above)
    sheet.wash(town, VIOLET, 0.70)
    sheet.wash(np.minimum(town, 0.012 * sheet.noise(x * 7, y * 3) + 0.002), OCHRE, 0.50)
    sheet.wash(np.minimum(np.minimum(tall, shade), above), INDIGO, 0.32)
    windows = _box(x % 0.022 - 0.011, y % 0.034 - 0.017, 0.0035, 0.008)
    sheet.wash(np.minimum.reduce([windows, roofs - 0.006, above - 0.012]), INDIGO, 0.75)
    waver = 0.004 * sheet.noise.fractal(x * 8, y * 60, octaves=2)
    image = np.minimum(2 * SHORE - y - ROOFS + waver, -above)
    tower = _box(x - TOWER - 2 * waver, y - 0.71, 0.02, 0.15)
    sheet.wash(np.maximum(image, tower), VIOLET, 0.45, wet=0.006)


def _towers(x: Field, y: Field) -> tuple[Field, Field]:
    """The bell tower and the domes, and where they turn from the light, each above 0 inside."""
    spire = np.minimum(0.024 * (y - 0.15) / 0.075 - np.abs(x - TOWER), np.minimum(y - 0.15, 0.228 - y))
    shapes = [spire, _box(x - TOWER, y - 0.39, 0.022, 0.165)]
    shaded = [0.6 * np.minimum(x - TOWER - 0.004, TOWER + 0.03 - x)]
    for middle, level, radius in DOMES:
        right, down = x - middle, y - level
        shapes.append(np.minimum(radius - np.hypot(right, 0.85 * down), SHORE - y))
        shapes.append(_box(right, down + 1.25 * radius, 0.0055, 0.026))
        shapes.append(_box(right, down - 0.05, 0.92 * radius, 0.055))
        shaded.append(0.6 * np.minimum(right - 0.2 * radius, 1.3 * radius - right))
    return np.maximum.reduce(shapes), np.maximum.reduce(shaded)


def _wash_boat(sheet: Sheet, middle: float, foot: float, size: float, sail: Field, trim: Field) -> None:
    """A boat with two sails: first its broken image on the water, then itself on paper kept white."""
    right, up = (sheet.x - middle) / size, (foot - sheet.y) / size
    waver = 0.10 * sheet.noise.fractal(sheet.x * 1.8 / size, sheet.y * 70, octaves=2)
    image = Boat.seen(right + waver, -1.1 * up, size)
    image.wash_onto(sheet, sail, trim, 0.42, wet=0.004)
    boat = Boat.seen(right, up, size)
    sheet.reserve(np.maximum.reduce([boat.main, boat.fore, boat.hull]))
    boat.wash_onto(sheet, sail, trim, 1.0, wet=0.0)


@dataclass(frozen=True)
class Boat:
    """The parts of a boat, each above 0 inside, in picture heights from its edge, ``(H, W)``."""

    main: Field
    band: Field
    belly: Field
    fore: Field
    hull: Field
    rail: Field
    mast: Field

    @classmethod
    def seen(cls, right: Field, up: Field, size: float) -> Boat:
        """A boat of this size, by places in sizes from the middle of its waterline."""
        main = _triangle(right, up, (-0.52, 0.16), (0.42, 0.10), (0.12, 1.62))
        fore = _triangle(right, up, (0.36, 0.18), (0.92, 0.26), (0.52, 1.12))
        hull = np.minimum(up + 0.10 - 0.03 * right**2, 0.085 + 0.16 * right**2 - up)
        hull = np.minimum(hull, 0.95 + 0.25 * up - np.abs(right - 0.08))
        band = np.minimum(main, 0.12 - np.abs(up - 0.62 - 0.3 * right))
        belly = np.minimum(main, right - 0.10 + 0.02 * up)
        mast = np.minimum(0.017 - np.abs(right - 0.12 - 0.02 * up), np.minimum(up, 1.72 - up))
        parts = (main, band, belly, fore, hull, np.minimum(hull, up - 0.05), mast)
        return cls(*(part * np.float32(size) for part in parts))

    def wash_onto(self, sheet: Sheet, sail: Field, trim: Field, strength: float, *, wet: float) -> None:
        """Lay the washes of every part, from the sails to the mast."""
        for part, pigment, amount in (
            (self.main, sail, 1.0),
            (self.band, trim, 0.75),
            (self.belly, SIENNA, 0.55),
            (self.fore, trim, 0.9),
            (self.hull, INDIGO, 1.35),
            (self.rail, SIENNA, 0.8),
            (self.mast, INDIGO, 1.2),
        ):
            sheet.wash(part, pigment, amount * strength, wet=wet)


def _wash_posts(sheet: Sheet) -> None:
    """Mooring posts in the foreground, banded like barbers' poles."""
    x, y = sheet.x, sheet.y
    wobble = 0.012 * sheet.noise.fractal(x * 9, y * 60, octaves=2)
    posts = ((0.085, 0.56, 0.93), (0.150, 0.62, 0.955), (0.225, 0.59, 0.90))
    for middle, top, foot in posts:
        lean = middle + 0.04 * (y - foot)
        post = np.minimum(0.0115 - np.abs(x - lean), np.minimum(y - top, foot - y))
        sheet.reserve(post)
        sheet.wash(post, OCHRE, 0.6)
        sheet.wash(np.minimum(post, 0.011 - np.abs((y + 0.5 * x) % 0.056 - 0.028)), VERMILION, 1.1)
        sheet.wash(np.minimum(post, x - lean - 0.001), INDIGO, 0.65)
        image = np.minimum(0.012 - np.abs(x - middle + wobble), np.minimum(y - foot, foot + 0.09 - y))
        sheet.wash(image, INDIGO, 0.7, wet=0.003)


def _box(right: Field, down: Field, half_width: float, half_height: float) -> Field:
    return np.minimum(half_width - np.abs(right), half_height - np.abs(down))


def _triangle(
    x: Field, y: Field, first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]
) -> Field:
    """Distance from the sides of a triangle whose corners turn counter-clockwise, above 0 inside."""
    sides = []
    for (ax, ay), (bx, by) in ((first, second), (second, third), (third, first)):
        length = np.hypot(bx - ax, by - ay)
        sides.append(((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / length)
    return np.asarray(np.minimum.reduce(sides), np.float32)
