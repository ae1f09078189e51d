"""Fruit in a glazed bowl beside a jug, in the light of a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.curve import spline
from velatura.imaging.samples.noise import Noise
from velatura.imaging.samples.photos.lathe import Ball, Camera, Hits, Profile, Solid, open_sky, unit
from velatura.imaging.samples.photos.lens import developed

__all__ = ["draw"]

EYE = (0.15, 2.55, -7.6)
LIGHT = unit((-0.62, 0.70, -0.42))
WINDOW = np.array([1.75, 1.58, 1.32], np.float32)
ROOM = np.array([0.26, 0.29, 0.34], np.float32)
TABLE = hexes("8a5a36", "5d3820", "b07a4a")
WALL = hexes("5e6a5f", "2c3531")
APPLE = [
    (0, 0.16),
    (0.10, 0.08),
    (0.26, 0.02),
    (0.42, 0.12),
    (0.53, 0.34),
    (0.56, 0.56),
    (0.50, 0.78),
    (0.36, 0.91),
    (0.22, 0.935),
    (0.10, 0.88),
    (0.03, 0.80),
    (0, 0.78),
]
PEAR = [
    (0, 0.06),
    (0.12, 0.03),
    (0.30, 0.05),
    (0.48, 0.22),
    (0.53, 0.45),
    (0.45, 0.68),
    (0.30, 0.90),
    (0.22, 1.08),
    (0.18, 1.22),
    (0.10, 1.31),
    (0, 1.32),
]
LEMON = [
    (0, -0.60),
    (0.07, -0.58),
    (0.12, -0.50),
    (0.28, -0.38),
    (0.40, -0.15),
    (0.41, 0.1),
    (0.31, 0.35),
    (0.14, 0.50),
    (0.07, 0.60),
    (0, 0.62),
]
ORANGE = [
    (0, -0.47),
    (0.18, -0.45),
    (0.35, -0.34),
    (0.46, -0.16),
    (0.49, 0.02),
    (0.44, 0.24),
    (0.30, 0.40),
    (0.12, 0.46),
    (0.03, 0.43),
    (0, 0.43),
]
STEM = [(0, 0), (0.035, 0), (0.022, 0.12), (0.03, 0.26), (0.045, 0.29), (0, 0.30)]
BOWL = [
    (0, 0.0),
    (0.52, 0.0),
    (0.55, 0.08),
    (0.50, 0.13),
    (0.80, 0.24),
    (1.12, 0.47),
    (1.31, 0.76),
    (1.39, 0.97),
    (1.37, 1.0),
    (1.33, 0.97),
    (1.24, 0.76),
    (1.04, 0.50),
    (0.72, 0.31),
    (0, 0.24),
]
JUG = [
    (0, 0),
    (0.46, 0),
    (0.50, 0.05),
    (0.60, 0.30),
    (0.70, 0.66),
    (0.70, 1.0),
    (0.58, 1.36),
    (0.40, 1.66),
    (0.34, 1.90),
    (0.37, 2.12),
    (0.46, 2.30),
    (0.44, 2.33),
    (0.40, 2.28),
    (0.30, 2.08),
    (0.27, 1.9),
    (0, 1.75),
]


Skin = Callable[[Field], Field]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Thing:
    """Something on the table.

    Args:
        shape: What the rays meet.
        skin: Its colour from points in its own axes.
        gloss: Strength of the window's image in it.
        shade: What stands for it when shadows are cast.
        held: Whether it lies in the bowl, the first thing, whose shadow then spares it.
        soft: How far light creeps round it, as in flesh that lets light through.
    """

    shape: Solid | Ball
    skin: Skin
    gloss: float
    shade: tuple[Ball, ...]
    held: bool = False
    soft: float = 0.12


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Trace every thing, then light what each pixel sees."""
    noise = Noise(rng)
    camera, coarse = (Camera(grid, EYE, (0.0, 0.93, 0.0), 1.72) for grid in (canvas, canvas.plain))
    things = _arrangement(rng, noise)
    hits = Hits.none(camera)
    for number, thing in enumerate(things):
        hits.add(number, thing.shape)
    # The room has hardly an edge: it needs no oversampling.
    picture = canvas.spread(_room(coarse, things, noise))
    for number, thing in enumerate(things):
        _light(picture, hits, number, thing, things)
    return developed(_film(picture), canvas, noise)


