"""What a lens and a film add to a scene."""

from __future__ import annotations

import numpy as np

from velatura.imaging.samples.canvas import Canvas, Field, blur, shrink
from velatura.imaging.samples.noise import Noise

__all__ = ["developed"]


def developed(scene: Field, canvas: Canvas, noise: Noise, *, exposure: float = 1.0) -> Field:
    """The finished photograph: bloom around the lights, darker corners, fine grain.

    Args:
        scene: Light on the film, ``(H, W, 3)``, 1 for white.
        canvas: What the scene was drawn on.
        noise: Source of the grain.
        exposure: Above 1 lifts the middle tones.

    Returns:
        ``(H, W, 3)`` in [0, 1] without oversampling.
    """
    picture = shrink(np.clip(scene, 0, 1), canvas.oversampling) ** np.float32(1 / exposure)
    x, y = canvas.plain.points
    picture = picture + 0.55 * blur(np.clip(picture - 0.72, 0, 1), 0.02 * canvas.plain.height)
    corner = np.hypot(x / canvas.aspect - 0.5, y - 0.5)
    grain = 0.012 * noise(x * 420, y * 420)
    return np.asarray(np.clip(picture * (1.02 - 0.30 * corner**2)[..., None] + grain[..., None], 0, 1))
