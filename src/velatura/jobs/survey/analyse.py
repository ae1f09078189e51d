"""The job of analysing answers: whose count, what was preferred, and how sure that is."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, Len
from numpy.typing import NDArray

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.jobs.survey.answers import Answers, read_answers
from velatura.jobs.survey.definition import Definition
from velatura.ops.votes import (
    binomial_p,
    bradley_terry,
    half_votes,
    holm,
    is_bounded,
    sign_flip_p,
    wilson_interval,
)

__all__ = ["Analysis", "AnalysisJob", "Duel", "Share", "Standing", "run_analysis"]

_ENDS = (0.025, 0.975)
_FEW_RATERS = 5


@dataclass(frozen=True, kw_only=True)
class AnalysisJob:
    """Answers in, a report out."""

    answers: Annotated[tuple[str, ...], Len(1), Setting("Files that the page saved, one a rater")]
    bootstrap: Annotated[
        int, Interval(ge=100, le=100_000), Setting("Times that the raters are drawn anew")
    ] = 2000
    seed: Annotated[int, Ge(0), Setting("Seed of these draws")] = 0


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a count.

    Args:
        wins: How many.
        votes: Of how many.
        interval: Wilson's 95 % interval; None of nothing.
        p: Exact two-sided binomial test against a half; None of nothing.
    """

    wins: int
    votes: int
    interval: tuple[float, float] | None
    p: float | None

    @property
    def share(self) -> float | None:
        """``wins / votes``; None of nothing."""
        return self.wins / self.votes if self.votes else None


@dataclass(frozen=True, kw_only=True)
class Duel:
    """Two methods against each other.

    Args:
        first: Index of a method.
        second: Index of the other.
        share: Votes for the first.
        log_odds: Difference of their Bradley-Terry strengths: log-odds that the first is preferred.
        log_odds_interval: 95 % interval of that, by drawing raters anew; None of one rater.
        share_interval: Likewise of the share.
        p_by_rater: Exact sign-flip test over raters, which takes no vote of one rater for
            independent of the others.
        p_holm: The binomial test's p-value, raised for the number of such tests in its family.
    """

    first: int
    second: int
    share: Share
    log_odds: float
    log_odds_interval: tuple[float, float] | None
    share_interval: tuple[float, float] | None
    p_by_rater: float
    p_holm: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What one set of votes says.

    Args:
        duels: Every two methods.
        strengths: Bradley-Terry strength of each method; they sum to 0.
        intervals: 95 % interval of each, by drawing raters anew; None of one rater.
        bounded: Whether the strengths exist as they are. Where some won or lost every vote, half a
            vote each way was added.
        unbounded_draws: In how many of the draws of raters the same had to be done.
    """

    duels: tuple[Duel, ...]
    strengths: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...] | None
    bounded: bool
    unbounded_draws: int


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What the answers to a survey say.

    Args:
        definition: The survey.
        counted: Answers of the raters that passed every check.
        left_out: Those of the rest, who count nowhere.
        overall: All votes.
        items: The votes on each item that was asked about, by its name.
        left_side: How often the picture on the left was chosen.
        repeated: How often a pair was answered the second time as the first.
        seconds: Median time of a vote.
        job: How it was analysed.
        notes: What a reader should know, one line each.
    """

    definition: Definition
    counted: tuple[Answers, ...]
    left_out: tuple[Answers, ...]
    overall: Standing
    items: dict[str, Standing]
    left_side: Share
    repeated: Share
    seconds: float
    job: AnalysisJob
    notes: tuple[str, ...]


def run_analysis(job: AnalysisJob) -> Analysis:
    """Reads, checks, counts.

    A vote is a rater's first answer to a pair: repeats and checks are none.

    Raises:
        ConfigError: An answers file is refused (see :func:`read_answers`), or nobody passed the checks.
    """
    definition, everyone = read_answers(list(map(Path, job.answers)))
    counted = [answers for answers in everyone if answers.attentive]
    left_out = [answers for answers in everyone if not answers.attentive]
    if not counted:
        raise ConfigError(f"none of {len(everyone)} raters passed every check; there is no vote to count")
    wins = np.stack([_wins(definition, answers) for answers in counted])
    draws = _draws(len(counted), job)
    (overall,) = _with_holm([_standing(wins.sum(axis=1), draws)])
    asked = sorted({definition.pictures[pair[0]].item for pair in definition.pairs})
    items = _with_holm([_standing(wins[:, item], draws) for item in asked])
    votes = [answer for answers in counted for answer in answers.answers if answer.kind == "pair"]
    return Analysis(
        definition=definition,
        counted=tuple(counted),
        left_out=tuple(left_out),
        overall=overall,
        items={definition.items[item]: standing for item, standing in zip(asked, items, strict=True)},
        left_side=_share(sum(answer.side == "left" for answer in votes), len(votes)),
        repeated=_share(*_agreements(counted)),
        seconds=statistics.median(answer.seconds for answer in votes),
        job=job,
        notes=tuple(_notes(definition, counted, left_out, [overall, *items])),
    )


