"""Solids turned on a lathe: how rays meet them, and the soft shadows they cast.

World coordinates: x to the right, y up, z away from the viewer. Rays are traced by stepping as far
as the nearest surface is (Hart, "Sphere tracing", The Visual Computer 1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import rise

__all__ = ["Ball", "Camera", "Hits", "Profile", "Solid", "open_sky", "unit"]

CELLS = 112
STEPS = 44
CHUNK = 1 << 13
CLOSE = 2e-3


def unit(vectors: ArrayLike) -> Field:
    """Vectors ``(..., 3)`` scaled to length 1."""
    vectors = np.asarray(vectors, np.float32)
    return np.asarray(vectors / np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), 1e-9))


class Camera:
    """An eye and the rays of every pixel.

    Args:
        canvas: The picture's grid.
        eye: Where it stands.
        target: What the middle of the picture shows.
        focus: Distance of the picture plane, in picture heights.
    """

    def __init__(self, canvas: Canvas, eye: ArrayLike, target: ArrayLike, focus: float) -> None:
        self.canvas, self.focus = canvas, focus
        self.eye = np.array(eye, np.float32)
        ahead = unit(np.subtract(target, eye))
        right = unit(np.cross((0, 1, 0), ahead))
        self._axes = np.stack([right, np.cross(ahead, right), ahead]).astype(np.float32)
        x, y = canvas.points
        flat = np.stack([x - canvas.aspect / 2, 0.5 - y, np.full_like(x, focus)], -1)
        self.rays = unit(flat @ self._axes)

    def part(self, centre: Field, radius: float) -> tuple[slice, slice]:
        """Rows and columns that may show a ball."""
        right, up, ahead = self._axes @ (centre - self.eye)
        x, y = self.canvas.aspect / 2 + self.focus * right / ahead, 0.5 - self.focus * up / ahead
        reach = 1.12 * self.focus * radius / ahead
        return self.canvas.part(x - reach, y - reach, x + reach, y + reach)


@dataclass(frozen=True)
class Ball:
    """A ball, or the ellipsoid that stands for a solid when shadows are cast.

    Args:
        centre: Its middle.
        radii: Along x, y and z.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]


class Profile:
    """A closed outline beside an axis, with the distances to it looked up in a table.

    Args:
        corners: ``(radius, height)``, ``(N, 2)``, from the axis at the foot to the axis at the top.
    """

    def __init__(self, corners: Field) -> None:
        self.middle = float(corners[:, 1].min() + corners[:, 1].max()) / 2
        self.radius = float(np.hypot(corners[:, 0], corners[:, 1] - self.middle).max()) * 1.01
        self.cell = 2.1 * self.radius / (CELLS - 1)
        self._low = np.float32(self.middle - 1.05 * self.radius)
        self._table = _distances(corners, float(self._low), self.cell)

    def distance(self, radius: Field, height: Field) -> Field:
        """Distance to the outline, below 0 inside it."""
        column = np.clip(radius / self.cell, 0, CELLS - 1.001)
        row = np.clip((height - self._low) / self.cell, 0, CELLS - 1.001)
        i, j = column.astype(np.intp), row.astype(np.intp)
        u, v, index = column - i, row - j, j * CELLS + i
        lower = self._table.take(index) * (1 - u) + self._table.take(index + 1) * u
        upper = self._table.take(index + CELLS) * (1 - u) + self._table.take(index + CELLS + 1) * u
        return np.asarray(lower * (1 - v) + upper * v, np.float32)


class Solid:
    """A profile turned about an axis.

    Args:
        profile: What is turned.
        place: Where the profile's origin stands.
        lean: Direction of the axis.
    """

    def __init__(self, profile: Profile, place: ArrayLike, lean: ArrayLike = (0, 1, 0)) -> None:
        self.profile, self.radius = profile, profile.radius
        self.place = np.asarray(place, np.float32)
        axis = unit(lean)
        side = unit(np.cross(axis, (0.3, 0.1, 1)))
        self._axes = np.stack([side, axis, np.cross(side, axis)]).astype(np.float32)
        self.centre = self.place + axis * np.float32(profile.middle)

    def local(self, points: Field) -> Field:
        """Points in the solid's own axes, the second one the axis it was turned about."""
        return np.asarray((points - self.place) @ self._axes.T, np.float32)

    def distance(self, local: Field) -> Field:
        """Distance of points in the solid's own axes to its surface, below 0 inside."""
        return self.profile.distance(np.sqrt(local[:, 0] ** 2 + local[:, 2] ** 2), local[:, 1])

    def normal(self, local: Field) -> Field:
        """Outward direction at points of the surface, in world axes."""
        step = np.float32(1.2 * self.profile.cell) * np.eye(3, dtype=np.float32)
        slopes = [self.distance(local + s) - self.distance(local - s) for s in step]
        return unit(np.stack(slopes, -1) @ self._axes)

    def trace(self, eye: Field, rays: Field) -> Field:
        """How far each ray ``(N, 3)`` runs to the surface; infinite where it misses."""
        away = eye - self.centre
        along = rays @ away
        inside = along * along - (away @ away - self.radius**2)
        reach = np.full(len(rays), np.inf, np.float32)
        active = np.flatnonzero(inside > 0)
        start, heading = self.local(eye), rays[active] @ self._axes.T
        far = -along[active] + np.sqrt(inside[active])
        t = -along[active] - np.sqrt(inside[active])
        for _ in range(STEPS):
            gap = self.distance(start + heading * t[:, None])
            reach[active[gap < CLOSE]] = t[gap < CLOSE]
            t = t + gap
            going = (gap >= CLOSE) & (t < far)
            active, heading, far, t = active[going], heading[going], far[going], t[going]
        return reach


