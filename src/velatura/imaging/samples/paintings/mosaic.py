"""Fish in a whirling sea, in tesserae that follow the contours.

The tiles settle as in Hausner, "Simulating decorative mosaics", SIGGRAPH 2001: each moves to the
middle of the pixels that are nearer to it than to any other, where near is measured by a square
that is turned along the closest contour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from velatura.imaging.samples.canvas import Canvas, Field, blur, shrink
from velatura.imaging.samples.colour import hexes, mix, ramp, rise
from velatura.imaging.samples.noise import Noise, scatter
from velatura.imaging.samples.strokes import at

__all__ = ["draw"]

TILE = 0.0185  # edge of a tile
ROUNDS = 6
SETTLED_AT = 576  # widest canvas that the tiles settle on: more pixels would not move them
PIXELS_AT_ONCE = 1 << 20
NOBODY = np.iinfo(np.int64).max
GROUT = hexes("8d8271", "b5a994")
SEA = hexes("0d3b66", "146c94", "2a9d9f", "7cc6b8", "d5ead8")
FISH = hexes("8f2d14", "cf4f1d", "ee8a2a", "f8c04e", "fdebb0")
FIN = hexes("7a1f1f", "b8322a", "e8743a", "f6c56a")
WEED = hexes("1d4a2c", "3c7a3a", "85a93f", "c3cf6b")
BORDER = hexes("5a2318", "a8452c", "efe3c8", "1d2d44", "d9a441")
MARGIN = 0.085


@dataclass
class Cartoon:
    """What the mosaicist lays the tiles after, each ``(H, W)`` or with colours behind.

    Args:
        colour: Of the stones.
        region: Number of the shape; no tile crosses from one to the next.
    """

    colour: Field
    region: NDArray[np.int32]

    def put(self, inside: ArrayLike, colour: Field) -> None:
        """Add a shape over what is there."""
        inside = np.asarray(inside, np.bool_)
        self.colour = np.where(inside[..., None], colour, self.colour)
        self.region = np.where(inside, self.region.max() + 1, self.region)


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Draw the cartoon, let the tiles settle on it, then cut, tilt and grout them."""
    noise = Noise(rng)
    desk = Canvas.of_size(min(SETTLED_AT, canvas.plain.width), canvas.aspect, oversampling=1)
    draft = _cartoon(desk, noise)
    turn, room = _contours(draft.region), 1 - _edges(draft.region)
    sites = scatter(rng, spacing=TILE, aspect=canvas.aspect)
    for _ in range(ROUNDS):
        sites = _middles(desk, _tiles(desk, sites, turn, draft.region)[0], sites, room)
    cartoon = _cartoon(canvas.plain, noise)
    owner, reach = _tiles(canvas, sites, turn, canvas.spread(cartoon.region))
    return _grouted(canvas, owner, reach, at(cartoon.colour, sites), rng, noise)


def _contours(region: NDArray[np.int32]) -> Field:
    """Direction across the nearest contours, in radians."""
    edges = _edges(region)
    unit = region.shape[0]
    near, wide, far = (blur(edges, share * unit) for share in (0.012, 0.03, 0.07))
    down, right = np.gradient(blur(near + 3 * wide + 8 * far, 0.006 * unit))
    return np.asarray(np.arctan2(down, right), np.float32)


def _edges(region: NDArray[np.int32]) -> Field:
    edges = np.zeros(region.shape, np.float32)
    edges[:, 1:] += region[:, 1:] != region[:, :-1]
    edges[1:] += region[1:] != region[:-1]
    edges[[0, -1]] = edges[:, [0, -1]] = 1
    return np.minimum(edges, 1)


