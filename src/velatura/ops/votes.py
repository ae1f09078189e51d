"""What votes between two or more things say, and how sure one can be of it.

Counts go in and numbers come out; nothing here knows what was voted on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "binomial_p",
    "bradley_terry",
    "half_votes",
    "holm",
    "is_bounded",
    "sign_flip_p",
    "wilson_interval",
]

_MOST_STEPS = 200
_LONGEST_STEP = 1.0
_GRADIENT_TOLERANCE = 1e-9


def wilson_interval(wins: int, votes: int, *, level: float = 0.95) -> tuple[float, float]:
    r"""The interval of shares that the share of wins does not contradict.

    .. math:: \frac{1}{1 + z^2/n} \left(\hat p + \frac{z^2}{2n}
        \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}}\right)

    Args:
        wins: Votes for, from 0 to ``votes``.
        votes: All votes, at least 1.
        level: How often such an interval holds the true share, between 0 and 1.

    Returns:
        Its lower and upper end, in [0, 1].

    Raises:
        ValueError: The counts are no counts.

    Source: Wilson, *Probable inference, the law of succession, and statistical inference*, 1927.
    """
    _check_counts(wins, votes)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = wins / votes, z * z / votes
    middle = share + weight / 2
    spread = z * math.sqrt(share * (1 - share) / votes + weight / (4 * votes))
    low, high = ((middle + sign * spread) / (1 + weight) for sign in (-1, 1))
    # Rounding must not take 0 of n above 0, nor n of n below 1.
    return (0.0 if wins == 0 else low), (1.0 if wins == votes else high)


def binomial_p(wins: int, votes: int) -> float:
    """How often fair coins would lie at least as far from the half, to either side: exact.

    Args:
        wins: Votes for, from 0 to ``votes``.
        votes: All votes, at least 1.

    Raises:
        ValueError: The counts are no counts.
    """
    _check_counts(wins, votes)
    most = max(wins, votes - wins)
    tail = sum(math.comb(votes, count) for count in range(most, votes + 1))
    # Whole numbers to the end: a quotient of integers is rounded once.
    return 1.0 if 2 * tail > 2**votes else float(2 * tail / 2**votes)


def _check_counts(wins: int, votes: int) -> None:
    if votes < 1 or not 0 <= wins <= votes:
        raise ValueError(f"expected at least 1 vote and 0 to all of them won, got {wins} of {votes}")


def sign_flip_p(leads: Sequence[int]) -> float:
    """How often the sum would be as far from 0 if each rater's lead might as well have been the reverse.

    Exact, over all ``2^n`` reversals. Unlike a test of single votes, it does not take the votes of
    one rater for independent of each other.

    Args:
        leads: Of each rater, votes for less votes against.

    Source: Fisher, *The Design of Experiments*, 1935, section 21.
    """
    reach = sum(map(abs, leads))
    # The ways to each sum from -reach to reach; Python's integers hold any number of them.
    ways = [0] * (2 * reach + 1)
    ways[reach] = 1
    for lead in map(abs, leads):
        if lead:
            left = ways[lead:] + [0] * lead
            right = [0] * lead + ways[:-lead]
            ways = [one + other for one, other in zip(left, right, strict=True)]
    far = abs(sum(leads))
    as_far = sum(count for at, count in enumerate(ways) if abs(at - reach) >= far)
    return as_far / sum(ways)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value, raised for the number of tests of one family that were made.

    Args:
        p_values: In any order.

    Returns:
        The adjusted values in the same order: below 0.05 for any that would be wrong in at most
        one family of twenty.

    Source: Holm, *A simple sequentially rejective multiple test procedure*, 1979.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def is_bounded(wins: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether Bradley-Terry strengths exist: no group of methods won every vote against the rest.

    Args:
        wins: ``wins[..., i, j]`` votes for ``i`` over ``j``, ``(..., K, K)``.

    Returns:
        ``(...)``: whether every method can be reached from every other along wins.

    Source: Ford, *Solution of a ranking problem from binary comparisons*, 1957.
    """
    methods = wins.shape[-1]
    reached = (wins > 0) | np.eye(methods, dtype=bool)
    for _ in range(max(1, methods.bit_length())):
        reached = np.matmul(reached, reached)
    return np.asarray(reached.all(axis=(-2, -1)))


def half_votes(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """``wins`` with half a vote more, each way, between any two methods that were compared.

    Args:
        wins: ``(..., K, K)``.
    """
    compared = (wins + np.swapaxes(wins, -1, -2)) > 0
    return wins + 0.5 * compared


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Strengths whose differences are the log-odds of a win: the most likely ones.

    .. math:: P(i \text{ over } j) = \frac{1}{1 + e^{s_j - s_i}}, \qquad \sum_i s_i = 0

    Found by Newton's method on the concave log-likelihood, with steps of at most 1.

    Args:
        wins: ``wins[..., i, j]`` votes for ``i`` over ``j``, ``(..., K, K)``, zero on the diagonal.

    Returns:
        Strengths, ``(..., K)``.

    Raises:
        ValueError: There are no such strengths; see :func:`is_bounded` and :func:`half_votes`.

    Source: Bradley and Terry, *Rank analysis of incomplete block designs*, 1952.
    """
    if not is_bounded(wins).all():
        raise ValueError("a method, or a group of them, won or lost every vote: its strength has no bound")
    both = wins + np.swapaxes(wins, -1, -2)
    strengths = np.zeros(wins.shape[:-1])
    for _ in range(_MOST_STEPS):
        chance = 1 / (1 + np.exp(strengths[..., None, :] - strengths[..., :, None]))
        gradient = (wins - both * chance).sum(axis=-1)
        if np.abs(gradient).max() <= _GRADIENT_TOLERANCE * max(1.0, float(both.max())):
            break
        strengths = strengths + _newton_step(both * chance * (1 - chance), gradient)
    return strengths


def _newton_step(spread: NDArray[np.float64], gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """The step to the top of the likelihood's parabola, cut short; ``spread`` is ``(..., K, K)``."""
    curvature = np.eye(spread.shape[-1]) * spread.sum(axis=-1)[..., None] - spread
    # All strengths moved alike change nothing: adding ones keeps that direction at rest and solvable.
    step = np.linalg.solve(curvature + 1.0, gradient[..., None])[..., 0]
    longest = np.abs(step).max(axis=-1, keepdims=True)
    shortened: NDArray[np.float64] = step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
    return shortened