def _wins(definition: Definition, answers: Answers) -> NDArray[np.float64]:
    """One rater's votes by item, winner and loser, ``(items, K, K)``."""
    methods = len(definition.methods)
    wins = np.zeros((len(definition.items), methods, methods))
    for answer in answers.answers:
        if answer.kind == "pair":
            winner, loser = definition.origins((answer.chosen, answer.other))
            wins[winner.item, winner.method, loser.method] += 1
    return wins


def _draws(raters: int, job: AnalysisJob) -> NDArray[np.float64] | None:
    """How often each rater is in each draw, ``(draws, raters)``."""
    if raters < 2:
        return None
    random = np.random.default_rng(job.seed)
    return random.multinomial(raters, np.full(raters, 1 / raters), size=job.bootstrap).astype(np.float64)


def _standing(wins: NDArray[np.float64], draws: NDArray[np.float64] | None) -> Standing:
    """What the votes ``wins[rater, i, j]`` say."""
    total = wins.sum(axis=0)
    strengths, drawn = _strengths(total), None
    if draws is not None:
        drawn = np.tensordot(draws, wins, axes=1)  # (draws, K, K)
    drawn_strengths = None if drawn is None else _strengths(drawn)
    duels = [
        _duel(one, other, wins, strengths, drawn, drawn_strengths)
        for one, other in itertools.combinations(range(len(total)), 2)
        if total[one, other] + total[other, one]
    ]
    return Standing(
        duels=tuple(duels),
        strengths=tuple(map(float, strengths)),
        intervals=None if drawn_strengths is None else tuple(map(_interval, drawn_strengths.T)),
        bounded=bool(is_bounded(total)),
        unbounded_draws=0 if drawn is None else int((~is_bounded(drawn)).sum()),
    )


def _strengths(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bradley-Terry strengths, with half a vote each way where there are none without."""
    bounded = is_bounded(wins)[..., None, None]
    return bradley_terry(np.where(bounded, wins, half_votes(wins)))


def _duel(
    one: int,
    other: int,
    wins: NDArray[np.float64],
    strengths: NDArray[np.float64],
    drawn: NDArray[np.float64] | None,
    drawn_strengths: NDArray[np.float64] | None,
) -> Duel:
    ours, theirs = wins[:, one, other], wins[:, other, one]
    share = _share(round(ours.sum()), round((ours + theirs).sum()))
    assert share.p is not None
    odds_interval = share_interval = None
    if drawn is not None and drawn_strengths is not None:
        odds_interval = _interval(drawn_strengths[:, one] - drawn_strengths[:, other])
        share_interval = _interval(drawn[:, one, other] / (drawn[:, one, other] + drawn[:, other, one]))
    return Duel(
        first=one,
        second=other,
        share=share,
        log_odds=float(strengths[one] - strengths[other]),
        log_odds_interval=odds_interval,
        share_interval=share_interval,
        p_by_rater=sign_flip_p([round(lead) for lead in ours - theirs]),
        p_holm=share.p,
    )


def _share(wins: int, votes: int) -> Share:
    if not votes:
        return Share(wins=wins, votes=votes, interval=None, p=None)
    return Share(wins=wins, votes=votes, interval=wilson_interval(wins, votes), p=binomial_p(wins, votes))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, _ENDS)
    return float(low), float(high)


def _agreements(raters: Iterable[Answers]) -> tuple[int, int]:
    """Repeated pairs that were answered alike, of all."""
    alike = repeats = 0
    for rater in raters:
        first = {
            frozenset((one.chosen, one.other)): one.chosen for one in rater.answers if one.kind == "pair"
        }
        for answer in rater.answers:
            if answer.kind == "repeat":
                repeats += 1
                alike += first[frozenset((answer.chosen, answer.other))] == answer.chosen
    return alike, repeats


def _with_holm(standings: Sequence[Standing]) -> list[Standing]:
    """The standings, as one family of tests."""
    raised = iter(holm([duel.share.p or 0.0 for standing in standings for duel in standing.duels]))
    return [
        replace(standing, duels=tuple(replace(duel, p_holm=next(raised)) for duel in standing.duels))
        for standing in standings
    ]


def _notes(
    definition: Definition,
    counted: Sequence[Answers],
    left_out: Sequence[Answers],
    standings: Sequence[Standing],
) -> Iterable[str]:
    if left_out:
        files = ", ".join(answers.source for answers in left_out)
        yield f"left out: {len(left_out)} of {len(left_out) + len(counted)} raters failed a check ({files})"
    if not definition.checks:
        yield "the survey had no attention checks: everyone is counted"
    if len(counted) < 2:
        yield "one rater: nothing can be said of others, and there are no intervals by drawing raters anew"
    elif len(counted) < _FEW_RATERS:
        yield f"{len(counted)} raters are few: the intervals by drawing raters anew are too narrow"
    if not all(standing.bounded for standing in standings):
        yield (
            "where a method won or lost every vote, its strength has no bound; half a vote each way was added"
        )
    if any(standing.unbounded_draws for standing in standings):
        yield (
            "in some draws of raters a method won or lost every vote; half a vote each way was added there, "
            "so that the far end of such an interval of log-odds is no limit"
        )