def _tiles(
    canvas: Canvas, sites: Field, turn: Field, region: NDArray[np.int32]
) -> tuple[NDArray[np.int64], Field]:
    """For every pixel the tile it belongs to (-1 for none), and how far from its middle it lies.

    The distance is that of the turned square, 1 at the edge of a tile that has all its room.
    """
    best = np.full(canvas.height * canvas.width, NOBODY, np.int64)
    reach = int(0.95 * TILE * canvas.height) + 1
    batch = max(1, PIXELS_AT_ONCE // (2 * reach + 1) ** 2)
    for first in range(0, len(sites), batch):
        part = sites[first : first + batch]
        place, square = _claims(canvas, part, at(turn, part), reach)
        number = np.broadcast_to(np.arange(first, first + len(part))[:, None, None], place.shape)
        own = (place >= 0) & (at(region, part)[:, None, None] == region.reshape(-1).take(place))
        # The nearest tile has the smallest key: its distance, then its number.
        key = ((square[own] * 4096).astype(np.int64) << 24) | number[own]
        np.minimum.at(best, place[own], key)
    shape = (canvas.height, canvas.width)
    owner = np.where(best < NOBODY, best & ((1 << 24) - 1), -1)
    return owner.reshape(shape), np.minimum((best >> 24) / 4096, 9).astype(np.float32).reshape(shape)


def _claims(canvas: Canvas, sites: Field, angle: Field, reach: int) -> tuple[NDArray[np.int64], Field]:
    """Index of every pixel around every site (-1 off the canvas), and its distance in half tiles."""
    window = np.arange(-reach, reach + 1)
    middle = np.floor(sites * canvas.height).astype(np.int64)
    column = middle[:, 0, None, None] + window[None, None, :]
    row = middle[:, 1, None, None] + window[None, :, None]
    right = ((column + 0.5) / canvas.height - sites[:, 0, None, None]).astype(np.float32)
    down = ((row + 0.5) / canvas.height - sites[:, 1, None, None]).astype(np.float32)
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    square = np.maximum(np.abs(right * cosine + down * sine), np.abs(down * cosine - right * sine))
    inside = (column >= 0) & (row >= 0) & (column < canvas.width) & (row < canvas.height)
    return np.where(inside, row * canvas.width + column, -1), square * np.float32(2 / TILE)


def _middles(canvas: Canvas, owner: NDArray[np.int64], sites: Field, weight: Field) -> Field:
    """Where each tile's pixels have their middle; a tile without pixels stays."""
    x, y = canvas.points
    mine = owner.reshape(-1) + 1
    total = np.bincount(mine, weight.reshape(-1), len(sites) + 1)[1:]
    sums = [np.bincount(mine, (weight * c).reshape(-1), len(sites) + 1)[1:] for c in (x, y)]
    middle = np.stack(sums, -1) / np.maximum(total, 1e-9)[:, None]
    return np.where(total[:, None] > 0, middle, sites).astype(np.float32)


def _grouted(
    canvas: Canvas,
    owner: NDArray[np.int64],
    reach: Field,
    colours: Field,
    rng: np.random.Generator,
    noise: Noise,
) -> Field:
    joint = np.zeros(owner.shape, np.float32)
    joint[:, 1:] += owner[:, 1:] != owner[:, :-1]
    joint[1:] += owner[1:] != owner[:-1]
    seam = blur(np.minimum(joint, 1), 0.0013 * canvas.height) * (0.0013 * canvas.height)
    stone = shrink(rise(seam, 0.24, 0.10) * rise(reach, 1.18, 1.06) * (owner >= 0), canvas.oversampling)
    count = len(colours)
    shade = 1 + 0.10 * rng.standard_normal((count, 1)) + 0.035 * rng.standard_normal((count, 3))
    tilt = rng.standard_normal((count, 2)).astype(np.float32)
    mine = np.maximum(owner, 0)
    colour = shrink((colours * shade).astype(np.float32)[mine], canvas.oversampling)
    x, y = canvas.plain.points
    grit = noise.fractal(x * 110, y * 110, octaves=2)
    lean = shrink((0.045 * tilt[mine].sum(-1)).astype(np.float32), canvas.oversampling)
    down, right = np.gradient(blur(stone, 0.0018 * canvas.plain.height))
    edge = np.asarray(np.clip((right + down) * canvas.plain.height / 465, -0.5, 0.6))
    lit = colour * (1 + lean + 0.05 * grit + edge)[..., None] + 0.10 * np.clip(edge, 0, 1)[..., None]
    bed = mix(GROUT[0], GROUT[1], np.clip(0.5 + 0.6 * grit, 0, 1))
    bed *= (0.85 + 0.5 * np.minimum(edge, 0))[..., None]
    return np.clip(mix(bed, lit, stone), 0, 1)


def _cartoon(canvas: Canvas, noise: Noise) -> Cartoon:
    x, y = canvas.points
    cartoon = Cartoon(*_sea(x, y, noise))
    for foot, tall, lean in (
        (0.20, 0.42, 0.5),
        (0.30, 0.28, -0.4),
        (1.34, 0.46, -0.5),
        (1.25, 0.30, 0.6),
        (0.62, 0.2, 0.5),
    ):
        _put_weed(cartoon, x, y, foot, tall, lean)
    for middle, level, size, turn in (
        (1.18, 0.25, 0.17, -0.25),
        (0.30, 0.30, 0.13, 0.3),
        (0.72, 0.50, 0.40, 0.12),
    ):
        _put_fish(cartoon, x - middle, y - level, size, turn)
    for middle, level, radius in (
        (0.245, 0.50, 0.022),
        (0.21, 0.44, 0.016),
        (0.265, 0.40, 0.013),
        (1.02, 0.20, 0.012),
    ):
        ring = np.hypot(x - middle, y - level)
        cartoon.put(ring < radius, np.broadcast_to(SEA[4], cartoon.colour.shape))
    _put_border(cartoon, x, y, canvas.aspect)
    return cartoon


def _sea(x: Field, y: Field, noise: Noise) -> tuple[Field, NDArray[np.int32]]:
    """Bands of water that circle two eddies."""
    stream = y + 0.05 * np.sin(5 * x)
    for middle, level, radius, turn in (
        (0.38, 0.72, 0.22, 0.8),
        (1.12, 0.62, 0.20, -0.8),
        (0.72, 0.18, 0.18, 0.5),
    ):
        stream = stream + turn * radius * np.exp(-((x - middle) ** 2 + (y - level) ** 2) / radius**2)
    band = np.floor(stream * 13).astype(np.int32)
    step = np.array([0.15, 0.5, 0.30, 0.78, 0.42, 0.05, 0.6, 0.25, 0.95, 0.35], np.float32)
    tone = step[band % len(step)] + 0.12 * noise(x * 6, y * 6)
    return ramp(tone, np.linspace(0, 1, len(SEA)), SEA), band - band.min()


def _put_fish(cartoon: Cartoon, right: Field, down: Field, size: float, turn: float) -> None:
    """A fish that swims to the left: fins and tail with rays, then the body, then the eye."""
    cosine, sine = np.cos(turn), np.sin(turn)
    a = (right * cosine + down * sine) / size
    b = (right * sine - down * cosine) / size - 0.10 * np.sin(2.2 * a)
    half = 0.46 * np.clip(1 - ((a + 0.18) / 0.92) ** 2, 0, 1) ** 0.75 + 0.05 * rise(a, 1.0, 0.6) * (a > 0)
    tail = (a > 0.58) & (a < 1.22) & (np.abs(b) < 0.06 + 0.85 * (a - 0.60)) & (np.abs(b) > 1.1 * (a - 0.98))
    crest = 0.30 * np.sin(np.pi * np.clip((a + 0.55) / 1.0, 0, 1)) ** 0.7
    dorsal = (b > 0) & (b < half + crest) & (np.abs(a + 0.05) < 0.5)
    ventral = (
        (b < 0)
        & (-b < half + 0.20 * np.sin(np.pi * np.clip((a + 0.1) / 0.5, 0, 1)))
        & (np.abs(a - 0.15) < 0.25)
    )
    body = np.abs(b) < half
    dark = np.broadcast_to(hexes("1a1a2e")[0], cartoon.colour.shape)
    rim = 0.028 / max(size / 0.4, 0.55)
    cartoon.put((np.abs(b) < half + rim) & (a > -1.12) & (a < 0.8), dark)
    rays = ramp(0.5 + 0.5 * np.sin(np.arctan2(b, a - 0.3) * 30), (0, 0.35, 0.7, 1), FIN)
    cartoon.put(tail & ~body, rays)
    fins = ramp(0.5 + 0.5 * np.sin(26 * (a - 0.35 * b)), (0, 0.35, 0.7, 1), FIN)
    cartoon.put((dorsal | ventral) & ~body, fins)
    scales = 0.13 * np.sin(20 * a + 3 * np.cos(22 * b))
    cartoon.put(body, ramp(0.48 - 0.95 * b + scales, np.linspace(0, 1, len(FISH)), FISH))
    cartoon.put(body & (a < -0.60 + 0.25 * b**2), ramp(0.42 - 1.0 * b, np.linspace(0, 1, len(FISH)), FISH))
    cartoon.put(body & (np.abs(a + 0.57 - 0.25 * b**2) < 0.032), dark)
    eye = np.hypot(a + 0.82, b - 0.10)
    cartoon.put(eye < 0.10, np.broadcast_to(hexes("fdf6e0")[0], cartoon.colour.shape))
    cartoon.put(eye < 0.05, dark)


def _put_weed(cartoon: Cartoon, x: Field, y: Field, foot: float, tall: float, lean: float) -> None:
    up = (0.94 - y) / tall
    middle = foot + 0.05 * np.sin(6 * up + lean * 4) + 0.12 * lean * up * tall
    inside = (np.abs(x - middle) < 0.030 * np.clip(1 - up, 0, 1) ** 0.5) & (up > 0) & (up < 1)
    cartoon.put(
        inside, ramp(0.35 + 0.5 * np.sin(9 * up + foot * 9) + 9 * (x - middle), (0, 0.35, 0.7, 1), WEED)
    )


def _put_border(cartoon: Cartoon, x: Field, y: Field, aspect: float) -> None:
    """A band of lines round a running chevron."""
    depth = np.minimum(np.minimum(x, aspect - x), np.minimum(y, 1 - y))
    level = np.minimum(y, 1 - y) < np.minimum(x, aspect - x)
    along = np.where(level, x, y) / 0.0625
    shape = cartoon.colour.shape
    cartoon.put(depth < MARGIN, np.broadcast_to(BORDER[3], shape))
    cartoon.put(depth < MARGIN - 0.019, np.broadcast_to(BORDER[2], shape))
    zigzag = np.abs(along % 1 - 0.5) * 2
    cartoon.put(
        (depth < MARGIN - 0.019) & ((depth - 0.02) / 0.046 < zigzag), np.broadcast_to(BORDER[1], shape)
    )
    cartoon.put(depth < 0.019, np.broadcast_to(BORDER[0], shape))
