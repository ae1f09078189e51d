"""Edge similarity: whether edges are where they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from velatura.metrics.base import Direction, Metric, View, check_same_size, metrics
from velatura.ops.color import luma
from velatura.ops.filters import sobel_magnitude

__all__ = ["EdgeSimilarity"]


@metrics.register("edge-similarity")
@dataclass(frozen=True, kw_only=True)
class EdgeSimilarity(Metric):
    r"""Correlation of edge strength with the photograph's, pixel by pixel.

    .. math:: \frac{\sum_k (e_k - \bar e)(p_k - \bar p)}{|e - \bar e| \, |p - \bar p|}

    ``e`` and ``p`` are Sobel magnitudes of the luma. Contrast may change freely; brush strokes in
    flat parts lower it. NaN where a picture's edges are equally strong everywhere.
    """

    unit: ClassVar[str] = "correlation, -1 to 1"
    direction: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "operator: Sobel and Feldman 1968; correlation: here"
    against: ClassVar[Literal["content", "style"]] = "content"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The correlation."""
        check_same_size(output, content)
        edges = [sobel_magnitude(luma(view.pixels.double())).flatten() for view in (output, content)]
        return float(torch.corrcoef(torch.stack(edges))[0, 1])
