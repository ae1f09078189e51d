"""Fruit in a glazed bowl beside a jug, in the light of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, mix, ramp, rise
from velatura.imaging.samples.curve import spline
from velatura.imaging.samples.noise import Noise
from velatura.imaging.samples.photos.lathe import Ball, Camera, Hits, Profile, Solid, open_sky, unit
from velatura.imaging.samples.photos.lens import developed
from velatura.imaging.samples.photos.skins import (
    LEMON_PEEL,
    ORANGE_PEEL,
    Skin,
    apple_skin,
    bowl_skin,
    citrus_skin,
    grape_skin,
    jug_skin,
    pear_skin,
)

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
        Thing(bowl, bowl_skin(noise), 0.55, (Ball((0, 0.50, 0), (1.30, 0.50, 1.30)),)),
        Thing(jug, jug_skin(noise), 0.5, (body, neck)),
        _fruit(_turned(PEAR), (0.13, 0.72, 0.42), (0.14, 1, 0.05), pear_skin(noise), held=True),
        _stem((0.13, 0.72, 0.42), (0.14, 1, 0.05), 1.28, held=True),
        _fruit(
            _turned(ORANGE),
            (0.53, 0.98, -0.44),
            (0.25, 0.9, -0.4),
            citrus_skin(noise, ORANGE_PEEL),
            held=True,
        ),
        _fruit(_turned(LEMON), (-1.60, 0.40, -1.35), (0.95, 0.06, -0.32), citrus_skin(noise, LEMON_PEEL)),
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
            _fruit(apple, place, lean, apple_skin(noise, seed), held=held),
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
            grapes.append(Thing(ball, grape_skin(noise, float(rng.random())), 0.40, (ball,), soft=0.35))
    return grapes


def _turned(corners: Sequence[tuple[float, float]]) -> Profile:
    """A rounded profile through these corners, kept from crossing the axis."""
    return Profile(np.maximum(spline(corners, pieces=6), np.array((0, -np.inf), np.float32)))


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
