"""What each rater is shown: order, sides, repeats and checks, drawn from the seed and the rater's id.

``template/survey.js`` draws the same from the same numbers; so the page can be opened anywhere, and
the answers can be held against what must have been shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from velatura.jobs.survey.definition import Definition

__all__ = ["Kind", "Side", "Trial", "checksum", "plan"]

Kind = Literal["pair", "repeat", "check"]
Side = Literal["left", "right"]

_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class Trial:
    """One thing that a rater is shown.

    Args:
        kind: A pair; a pair again, its sides changed; or a check, which shows an earlier pair.
        left: Id of the picture on the left, or above.
        right: Id of the other.
        asked: The side that a check tells to choose.
    """

    kind: Kind
    left: str
    right: str
    asked: Side | None = None


def plan(definition: Definition, rater: str) -> list[Trial]:
    """What a rater is shown, first to last.

    Every pair once, in an order and with sides of the rater's own; then the first pairs again, sides
    changed; checks spread evenly over all, each after something that it can show again.
    """
    draws = _Draws(f"{definition.seed}/{rater}")
    trials = [_with_sides(pair, draws.below(2)) for pair in draws.shuffled(definition.pairs)]
    trials += [Trial("repeat", trial.right, trial.left) for trial in trials[: definition.repeat]]
    checks = []
    for number in range(definition.checks):
        begin, end = (len(trials) * edge // definition.checks for edge in (number, number + 1))
        place = 1 + begin + draws.below(end - begin)
        shown = trials[draws.below(place)]
        asked: Side = "right" if draws.below(2) else "left"
        checks.append((place, Trial("check", shown.left, shown.right, asked)))
    for place, check in reversed(checks):
        trials.insert(place, check)
    return trials


def _with_sides(pair: tuple[str, str], changed: int) -> Trial:
    return Trial("pair", *(reversed(pair) if changed else pair))


class _Draws:
    """Whole numbers from a text: Mulberry32 from its FNV-1a hash, exact in JavaScript too."""

    def __init__(self, text: str) -> None:
        self._state = _fnv1a(text)

    def below(self, limit: int) -> int:
        """The next number from 0 to ``limit - 1``."""
        self._state = (self._state + 0x6D2B79F5) & _32_BITS
        mixed = ((self._state ^ self._state >> 15) * (self._state | 1)) & _32_BITS
        mixed ^= (mixed + (mixed ^ mixed >> 7) * (mixed | 61)) & _32_BITS
        return ((mixed ^ mixed >> 14) * limit) >> 32

    def shuffled(self, pairs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        """A copy in another order (Fisher and Yates, from the end)."""
        order = list(pairs)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def _fnv1a(text: str) -> int:
    state = 0x811C9DC5
    for byte in text.encode():
        state = ((state ^ byte) * 0x01000193) & _32_BITS
    return state


def checksum(text: str) -> str:
    """Sixteen hexadecimal digits that change with any slip in ``text``; no signature."""
    return f"{_fnv1a('0' + text):08x}{_fnv1a('1' + text):08x}"
