"""A tree by a river at sunrise in leaded glass, with the light behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from velatura.imaging.samples.canvas import Canvas, Field, blur, polygon, shrink
from velatura.imaging.samples.colour import hexes, ramp, rise
from velatura.imaging.samples.noise import Noise, cells

__all__ = ["draw"]

LEAD = hexes("15151b", "5d6470")
SUN = hexes("fff7c0", "ffe066", "ffc22e")
DAWN = hexes("ffd23f", "ffac2b", "fb7a3c", "e8476a", "a03a9a", "4a35a8", "20298a")
PEAKS = hexes("6a4fb5", "4a6fd0", "8a63c0", "3f4aa8", "9bb4f0")
MEADOW = hexes("2f9e44", "5cb83c", "a3cf3a", "1f7f4c", "d4d84a")
RIVER = hexes("27b8c9", "5fd4d6", "1b86c4", "a8ece0", "2a66c8")
BARK = hexes("7a4526", "9a5b2c", "5a2f20", "b5763a")
LEAVES = hexes("0f7a3d", "2aa84a", "67c23a", "116b55", "b7d936")
FRUIT = hexes("e01f2d", "ff4a36")
PETALS = hexes("d6123f", "f23b5f", "ff7a8a", "a80d3d")
STEM = hexes("1c8a4a", "4cb04a")
SUN_AT = (0.90, 0.40)
KINDS = 4096


class Window:
    """Pieces of glass: which piece each pixel lies in, and its colour.

    Args:
        canvas: What the window fills.
        rng: Chooses among the colours of each kind of glass.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.piece = np.zeros((canvas.height, canvas.width), np.int64)
        self.colour = canvas.filled((0, 0, 0))
        self._chance = rng.random((KINDS, 2)).astype(np.float32)
        self._kinds = 0

    def set(
        self, inside: ArrayLike, piece: ArrayLike, glass: Field, *, tone: ArrayLike | None = None
    ) -> None:
        """Replace a shape by pieces numbered within it.

        Args:
            inside: The shape, ``(H, W)``.
            piece: Whole number of the piece of every pixel.
            glass: Colours to choose from by chance, or a gradient to choose from by ``tone``.
            tone: Place in the gradient, 0 to 1, the same all over a piece.
        """
        self._kinds += 1
        inside = np.broadcast_to(np.asarray(inside, np.bool_), self.piece.shape)
        number = np.broadcast_to(np.asarray(piece, np.int64), self.piece.shape)[inside]
        choice, light = self._chance[(number * 7919 + self._kinds * 104729) % KINDS].T
        if tone is None:
            colour = glass[(choice * len(glass)).astype(np.intp)]
        else:
            level = np.broadcast_to(tone, self.piece.shape)[inside] + 0.16 * (choice - 0.5)
            colour = ramp(level, np.linspace(0, 1, len(glass)), glass)
        self.colour[inside] = colour * (0.82 + 0.30 * light)[:, None]
        self.piece[inside] = number + self._kinds * 1_000_003

    def shatter(self, inside: ArrayLike, x: Field, y: Field, glass: Field, rng: np.random.Generator) -> None:
        """Replace a shape by irregular pieces, of size 1 in the coordinates given."""
        inside = np.broadcast_to(np.asarray(inside, np.bool_), self.piece.shape)
        piece = np.zeros(self.piece.shape, np.int64)
        piece[inside] = cells(x[inside], y[inside], rng)
        self.set(inside, piece, glass)


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Cut the pieces from far to near, then join them with lead and light them from behind."""
    noise = Noise(rng)
    window = Window(canvas, rng)
    x, y = canvas.points
    waver = 0.012 * noise.fractal(x * 3, y * 3, octaves=2)
    _set_dawn(window, x + waver, y + waver, rng)
    _set_peaks(window, x, y, rng)
    _set_meadow(window, x, y, rng)
    _set_river(window, x + waver, y)
    _set_tree(window, canvas, x, y, rng)
    for middle, level, size in ((1.10, 0.80, 0.115), (1.28, 0.73, 0.135), (1.42, 0.84, 0.105)):
        _set_tulip(window, x, y, middle, level, size)
    return _lit(canvas, window, noise)


def _set_dawn(window: Window, x: Field, y: Field, rng: np.random.Generator) -> None:
    right, down = x - SUN_AT[0], y - SUN_AT[1]
    distance, bearing = np.hypot(right, down), np.arctan2(down, right) / (2 * np.pi) + 0.5
    edges = np.array([0.0, 0.095, 0.165, 0.25, 0.35, 0.47, 0.61, 0.78, 1.0, 2.0])
    ring = np.searchsorted(edges, distance) - 1
    spokes = np.array([1, 12, 18, 18, 24, 24, 30, 36, 36])[ring]
    offset = rng.random(len(edges))[ring]
    sector = np.floor(bearing * spokes + offset).astype(np.int64) % spokes
    window.set(True, ring * 100 + sector, DAWN, tone=(ring - 1.2) / 6.2)
    window.set(ring <= 1, ring * 100 + sector, SUN, tone=ring * 0.75)


def _set_peaks(window: Window, x: Field, y: Field, rng: np.random.Generator) -> None:
    for level, height, pace, shift in ((0.53, 0.19, 2.6, 0.45), (0.57, 0.09, 3.7, 2.5)):
        fold = np.abs((pace * x[:1] + shift) % 2 - 1)
        crest = level - height * fold + 0.025 * np.sin(9 * x[:1])
        window.shatter(y > crest, x * 7 + y * 4, y * 6 - x * 3, PEAKS, rng)
        snow = (y > crest) & (y < level - height * 0.62 + 0.02 * np.sin(40 * x))
        window.set(snow, np.floor(x * 7), hexes("f1f4ff", "d5e2ff"))


def _set_meadow(window: Window, x: Field, y: Field, rng: np.random.Generator) -> None:
    for level, height, pace, shift, size in ((0.60, 0.022, 5.0, 0.3, 8.0), (0.72, 0.030, 3.5, 2.0, 5.5)):
        depth = y - level - height * np.sin(pace * x + shift)
        window.shatter(depth > 0, x * size, depth * size * 1.9, MEADOW, rng)


def _set_river(window: Window, x: Field, y: Field) -> None:
    """Bands that wind from the horizon to the lower edge."""
    near = np.clip((y - 0.592) / 0.41, 0, None)
    middle = 0.90 - 0.20 * np.sin(5.2 * near**0.7) * near**0.5 - 0.30 * near**1.5
    half = 0.030 + 0.25 * near**1.2
    place = (x - middle) / half
    band = np.floor((place + 1) * 2)
    along = np.floor(9 * near**0.8 + 0.5 * band)
    window.set((np.abs(place) < 1) & (near > 0), band * 50 + along, RIVER)


def _set_tree(window: Window, canvas: Canvas, x: Field, y: Field, rng: np.random.Generator) -> None:
    crown = np.minimum.reduce(
        [
            np.hypot((x - px) / rx, (y - py) / ry)
            for px, py, rx, ry in (
                (0.33, 0.27, 0.27, 0.23),
                (0.13, 0.34, 0.21, 0.20),
                (0.54, 0.36, 0.19, 0.16),
            )
        ]
    )
    window.shatter(crown < 1, x * 11 + 3 * y, y * 13, LEAVES, rng)
    half = 0.042 + 0.09 * rise(y, 0.80, 1.02) + 0.02 * rise(y, 0.55, 0.4)
    side = (x - 0.33 - 0.02 * np.sin(6 * y)) / half
    window.set((np.abs(side) < 1) & (y > 0.40), np.floor(y * 8.5) * 2 + (side > 0.1), BARK)
    for tip, root in (
        ((0.12, 0.30), (0.32, 0.53)),
        ((0.57, 0.33), (0.34, 0.50)),
        ((0.30, 0.14), (0.335, 0.45)),
    ):
        limb = polygon(canvas, [(root[0] - 0.028, root[1]), tip, (root[0] + 0.028, root[1] - 0.012)])
        window.set(limb > 0, np.floor(np.hypot(x - root[0], y - root[1]) * 9), BARK)
    for number in range(11):
        bearing, reach = number * 2.4, 0.22 * np.sqrt((number + 0.6) / 11)
        px, py = 0.32 + 1.25 * reach * np.cos(bearing), 0.30 + 0.72 * reach * np.sin(bearing)
        window.set(np.hypot(x - px, y - py) < 0.026, number, FRUIT)


def _set_tulip(window: Window, x: Field, y: Field, middle: float, level: float, size: float) -> None:
    right, up = (x - middle) / size, (level - y) / size
    stem = (np.abs(right - 0.06 * np.sin(2 * up)) < 0.085) & (up < 0)
    window.set(stem, np.floor(up * 0.9), STEM)
    for lean in (-1, 1):
        blade = (
            np.abs(right - lean * (0.75 - 0.28 * (up + 1.5) ** 2))
            < 0.20 * np.clip(1.0 - np.abs(up + 1.5), 0, 1) ** 0.6
        )
        window.set(blade, lean + np.floor(up + 0.5) * 5, STEM)
    cup = np.hypot(right / 0.72, (up - 0.45) / 0.85)
    tips = up < 1.05 + 0.18 * np.cos(right * 9.5)
    shape = (cup < 1) & tips & (up > -0.32)
    outer = np.hypot((np.abs(right) - 0.62) / 0.52, (up - 0.45) / 1.0) < 0.96
    window.set(shape, np.where(outer, np.sign(right) * 2, up > 0.5).astype(np.int64), PETALS)


def _lit(canvas: Canvas, window: Window, noise: Noise) -> Field:
    x, y = canvas.plain.points
    profile = shrink(_came(window.piece, canvas), canvas.oversampling)
    streak = noise.fractal(x * 6 + 2 * noise(x * 2, y * 2), y * 22, octaves=3)
    ripple = noise.fractal(x * 34, y * 34, octaves=2)
    glow = 0.80 + 0.38 * np.exp(-1.6 * np.hypot(x - SUN_AT[0], y - SUN_AT[1]))
    seeds = rise(noise(x * 75, y * 75), 0.62, 0.75)
    clear = (
        shrink(window.colour, canvas.oversampling)
        * (glow + 0.24 * streak + 0.17 * ripple + 0.30 * seeds)[..., None]
    )
    clear *= (1 - 0.45 * rise(profile, 0.02, 0.35))[..., None]
    down, right = np.gradient(profile)
    shine = np.clip(0.3 + 1.2 * (right + down) * canvas.plain.height / 512, 0, 1)
    came = LEAD[0] + (LEAD[1] - LEAD[0]) * (shine * rise(profile, 0.4, 0.9))[..., None]
    cover = rise(profile, 0.36, 0.50)[..., None]
    picture = np.clip(clear, 0, 1.15) * (1 - cover) + came * cover
    bloom = 0.16 * blur(picture, 0.014 * canvas.plain.height)
    return np.asarray(np.clip(picture + bloom, 0, 1), np.float32)


def _came(piece: NDArray[np.int64], canvas: Canvas) -> Field:
    """Cross-section of the lead between pieces: 1 on the joint, falling to 0 on either side."""
    joint = np.zeros(piece.shape, np.uint8)
    joint[:, 1:] |= (piece[:, 1:] != piece[:, :-1]).astype(np.uint8)
    joint[1:] |= (piece[1:] != piece[:-1]).astype(np.uint8)
    radius = 0.0042 * canvas.height
    soft = Image.fromarray(joint * 255).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(np.clip(np.asarray(soft, np.float32) / 255 * (radius * 2.0), 0, 1))