@dataclass
class Hits:
    """What each pixel sees.

    Args:
        camera: Whose pixels.
        depth: Distance along the ray, ``(H, W)``.
        owner: Number of the thing that is seen, -1 for none, ``(H, W)``.
    """

    camera: Camera
    depth: Field
    owner: NDArray[np.int16]

    @classmethod
    def none(cls, camera: Camera) -> Hits:
        """Nothing is seen yet."""
        shape = camera.rays.shape[:2]
        return cls(camera, np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int16))

    def add(self, number: int, thing: Solid | Ball) -> None:
        """Show a thing wherever it is nearer than what is seen so far."""
        if isinstance(thing, Ball):
            part = self.camera.part(np.array(thing.centre, np.float32), max(thing.radii))
        else:
            part = self.camera.part(thing.centre, thing.radius)
        rays = self.camera.rays[part]
        trace = _trace_ball if isinstance(thing, Ball) else Solid.trace
        reach = trace(thing, self.camera.eye, rays.reshape(-1, 3)).reshape(rays.shape[:2])  # type: ignore[arg-type]
        nearer = reach < self.depth[part]
        self.depth[part][nearer] = reach[nearer]
        self.owner[part][nearer] = number


def _trace_ball(ball: Ball, eye: Field, rays: Field) -> Field:
    away = eye - np.array(ball.centre, np.float32)
    along = rays @ away
    inside = along * along - (away @ away - ball.radii[0] ** 2)
    return np.where(inside > 0, -along - np.sqrt(np.maximum(inside, 0)), np.inf).astype(np.float32)


def open_sky(
    points: Field, normals: Field, light: Field, balls: Sequence[Ball], spread: float
) -> tuple[Field, Field]:
    """What other things leave of a broad light and of the light from all around.

    Args:
        points: On surfaces, ``(N, 3)``.
        normals: There, ``(N, 3)``.
        light: Direction towards the lamp, ``(3,)``.
        balls: What stands in the way.
        spread: Half the lamp's angle in radians: how soft the shadows are.

    Returns:
        Shares of both that arrive, each ``(N,)`` in [0, 1].
    """
    direct, around = np.ones(len(points), np.float32), np.ones(len(points), np.float32)
    for start in range(0, len(points), CHUNK):  # chunks stay in the processor's cache
        part = slice(start, start + CHUNK)
        place, facing = points[part].T.copy(), normals[part].T.copy()
        for ball in balls:
            shadow, cover = _shade(place, facing, light, ball, spread)
            direct[part] *= 1 - shadow
            around[part] *= 1 - cover
    return direct, around


def _shade(place: Field, facing: Field, light: Field, ball: Ball, spread: float) -> tuple[Field, Field]:
    """Shares of the lamp and of the surroundings that one ball hides from points ``(3, N)``."""
    radii = np.array(ball.radii, np.float32)
    heading = unit(light / radii)
    x, y, z = (
        np.float32(c / r) - p * np.float32(1 / r) for c, r, p in zip(ball.centre, radii, place, strict=True)
    )
    ahead = x * heading[0] + y * heading[1] + z * heading[2]
    squared = x * x + y * y + z * z
    miss = np.sqrt(np.maximum(squared - ahead * ahead, 0))
    blur = np.float32(spread) * np.maximum(ahead, np.float32(0.05))
    shadow = rise(ahead, 0.0, 0.5) * rise(miss, 1 + blur, 1 - blur)
    x, y, z = x * radii[0], y * radii[1], z * radii[2]
    cosine = (x * facing[0] + y * facing[1] + z * facing[2]) / np.sqrt(
        x * x + y * y + z * z + np.float32(1e-9)
    )
    cover = np.clip(np.clip(np.float32(0.35) + cosine, 0, 1) / np.maximum(squared, 1), 0, 1)
    return shadow, cover * np.float32(0.85)


def _distances(corners: Field, low: float, cell: float) -> Field:
    """Signed distances to an outline on a grid of radius (columns) and height (rows), flattened."""
    height, radius = np.meshgrid(np.arange(CELLS) * cell + low, np.arange(CELLS) * cell, indexing="ij")
    squared = np.full(radius.shape, np.inf)
    for (x, y), (across, up) in zip(corners[:-1].tolist(), np.diff(corners, axis=0).tolist(), strict=True):
        along = (radius - x) * across + (height - y) * up
        share = np.clip(along / max(across * across + up * up, 1e-12), 0, 1)
        gap = (radius - x - share * across) ** 2 + (height - y - share * up) ** 2
        squared = np.minimum(squared, gap)
    fine = 8
    mask = Image.new("L", (CELLS * fine, CELLS * fine))
    outline = ((corners - (0, low)) / cell * fine + fine / 2).ravel().tolist()
    ImageDraw.Draw(mask).polygon(outline, fill=1)
    within = np.asarray(mask)[fine // 2 :: fine, fine // 2 :: fine]
    return np.where(within, -np.sqrt(squared), np.sqrt(squared)).astype(np.float32).reshape(-1)