def _arrangement(rng: np.random.Generator, noise: Noise) -> list[Thing]:
    """The bowl and what lies in it, the jug, and the fruit on the table."""
    bowl = Solid(_turned(BOWL), (0, 0, 0))
    jug = Solid(_turned(JUG), (-2.05, 0, 1.0))
    body, neck = Ball((-2.05, 0.82, 1.0), (0.68, 0.84, 0.68)), Ball((-2.05, 1.95, 1.0), (0.36, 0.55, 0.36))
    things = [
        Thing(bowl, _bowl_skin(noise), 0.55, (Ball((0, 0.50, 0), (1.30, 0.50, 1.30)),)),
        Thing(jug, _jug_skin(noise), 0.5, (body, neck)),
        _fruit(_turned(PEAR), (0.13, 0.72, 0.42), (0.14, 1, 0.05), _pear_skin(noise), held=True),
        _stem((0.13, 0.72, 0.42), (0.14, 1, 0.05), 1.28, held=True),
        _fruit(
            _turned(ORANGE),
            (0.53, 0.98, -0.44),
            (0.25, 0.9, -0.4),
            _citrus_skin(noise, ORANGE_PEEL),
            held=True,
        ),
        _fruit(_turned(LEMON), (-1.60, 0.40, -1.35), (0.95, 0.06, -0.32), _citrus_skin(noise, LEMON_PEEL)),
    ]
    apple = _turned(APPLE)
    for seed, place, lean in (
        (1.0, (-0.36, 0.60, -0.34), (-0.30, 0.9, -0.30)),
        (6.0, (-0.70, 0.66, 0.50), (-0.15, 1, 0.1)),
        (3.0, (0.74, 0.70, 0.34), (0.36, 0.9, -0.1)),
        (9.0, (2.45, 0.0, 0.35), (0.12, 1, -0.15)),
    ):
        held = place[1] > 0
        things += [
            _fruit(apple, place, lean, _apple_skin(noise, seed), held=held),
            _stem(place, lean, 0.8, held=held),
        ]
    return things + _grapes(rng, noise)


def _fruit(profile: Profile, place: Vector, lean: Vector, skin: Skin, *, held: bool = False) -> Thing:
    solid = Solid(profile, place, lean)
    size = 0.90 * solid.radius
    x, y, z = (solid.place + 0.94 * (solid.centre - solid.place)).tolist()
    return Thing(solid, skin, 0.30, (Ball((x, y, z), (size, size, size)),), held)


def _stem(place: Vector, lean: Vector, top: float, *, held: bool) -> Thing:
    foot = np.asarray(place) + unit(lean) * np.float32(top)
    solid = Solid(_turned(STEM), foot, np.add(unit(lean), (0.18, 0, -0.1)))
    return Thing(solid, lambda local: np.broadcast_to(hexes("4a3120")[0], local.shape), 0.0, (), held)


def _grapes(rng: np.random.Generator, noise: Noise) -> list[Thing]:
    """A bunch on the table, in layers that narrow to its tip."""
    grapes = []
    for layer, (count, lift) in enumerate(((15, 0.17), (11, 0.40), (5, 0.60))):
        for number in range(count):
            turn, reach = number * 2.40 + layer, np.sqrt((number + 0.5) / count) * (0.66 - 0.15 * layer)
            radius = 0.165 + 0.02 * rng.random()
            nudge = 0.03 * rng.standard_normal(3)
            x, z = (
                1.42 + 1.25 * reach * np.cos(turn) + nudge[0],
                -1.30 + 0.75 * reach * np.sin(turn) + nudge[2],
            )
            ball = Ball((float(x), float(lift + 0.5 * nudge[1]), float(z)), (radius, radius, radius))
            grapes.append(Thing(ball, _grape_skin(noise, float(rng.random())), 0.40, (ball,), soft=0.35))
    return grapes


def _turned(corners: Sequence[tuple[float, float]]) -> Profile:
    """A rounded profile through these corners, kept from crossing the axis."""
    return Profile(np.maximum(spline(corners, pieces=6), np.array((0, -np.inf), np.float32)))


def _around(local: Field) -> tuple[Field, Field]:
    """Cosine and sine of the bearing about the axis: noise over them has no seam."""
    reach = np.maximum(np.hypot(local[:, 0], local[:, 2]), 1e-6)
    return np.asarray(local[:, 0] / reach, np.float32), np.asarray(local[:, 2] / reach, np.float32)


