"""Means with intervals, by Student's t distribution."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Mean", "mean_interval", "student_quantile"]

_HALVINGS = 200


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean and how sure one can be of it.

    Args:
        value: The mean; NaN of nothing.
        half_width: Half of the interval's width; NaN where fewer than two values leave none.
        count: How many finite values it is of.
    """

    value: float
    half_width: float
    count: int


def student_quantile(freedom: int, *, level: float = 0.95) -> float:
    """The ``t`` with ``P(|T| < t) = level`` for Student's distribution.

    Args:
        freedom: Degrees of freedom, at least 1.
        level: Above 0 and below 1.
    """
    low, high = 0.0, 1.0
    while _central_probability(high, freedom) < level:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _central_probability(middle, freedom) < level else (low, middle)
    return high


def _central_probability(t: float, freedom: int) -> float:
    r""":math:`P(|T| < t)`, exactly, for whole degrees of freedom.

    Source: Abramowitz and Stegun 1964, 26.7.3 (odd) and 26.7.4 (even).
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    # Every second power of the cosine, each with the ratio of its coefficient to the one before.
    term, total = (cosine if freedom % 2 else 1.0), 0.0
    for power in range(1 + freedom % 2, freedom, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    if freedom % 2:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> Mean:
    r"""The mean of what is finite, :math:`\bar x \pm t_{n-1} \, s / \sqrt n`.

    The interval holds the mean of all such values as often as ``level`` says, if those given are drawn
    independently from a normal distribution.

    Args:
        values: Measurements; those that are not finite are left out.
        level: Above 0 and below 1.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Mean(value=math.nan, half_width=math.nan, count=0)
    mean = statistics.fmean(finite)
    if len(finite) == 1:
        return Mean(value=mean, half_width=math.nan, count=1)
    error = statistics.stdev(finite) / math.sqrt(len(finite))
    width = student_quantile(len(finite) - 1, level=level) * error
    return Mean(value=mean, half_width=width, count=len(finite))
