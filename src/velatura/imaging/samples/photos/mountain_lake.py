"""A mountain lake at dusk: ridges in the last sun, mist below, everything twice in the water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.noise import Noise
from velatura.imaging.samples.photos.lens import developed
from velatura.imaging.samples.photos.water import lay_water

__all__ = ["draw"]

EYE, HORIZON, FOCUS = 0.55, 0.535, 1.15  # eye above the lake in units of 100 m; the others in heights
NEAR, FAR, LEVELS = 9.0, 75.0, 640
SUN_SLOPE = 0.30  # how fast the sun's rays, which come from the left, fall
SUNLIGHT = np.array([1.55, 0.92, 0.52], np.float32)
SKYLIGHT = np.array([0.36, 0.45, 0.66], np.float32)
SKY = hexes("ffc27d", "f9b98c", "dba8a5", "9a9cbf", "6482b4", "3d6199", "2a4a80")
ROCK, SNOW, FOREST, MEADOW = hexes("6f655f", "f2f1f4", "233326", "6b6a3a")
HAZE = hexes("d9a894", "a9a6c4")
DEEP, GLINT = hexes("12303f", "ffd2a8")
SHORE = 0.578  # where land and lake meet
FAR_SPRUCE, NEAR_SPRUCE = hexes("1b2a2e", "4f4a3a"), hexes("0a1414", "2e3a26")


@dataclass(frozen=True)
class Terrain:
    """The land on a grid of rays: one column per finished pixel column, one row per distance.

    Args:
        x: Place to the right of the view's axis, ``(K, W)``.
        z: Distance, ``(K, 1)``.
        height: Above the lake, ``(K, W)``.
    """

    x: Field
    z: Field
    height: Field


def draw(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Render land and sky, mirror them in the lake, and set the near shore before them."""
    noise = Noise(rng)
    picture = canvas.spread(_sky(canvas.plain, noise))
    terrain = _terrain(canvas.plain, noise)
    _lay_land(picture, canvas, terrain, _shaded(terrain, noise))
    _lay_far_shore(picture, canvas, rng, noise)
    lay_water(picture, canvas, noise, shore=SHORE, deep=DEEP, glint=GLINT)
    _lay_boat(picture, canvas)
    _lay_near_shore(picture, canvas, rng, noise)
    return developed(picture, canvas, noise, exposure=1.15)


def _sky(canvas: Canvas, noise: Noise) -> Field:
    x, y = canvas.points
    up = (HORIZON - y) / HORIZON
    glow = np.exp(-1.3 * np.hypot(x + 0.1, 1.2 * (HORIZON - y)))
    picture = ramp(up - 0.25 * glow, (-0.1, 0.08, 0.22, 0.42, 0.62, 0.85, 1.0), SKY)
    lay_over(picture, hexes("ffd9a0")[0], 0.35 * glow)
    away = 1 / (0.16 + np.clip(up, 0, None))
    u, v = (x - 0.75) * away * 1.1, away * 2.4
    billow = noise.fractal(u + 3, v, octaves=5)
    lit = noise.fractal(u + 3.10, v + 0.09, octaves=4)
    cover = rise(billow, -0.12, 0.55) * rise(up, 0.02, 0.25)
    tone = np.clip(0.45 + 1.3 * (billow - lit) + 0.5 * glow, 0, 1)
    lay_over(picture, ramp(tone, (0, 0.5, 1), hexes("8a83a8", "e2a3a0", "ffdcae")), 0.85 * cover)
    return picture


def _terrain(canvas: Canvas, noise: Noise) -> Terrain:
    z = (NEAR * (FAR / NEAR) ** np.linspace(0, 1, LEVELS, dtype=np.float32))[:, None]
    x = ((canvas.x - canvas.aspect / 2) / FOCUS * z).astype(np.float32)
    shore = 13 + 2.2 * noise.fractal(x * 0.22, 0.4, octaves=3)
    inland = np.clip((z - shore) / 10, -0.3, None)
    crags = noise.ridged(x * 0.055 + 1.7, z * 0.055 + 0.3, octaves=9, gain=0.46)
    flank = np.clip(np.abs(x - 0.10 * z + 1.0) / (3 + 0.36 * z), 0.0, 1.5)
    envelope = 0.12 + 0.75 * rise(flank, 0.1, 1.2) + 0.9 * rise(z, 32, 52)
    swell = 3.2 * np.exp(-(((x - 5) / 6) ** 2 + ((z - 44) / 7) ** 2)) + 0.5 * noise.fractal(
        x * 0.3, z * 0.3, octaves=4
    )
    height = 0.4 * inland + rise(inland, 0.0, 1.6) * (envelope * 13 * (crags - 0.16) + swell)
    return Terrain(x, z, np.where(inland < 0, inland, height).astype(np.float32))