def _apple_skin(noise: Noise, seed: float) -> Skin:
    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        streak = noise.fractal(cosine * 5 + seed, sine * 5 + local[:, 1] * 0.7, octaves=4)
        blush = noise.fractal(cosine * 0.9 + 3 * seed, sine * 0.9 + local[:, 1], octaves=2)
        ends = rise(local[:, 1], 0.80, 0.95) + rise(local[:, 1], 0.25, 0.0)
        colour = ramp(
            0.36 + 0.45 * streak + 0.7 * blush + 0.35 * ends,
            (0, 0.4, 0.75, 1.05),
            hexes("8c0f17", "c3221f", "de6a2c", "d8c04e"),
        )
        dots = rise(noise(cosine * 22 + seed, sine * 22 + local[:, 1] * 24), 0.62, 0.75)
        return mix(colour, hexes("e9c58a")[0], 0.55 * dots)

    return skin


def _pear_skin(noise: Noise) -> Skin:
    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        blush = (
            0.5 + 0.5 * cosine + 0.5 * noise.fractal(cosine * 1.4, sine * 1.4 + local[:, 1] * 1.3, octaves=3)
        )
        colour = ramp(blush - 0.15 * local[:, 1], (0.1, 0.6, 1.1), hexes("8f9a35", "c2b544", "d59a45"))
        russet = rise(noise(cosine * 24, sine * 24 + local[:, 1] * 26), 0.45, 0.7)
        return mix(colour, hexes("7a5a2a")[0], 0.6 * russet + 0.4 * rise(local[:, 1], 1.12, 1.3))

    return skin


ORANGE_PEEL, LEMON_PEEL = hexes("c85a0c", "ef8a1d", "f7a63a"), hexes("c99a12", "f0c92a", "f8df62")


def _citrus_skin(noise: Noise, peel: Field) -> Skin:
    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        pores = noise(cosine * 15, sine * 15 + local[:, 1] * 30) + 0.5 * noise(
            cosine * 29 + 5, sine * 29 + local[:, 1] * 58
        )
        return ramp(0.55 + 0.30 * pores + 0.2 * noise(cosine * 2, sine * 2 + local[:, 1]), (0, 0.5, 1), peel)

    return skin


def _grape_skin(noise: Noise, ripeness: float) -> Skin:
    def skin(local: Field) -> Field:
        bloom = 0.5 + 0.6 * noise.fractal(
            local[:, 0] * 1.8 + 40 * ripeness, local[:, 1] * 1.8 + local[:, 2], octaves=3
        )
        colour = mix(hexes("3a1436")[0], hexes("6b2448")[0], np.full(len(local), ripeness, np.float32))
        return mix(colour, hexes("8b86ad")[0], 0.38 * np.clip(bloom, 0, 1))

    return skin


def _bowl_skin(noise: Noise) -> Skin:
    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        run = noise.fractal(cosine * 4, sine * 4 + local[:, 1] * 0.8, octaves=4)
        glaze = ramp(
            0.45 + 0.4 * run - 0.3 * (local[:, 1] - 0.5), (0, 0.5, 1), hexes("123a5c", "1f5f86", "4f9ab0")
        )
        lay_over(glaze, hexes("b98a5e")[0], rise(local[:, 1] + 0.01 * run, 0.965, 0.985))
        lay_over(glaze, hexes("9a7450")[0], rise(local[:, 1] + 0.02 * run, 0.12, 0.09))
        return glaze

    return skin


def _jug_skin(noise: Noise) -> Skin:
    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        glaze = mix(
            hexes("e6dfcf")[0],
            hexes("cfc4ae")[0],
            np.clip(0.5 + noise.fractal(cosine * 3, sine * 3 + local[:, 1] * 3, octaves=4), 0, 1),
        )
        bearing = np.arctan2(sine, cosine)
        wave = 0.07 * np.sin(bearing * 9)
        for level, half in ((0.84 + wave, 0.035), (1.12, 0.018), (0.56, 0.018), (2.2, 0.03)):
            lay_over(glaze, hexes("2b4a86")[0], 0.85 * rise(np.abs(local[:, 1] - level), half, half - 0.014))
        return glaze

    return skin


def _room(camera: Camera, things: list[Thing], noise: Noise) -> Field:
    """The table with its shadows, and the wall with the light of the window on it."""
    rays, eye = camera.rays, camera.eye
    reach = np.where(rays[..., 1] < -1e-4, -eye[1] / np.minimum(rays[..., 1], -1e-4), np.inf)
    edge = 3.1
    table = eye[2] + reach * rays[..., 2] < edge
    picture = _wall(eye + rays * ((5.2 - eye[2]) / rays[..., 2])[..., None], noise)
    points = (eye + rays[table] * reach[table][:, None]).astype(np.float32)
    up = np.broadcast_to(np.array([0, 1, 0], np.float32), points.shape)
    balls = [ball for thing in things for ball in thing.shade]
    direct, around = open_sky(points, up, LIGHT, balls, 0.16)
    fall = np.exp(-0.035 * ((points[:, 0] + 1.5) ** 2 + (points[:, 2] + 0.5) ** 2))
    light = WINDOW * (LIGHT[1] * direct * (0.30 + 0.75 * fall))[:, None] + ROOM * around[:, None]
    picture[table] = _wood(points, noise) ** 2.2 * light
    return picture


