"""How far to go along a direction: the line search of quasi-Newton methods."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Point", "strong_wolfe"]

_SUFFICIENT_DECREASE = 1e-4
_CURVATURE = 0.9


class Point(NamedTuple):
    """A place on the line.

    Args:
        at: Length of the step that leads there.
        loss: The loss there.
        slope: Its derivative along the direction.
    """

    at: float
    loss: float
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, first: float, *, evaluations: int = 25
) -> Point:
    r"""A step length that meets the strong Wolfe conditions (Nocedal and Wright 2006, section 3.5).

    .. math:: f(t) \le f(0) + c_1 t f'(0), \qquad |f'(t)| \le c_2 |f'(0)|

    with :math:`c_1 = 10^{-4}` and :math:`c_2 = 0.9`. Lengths are tried ever larger until an interval
    must hold one that fits, and that interval is narrowed by cubic interpolation.

    Args:
        evaluate: The loss and its slope at a length. A loss that is not finite counts as too far.
        start: Length 0, with a slope below zero.
        first: The length to try first.
        evaluations: Most lengths tried.

    Returns:
        The point that fits; the lowest one found where none of the lengths tried does.
    """
    before, length = start, first
    for tried in range(1, evaluations + 1):
        here = evaluate(length)
        if not _decreases(here, start) or (tried > 1 and here.loss >= before.loss):
            return _zoom(evaluate, start, before, here, evaluations - tried)
        if _is_flat(here, start):
            return here
        if here.slope >= 0:
            return _zoom(evaluate, start, here, before, evaluations - tried)
        ahead = _minimum(before, here, otherwise=math.inf)
        # It falls here still: a minimum of the cubic that lies behind says nothing of what is ahead.
        length = min(ahead, 10 * here.at) if ahead > here.at else 4 * here.at
        before = here
    return before


def _decreases(point: Point, start: Point) -> bool:
    return point.loss <= start.loss + _SUFFICIENT_DECREASE * point.at * start.slope


def _is_flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -_CURVATURE * start.slope


def _zoom(
    evaluate: Callable[[float], Point], start: Point, low: Point, high: Point, evaluations: int
) -> Point:
    """Narrows an interval that holds a fitting length; ``low`` is the better of its ends."""
    for _ in range(evaluations):
        width = high.at - low.at
        if abs(width * start.slope) < 1e-12 * abs(start.loss):
            break
        # Not close to an end, or the interval would hardly shrink.
        share = (_minimum(low, high, otherwise=low.at + width / 2) - low.at) / width
        here = evaluate(low.at + min(max(share, 0.1), 0.9) * width)
        if not _decreases(here, start) or here.loss >= low.loss:
            high = here
            continue
        if _is_flat(here, start):
            return here
        if here.slope * width >= 0:
            high = low
        low = here
    return low


def _minimum(one: Point, other: Point, *, otherwise: float) -> float:
    """Where the cubic through two points with their slopes is least (Nocedal and Wright, eq. 3.59).

    Args:
        one: A point.
        other: Another one.
        otherwise: The answer where the cubic has no minimum, or a value is not finite.
    """
    gap = other.at - one.at
    if gap == 0:
        return otherwise
    mean = one.slope + other.slope - 3 * (one.loss - other.loss) / (one.at - other.at)
    inside = mean**2 - one.slope * other.slope
    if not inside >= 0:
        return otherwise
    root = inside**0.5 if gap > 0 else -(inside**0.5)
    divisor = other.slope - one.slope + 2 * root
    found = other.at - gap * (other.slope + root - mean) / divisor if divisor else otherwise
    return found if math.isfinite(found) else otherwise
