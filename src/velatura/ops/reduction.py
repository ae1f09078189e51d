"""Making a picture smaller while it comes in strips: the same numbers as of the whole."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velatura.ops.resize import resize

__all__ = ["Reduction"]

_SUPPORT = 2.0
"""Pixels of the result that a cubic weight reaches on either side."""
_CUBIC = -0.5


class Reduction:
    """What :func:`velatura.ops.resize.resize` gives, of a picture that is never whole in memory.

    Bicubic weights along rows and along columns are independent. So each strip is made narrower as it comes,
    and its rows are added to those of the result that they weigh on.

    Args:
        size: Height and width of the whole.
        smaller: Height and width of the result, neither larger.
        channels: Of the pixels.
    """

    def __init__(self, size: tuple[int, int], smaller: tuple[int, int], *, channels: int) -> None:
        assert smaller[0] <= size[0]
        assert smaller[1] <= size[1]
        self._size, self._smaller = size, smaller
        self._scale = size[0] / smaller[0]
        self._centres = self._scale * (np.arange(smaller[0]) + 0.5)
        self._totals = self._sums()
        self._taken = 0
        self.result = torch.zeros((channels, *smaller))
        """``(channels, *smaller)``, done once every row has come; cubic weights overshoot at edges."""

    def take(self, strip: Tensor) -> None:
        """The next rows, ``(channels, any, W)``."""
        rows = range(self._taken, self._taken + strip.shape[1])
        self._taken = rows.stop
        narrow = resize(strip[None], (strip.shape[1], self._smaller[1]))[0]
        if self._size[0] == self._smaller[0]:
            self.result[:, rows.start : rows.stop] = narrow
            return
        reach = _SUPPORT * self._scale + 1
        first, last = np.searchsorted(self._centres, (rows.start - reach, rows.stop + reach))
        if first < last:
            weights = self._weights(np.arange(first, last), np.array(rows)) / self._totals[first:last, None]
            self.result[:, first:last] += torch.from_numpy(weights.astype(np.float32)) @ narrow

    def _sums(self) -> NDArray[np.float64]:
        """Of the weights of each row of the result, which are cut off at the edges."""
        sums = np.empty(self._smaller[0])
        width = int(2 * _SUPPORT * self._scale) + 3
        for number, centre in enumerate(self._centres):
            begin = max(0, int(centre) - width // 2 - 1)
            rows = np.arange(begin, min(begin + width + 2, self._size[0]))
            sums[number] = self._weights(np.array([number]), rows).sum()
        return sums

    def _weights(self, outputs: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Cubic weights, ``(outputs, rows)`` (Keys 1981), stretched by the scale."""
        centres = self._centres[outputs][:, None]
        x = np.abs((rows[None] - centres + 0.5) / self._scale)
        near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * _CUBIC
        weights = np.where(x < 1, near, np.where(x < _SUPPORT, far, 0.0))
        # As torch and Pillow do: only whole rows within the reach.
        reach = _SUPPORT * self._scale
        begin = np.maximum((centres - reach + 0.5).astype(int), 0)
        end = np.minimum((centres + reach + 0.5).astype(int), self._size[0])
        inside = (rows[None] >= begin) & (rows[None] < end)
        return np.asarray(np.where(inside, weights, 0.0))
