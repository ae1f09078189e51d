"""Between the whole numbers that files hold and the unit range that Velatura works in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Plane", "Samples", "full_scale", "in_rows", "quantized", "unit_plane", "unit_planes"]

_BLOCK_ROWS = 64

Plane = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Samples = NDArray[np.uint8] | NDArray[np.uint16]


def full_scale(plane: Plane) -> float:
    """The sample that stands for 1: 255, 65535, or 1 where samples are floats already."""
    return {"u1": 255.0, "u2": 65535.0}.get(plane.dtype.str[1:], 1.0)


def unit_planes(planes: list[Plane]) -> Tensor:
    """Pixels in [0, 1], ``(3, H, W)``, from one grey plane or three colour planes ``(H, W)``.

    The list is emptied on the way: of a large picture, samples and pixels never stand in memory
    whole at the same time.
    """
    pixels = torch.empty(3, *planes[0].shape, dtype=torch.float32)
    grey = len(planes) == 1
    while planes:
        plane = planes.pop()
        _fill(pixels if grey else pixels[len(planes)], plane)
    return pixels


def unit_plane(plane: Plane) -> Tensor:
    """One plane in [0, 1], ``(1, H, W)``."""
    values = torch.empty(1, *plane.shape, dtype=torch.float32)
    _fill(values, plane)
    return values


def _fill(values: Tensor, plane: Plane) -> None:
    full = full_scale(plane)
    for first in range(0, plane.shape[0], _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        values[..., rows, :] = torch.from_numpy(plane[rows].astype(np.float32) / np.float32(full))


def quantized(planes: Tensor, *, bits: int) -> Samples:
    """Samples interleaved as files hold them, each the nearest to its value; halves go up.

    Args:
        planes: Values in [0, 1], ``(C, H, W)``.
        bits: 8 or 16.

    Returns:
        ``(H, W, C)``. Samples that came from ``unit_planes`` come back as they were.
    """
    full, dtype = {8: (255, np.uint8), 16: (65535, np.uint16)}[bits]
    samples = np.empty((*planes.shape[1:], planes.shape[0]), dtype)
    for index, plane in enumerate(planes.detach().cpu()):
        samples[..., index] = (plane * full).add_(0.5).numpy()
    return samples


def in_rows(blocks: Iterable[NDArray[Any]], rows: int) -> Iterator[NDArray[Any]]:
    """Blocks of ``rows`` rows each, the last of what is left, from blocks of any number of rows."""
    waiting: list[NDArray[Any]] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        while count >= rows:
            joined = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            yield joined[:rows]
            waiting, count = [joined[rows:]], count - rows
    if count:
        yield np.concatenate(waiting)
