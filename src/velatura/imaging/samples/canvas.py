"""The grid that a sample is drawn on, and what needs to know its pixels.

Every length is a share of the picture's height, so that a scene is the same at every size:
``x`` runs from 0 to ``aspect`` rightwards and ``y`` from 0 to 1 downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

__all__ = ["Canvas", "Field", "blur", "polygon", "shrink"]

Field = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A grid of pixels.

    Args:
        width: Pixels from left to right.
        height: Pixels from top to bottom, the unit of every length.
        oversampling: How many of these pixels make one pixel of the finished picture, along each edge.
    """

    width: int
    height: int
    oversampling: int = 1

    @classmethod
    def of_size(cls, long_edge: int, aspect: float, *, oversampling: int = 2) -> Canvas:
        """A canvas whose finished picture has this long edge and this width over height."""
        width = long_edge if aspect >= 1 else max(1, round(long_edge * aspect))
        height = long_edge if aspect < 1 else max(1, round(long_edge / aspect))
        return cls(width=width * oversampling, height=height * oversampling, oversampling=oversampling)

    @property
    def plain(self) -> Canvas:
        """The same picture without oversampling: enough for what strokes only look up."""
        factor = self.oversampling
        return Canvas(width=self.width // factor, height=self.height // factor)

    @property
    def aspect(self) -> float:
        """Width over height: where the right edge lies."""
        return self.width / self.height

    @property
    def pixel(self) -> float:
        """Edge of a pixel of the finished picture."""
        return self.oversampling / self.height

    @property
    def x(self) -> Field:
        """Horizontal position of every pixel's centre, ``(1, W)``."""
        return (np.arange(self.width, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(self.height)

    @property
    def y(self) -> Field:
        """Vertical position of every pixel's centre, ``(H, 1)``."""
        return (np.arange(self.height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(self.height)

    @property
    def points(self) -> tuple[Field, Field]:
        """``x`` and ``y`` of every pixel, each ``(H, W)``."""
        shape = (self.height, self.width)
        return np.broadcast_to(self.x, shape), np.broadcast_to(self.y, shape)

    def part(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """Rows and columns of the pixels between these edges."""
        across = np.clip(np.array([left, right]) * self.height, 0, self.width).astype(int)
        down = np.clip(np.array([top, bottom]) * self.height, 0, self.height).astype(int)
        return slice(*down.tolist()), slice(*across.tolist())

    def spread(self, plain: NDArray[T]) -> NDArray[T]:
        """What was drawn on ``plain``, ``(H, W, ...)``, on this canvas: for what has no sharp edges."""
        return plain.repeat(self.oversampling, 0).repeat(self.oversampling, 1)

    def filled(self, colour: ArrayLike) -> Field:
        """A picture of one colour, ``(H, W, 3)``."""
        return np.broadcast_to(np.asarray(colour, np.float32), (self.height, self.width, 3)).copy()


def polygon(canvas: Canvas, corners: ArrayLike) -> Field:
    """1 inside the polygon with these corners ``(N, 2)``, 0 outside, ``(H, W)``."""
    mask = Image.new("L", (canvas.width, canvas.height))
    outline = np.asarray(corners, np.float64) * canvas.height - 0.5
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in outline.tolist()], fill=1)
    return np.asarray(mask, np.float32)


def blur(field: Field, radius: float) -> Field:
    """Near-Gaussian blur of ``(H, W)`` or ``(H, W, 3)`` with edges held: three box filters.

    Args:
        field: What to blur.
        radius: Standard deviation in pixels of ``field``; below a third it does nothing.
    """
    half = round((np.sqrt(4 * radius * radius + 1) - 1) / 2)
    if half < 1:
        return field
    result = field.astype(np.float64)
    for axis in (0, 1):
        for _ in range(3):
            result = _box(result, half, axis)
    return result.astype(np.float32)


def _box(field: NDArray[np.float64], half: int, axis: int) -> NDArray[np.float64]:
    padding = [(0, 0)] * field.ndim
    padding[axis] = (half + 1, half)
    total = np.cumsum(np.pad(field, padding, mode="edge"), axis=axis)
    size, width = field.shape[axis], 2 * half + 1
    upper = np.take(total, np.arange(width, width + size), axis=axis)
    return np.asarray((upper - np.take(total, np.arange(size), axis=axis)) / width)


def shrink(field: Field, factor: int) -> Field:
    """Mean of every ``factor`` x ``factor`` block of ``(H, W, ...)``."""
    height, width, *rest = field.shape
    blocks = field.reshape(height // factor, factor, width // factor, factor, *rest)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)
