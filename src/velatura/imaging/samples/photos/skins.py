"""The skins of fruit and the glazes of crockery: colours on solids that a lathe turned.

A skin gives the colour, ``(N, 3)``, of points in the solid's own axes, ``(N, 3)``, the second axis
being the one it was turned about. Each takes the noise that it is marked with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from velatura.imaging.samples.canvas import Field
from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise
from velatura.imaging.samples.noise import Noise

__all__ = [
    "LEMON_PEEL",
    "ORANGE_PEEL",
    "Skin",
    "apple_skin",
    "bowl_skin",
    "citrus_skin",
    "grape_skin",
    "jug_skin",
    "pear_skin",
]

Skin = Callable[[Field], Field]
ORANGE_PEEL, LEMON_PEEL = hexes("c85a0c", "ef8a1d", "f7a63a"), hexes("c99a12", "f0c92a", "f8df62")


def _around(local: Field) -> tuple[Field, Field]:
    """Cosine and sine of the bearing about the axis: noise over them has no seam."""
    reach = np.maximum(np.hypot(local[:, 0], local[:, 2]), 1e-6)
    return np.asarray(local[:, 0] / reach, np.float32), np.asarray(local[:, 2] / reach, np.float32)


def apple_skin(noise: Noise, seed: float) -> Skin:
    """Red streaks from stem to blossom over yellow, with pale dots; ``seed`` tells apples apart."""

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


def pear_skin(noise: Noise) -> Skin:
    """Green to yellow with a blush on one side and russet specks."""

    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        blush = (
            0.5 + 0.5 * cosine + 0.5 * noise.fractal(cosine * 1.4, sine * 1.4 + local[:, 1] * 1.3, octaves=3)
        )
        colour = ramp(blush - 0.15 * local[:, 1], (0.1, 0.6, 1.1), hexes("8f9a35", "c2b544", "d59a45"))
        russet = rise(noise(cosine * 24, sine * 24 + local[:, 1] * 26), 0.45, 0.7)
        return mix(colour, hexes("7a5a2a")[0], 0.6 * russet + 0.4 * rise(local[:, 1], 1.12, 1.3))

    return skin


def citrus_skin(noise: Noise, peel: Field) -> Skin:
    """Peel with pores, in the colours given, ``(3, 3)``."""

    def skin(local: Field) -> Field:
        cosine, sine = _around(local)
        pores = noise(cosine * 15, sine * 15 + local[:, 1] * 30) + 0.5 * noise(
            cosine * 29 + 5, sine * 29 + local[:, 1] * 58
        )
        return ramp(0.55 + 0.30 * pores + 0.2 * noise(cosine * 2, sine * 2 + local[:, 1]), (0, 0.5, 1), peel)

    return skin


def grape_skin(noise: Noise, ripeness: float) -> Skin:
    """Purple under a pale bloom; ``ripeness`` in [0, 1]."""

    def skin(local: Field) -> Field:
        bloom = 0.5 + 0.6 * noise.fractal(
            local[:, 0] * 1.8 + 40 * ripeness, local[:, 1] * 1.8 + local[:, 2], octaves=3
        )
        colour = mix(hexes("3a1436")[0], hexes("6b2448")[0], np.full(len(local), ripeness, np.float32))
        return mix(colour, hexes("8b86ad")[0], 0.38 * np.clip(bloom, 0, 1))

    return skin


def bowl_skin(noise: Noise) -> Skin:
    """Blue glaze that ran in firing, over bare clay at rim and foot."""

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


def jug_skin(noise: Noise) -> Skin:
    """White glaze with bands and a wave in cobalt."""

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