def _shaded(land: Terrain, noise: Noise) -> Field:
    """Colour of the land on its grid, lit and hazed, ``(K, W, 3)``."""
    across = np.gradient(land.height, axis=1) / np.gradient(land.x, axis=1)
    ahead = np.gradient(land.height, axis=0) - across * np.gradient(land.x, axis=0)
    ahead = ahead / np.gradient(land.z, axis=0)
    steep = np.sqrt(1 + across**2 + ahead**2)
    sun = np.clip((across + SUN_SLOPE - 0.55 * ahead) / (steep * 1.19), 0, 1)
    crest = np.maximum.accumulate(land.height + land.x * SUN_SLOPE, axis=1)
    sun = sun * rise(crest - land.height - land.x * SUN_SLOPE, 0.35, 0.0)
    rough = noise.fractal(land.x * 1.3, land.z * 1.3, octaves=4)
    wood = noise.fractal(land.x * 9, land.z * 3 + land.height * 9, octaves=2)
    colour = mix(ROCK * 1.0, ROCK * 0.75, np.clip(0.5 + rough, 0, 1))
    lay_over(colour, MEADOW, rise(land.height + rough, 3.2, 2.2) * rise(steep, 1.9, 1.4))
    trees = rise(land.height + 0.9 * rough, 2.4, 1.7) * rise(steep, 3.2, 2.2)
    lay_over(colour, FOREST * (1 + 0.8 * wood)[..., None], trees)
    lay_over(colour, SNOW, rise(land.height + 1.1 * rough - 0.9 * (steep - 1.3), 3.6, 4.3))
    light = SKYLIGHT * (0.45 + 0.55 / steep)[..., None] + SUNLIGHT * (sun * 1.25)[..., None]
    colour *= light
    haze = 1 - np.exp(-np.clip(land.z - 10, 0, None) / (26 + 7 * np.clip(land.height, 0, None)))
    lay_over(colour, ramp(land.height, (0, 5), HAZE), 0.85 * haze)
    return colour


def _lay_land(picture: Field, canvas: Canvas, land: Terrain, colour: Field) -> None:
    """Show, in each pixel, the nearest land that rises as high as its ray."""
    reach = np.maximum.accumulate((land.height - EYE) / land.z, axis=0)
    slope = ((HORIZON - canvas.y[:, 0]) / FOCUS).astype(np.float32)
    columns = reach.shape[1]
    seen = np.stack([np.searchsorted(reach[:, c], slope) for c in range(columns)], 1)
    level, column = np.clip(seen, 1, LEVELS - 1), np.arange(columns)
    low, high = reach[level - 1, column], reach[level, column]
    share = (slope[:, None] - low) / np.maximum(high - low, 1e-6)
    shade = mix(colour[level - 1, column], colour[level, column], np.clip(share, 0, 1))
    land_seen = (seen > 0) & (seen < LEVELS) & (land.height[level, column] > 0)
    lay_over(picture, shade.repeat(canvas.oversampling, 1), land_seen.repeat(canvas.oversampling, 1))


def _lay_spruce(
    picture: Field, canvas: Canvas, noise: Noise, foot: tuple[float, float], tall: float, colours: Field
) -> None:
    """A spruce with drooping tiers of branches; ``colours`` are its shaded and its lit side."""
    part = canvas.part(foot[0] - 0.3 * tall, foot[1] - tall, foot[0] + 0.3 * tall, foot[1])
    side, up = (canvas.x[:, part[1]] - foot[0]) / tall, (foot[1] - canvas.y[part[0]]) / tall
    needles = noise.fractal(side * 26 + foot[0] * 90, up * 34, octaves=3)
    droop = up + 0.45 * np.abs(side) + 0.010 * needles
    tier = (droop * (9 + 5 * (1 - up)) + 0.3 * noise(np.sign(side) * 7.5 + foot[0] * 50, up * 9)) % 1
    half = 0.21 * np.clip(1 - up, 0, 1) ** 0.85 * (0.35 + 0.65 * (1 - tier)) * (1 + 0.45 * needles)
    soft = 0.6 * canvas.pixel / tall + 0.002
    cover = rise(np.abs(side), half + soft, half - soft) * (up > 0.03)
    trunk = (np.abs(side) < 0.012 * (1.2 - up)) & (up > 0)
    lit = np.clip(0.30 - 2.2 * side + 0.55 * needles + 0.25 * (0.5 - tier), 0, 1)
    lay_over(picture[part], mix(colours[0], colours[1], lit), np.maximum(cover, trunk))


def _lay_far_shore(picture: Field, canvas: Canvas, rng: np.random.Generator, noise: Noise) -> None:
    """A belt of spruces and a hut among them."""
    for _ in range(110):
        x, tall = rng.random() * canvas.aspect, 0.020 + 0.030 * rng.random() ** 2
        crowd = float(noise(x * 2.3, 8.5))
        if crowd > -0.15 and not 0.98 < x < 1.13:
            _lay_spruce(picture, canvas, noise, (x, SHORE), tall * (1 + 0.8 * crowd), FAR_SPRUCE)
    for x, tall in ((0.965, 0.062), (1.135, 0.075), (1.165, 0.055), (0.945, 0.045)):
        _lay_spruce(picture, canvas, noise, (x, SHORE), tall, FAR_SPRUCE)
    _lay_hut(picture, canvas)