def _wood(points: Field, noise: Noise) -> Field:
    x, z = points[:, 0], points[:, 2]
    plank = np.floor(z / 0.95 + 0.2)
    grain = noise.fractal(x * 0.45 + plank * 13.7, z * 5 + 0.5 * noise(x * 0.7, z + plank * 3), octaves=5)
    rings = 0.5 + 0.5 * np.sin(26 * (z + 0.20 * noise(x * 0.35 + plank * 7, z * 0.8)) + 5 * grain)
    colour = ramp(
        0.30 + 0.30 * rings + 0.45 * grain + 0.10 * np.sin(plank * 5), (0, 0.45, 1), TABLE[[1, 0, 2]]
    )
    joint = np.abs((z / 0.95 + 0.2) % 1 - 0.5) > 0.490
    return np.asarray(colour * (1 - 0.6 * joint)[:, None], np.float32)


def _wall(points: Field, noise: Noise) -> Field:
    x, y = points[..., 0], points[..., 1]
    plaster = noise.fractal(x * 0.8, y * 0.8, octaves=5)
    colour = mix(WALL[0], WALL[1], np.clip(0.35 + 0.12 * x - 0.06 * y + 0.18 * plaster, 0, 1)) ** 2.2
    across, height = x - 0.55 * y - 1.0, y
    pane = rise(np.abs(across), 1.15, 0.85) * rise(np.abs(height - 2.7), 1.65, 1.3)
    bars = rise(np.abs(across), 0.03, 0.13) * rise(np.abs(height - 2.7), 0.03, 0.13)
    return np.asarray(colour * (0.75 + 1.9 * pane * bars)[..., None] * np.array([1.06, 1.0, 0.9]), np.float32)


def _light(picture: Field, hits: Hits, number: int, thing: Thing, things: list[Thing]) -> None:
    """Light the pixels that see one thing: window, room, what the table throws back, highlights."""
    seen = hits.owner == number
    rays = hits.camera.rays[seen]
    points = hits.camera.eye + rays * hits.depth[seen][:, None]
    if isinstance(thing.shape, Ball):
        local = (points - np.array(thing.shape.centre, np.float32)) / thing.shape.radii[0]
        normals = local
    else:
        local = thing.shape.local(points)
        normals = thing.shape.normal(local)
    others = things[1:] if thing.held else things
    balls = [ball for other in others if other is not thing for ball in other.shade]
    direct, around = open_sky(points, normals, LIGHT, balls, 0.16)
    facing = np.clip((normals @ LIGHT + thing.soft) / (1 + thing.soft), 0, 1)
    bounce = np.clip(0.35 - 0.65 * normals[:, 1], 0, 1)[:, None] * hexes("8a5a36") ** 2.2 * 0.9
    light = WINDOW * (direct * facing)[:, None] + ROOM * ((0.65 + 0.35 * normals[:, 1]) * around)[:, None]
    colour = np.clip(thing.skin(local), 0, 1) ** 2.2 * (light + bounce * around[:, None])
    picture[seen] = colour + thing.gloss * _mirrored_window(rays, normals, direct, around)


def _mirrored_window(rays: Field, normals: Field, direct: Field, around: Field) -> Field:
    """The window's four panes in a glossy surface, and the room along its rim."""
    cosine = np.einsum("ij,ij->i", rays, normals)
    bounced = rays - 2 * cosine[:, None] * normals
    across = unit(np.cross(LIGHT, (0, 1, 0)))
    u, v = bounced @ across, bounced @ np.cross(across, LIGHT)
    panes = rise(np.abs(u), 0.26, 0.20) * rise(np.abs(v), 0.32, 0.26)
    panes *= rise(np.abs(u), 0.01, 0.04) * rise(np.abs(v), 0.01, 0.04) * (bounced @ LIGHT > 0) * direct
    rim = (1 - np.clip(-cosine, 0, 1)) ** 4 * around
    return np.asarray(panes[:, None] * WINDOW + rim[:, None] * ROOM * 1.6, np.float32)


def _film(light: Field) -> Field:
    """Linear light as a film shows it, sRGB-like in [0, 1]."""
    return np.asarray((1 - np.exp(-1.55 * np.clip(light, 0, None))) ** (1 / 2.2), np.float32)
