"""Content feature distance: how far a deep layer has moved."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import ClassVar, Literal

from velatura.metrics.base import Direction, FeatureMetric, View, metrics

__all__ = ["ContentFeatures"]


@metrics.register("content-features")
@dataclass(frozen=True, kw_only=True)
class ContentFeatures(FeatureMetric):
    r"""Squared error of a deep layer's features, relative to the photograph's.

    .. math:: \frac{\sum_{ik} (F_{ik} - P_{ik})^2}{\sum_{ik} P_{ik}^2}

    The content loss of Gatys et al. with a divisor that makes networks comparable: 1 is what
    features of zero would have. NaN where nothing is active. With several layers, the mean over them.
    """

    unit: ClassVar[str] = "part of the photograph's mean square"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "content loss: Gatys et al. 2016, eq. 1; relative: here"
    against: ClassVar[Literal["content", "style"]] = "content"
    usual: ClassVar[tuple[tuple[str, ...], ...]] = (("relu4_2",), ("layer3",), ("fire8",))

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The relative squared error."""
        return statistics.fmean(
            float((output.features[layer] - wanted).square().sum() / wanted.square().sum())
            for layer, wanted in content.features.items()
        )