def _lay_hut(picture: Field, canvas: Canvas) -> None:
    """A hut with its windows lit."""
    left, right, eaves, ridge = 1.005, 1.085, SHORE - 0.026, SHORE - 0.050
    part = canvas.part(left - 0.06, ridge - 0.05, right + 0.06, SHORE + 0.001)
    x, y = (field[part] for field in canvas.points)
    hut = picture[part]
    wall = (x > left) & (x < right) & (y > eaves - 0.004) & (y < SHORE - 0.002)
    logs = mix(hexes("6b4634")[0], hexes("2f2430")[0], rise(x, left, right))
    lay_over(hut, logs, wall * (0.9 + 0.1 * np.sin(y * 900)))
    share = (y - ridge) / (eaves - ridge)
    slant = 0.012 * share - 0.002
    roof = (share > 0) & (share < 1.05) & (x > left - slant) & (x < right + slant)
    lay_over(hut, mix(hexes("9a7f7d")[0], hexes("4a3f4d")[0], share), roof)
    for middle in (1.028, 1.062):
        across, down = x - middle, y - SHORE + 0.014
        lay_over(hut, hexes("ffd479")[0] * 1.1, (np.abs(across) < 0.0075) & (np.abs(down) < 0.0065))
        glow = 0.40 * np.exp(-(across**2 + down**2) / 0.016**2)
        hut += glow[..., None] * hexes("ff9a3c")


def _lay_boat(picture: Field, canvas: Canvas) -> None:
    """A rowing boat with two people, and its dark reflection."""
    middle, level, size = 0.60, 0.735, 0.075
    part = canvas.part(middle - 2 * size, level - size, middle + 2 * size, level + size)
    right, up = (canvas.x[:, part[1]] - middle) / size, (level - canvas.y[part[0]]) / size
    right = right + 0 * up
    for flip, depth in ((-1, 0.55), (1, 1.0)):
        above = up * flip * (1 if flip > 0 else 1.15) + (0.0 if flip > 0 else 0.02 * np.sin(up * 60))
        rail = 0.19 + 0.10 * right**2
        hull = (above > -0.02) & (above < rail) & (np.abs(right) < 0.90 + 0.25 * above)
        wood = ramp(
            above / rail + 0.1 * right, (0, 0.55, 0.8, 1.0), hexes("2b1713", "5a2c1f", "8b4a2e", "e0a878")
        )
        for place, lean in ((-0.25, 0.25), (0.38, -0.12)):
            body = np.hypot((right - place - lean * (above - 0.2)) / 0.12, (above - 0.33) / 0.27) < 1
            head = np.hypot(right - place - lean * 0.5, above - 0.68) < 0.085
            coat = mix(
                hexes("b5482f" if place < 0 else "2e4a66")[0],
                hexes("1d1a22")[0],
                rise(right - place, -0.10, 0.08),
            )
            lay_over(picture[part], coat, depth * (body & (above > 0.1)))
            lay_over(
                picture[part],
                mix(hexes("d79a72")[0], hexes("3a2725")[0], rise(right - place - lean * 0.5, -0.06, 0.05)),
                depth * head,
            )
        oar = (np.abs(above - 0.27 + 0.30 * (right + 0.25)) < 0.012) & (right > -0.3) & (right < 0.72)
        lay_over(picture[part], hexes("3b2a22")[0], depth * oar)
        lay_over(picture[part], wood, depth * hull)


def _lay_near_shore(picture: Field, canvas: Canvas, rng: np.random.Generator, noise: Noise) -> None:
    x, y = canvas.points
    bank = 0.985 - 0.17 * rise(x, 0.55, 0.0) - 0.11 * rise(x, 1.2, 1.55)
    blades = 0.022 * np.abs(noise(x[:1] * 120, 0.5)) + 0.012 * noise.fractal(x[:1] * 30, 0.2, octaves=3)
    depth = y - bank + blades
    grass = 0.5 + 0.5 * noise.fractal(x * 60, y * 22, octaves=3) - 5 * depth
    lay_over(
        picture, ramp(grass, (-0.6, 0.2, 1.0), hexes("0c1210", "1d2a1c", "6a5f35")), rise(depth, 0, 0.003)
    )
    trees = (
        (0.04, 0.90, 0.62),
        (0.20, 0.93, 0.50),
        (0.33, 0.97, 0.30),
        (-0.02, 0.97, 0.55),
        (1.47, 0.96, 0.52),
        (1.37, 0.99, 0.30),
    )
    for foot, level, tall in trees:
        tall = tall * (0.94 + 0.12 * rng.random())
        _lay_spruce(picture, canvas, noise, (foot, level), tall, NEAR_SPRUCE)
