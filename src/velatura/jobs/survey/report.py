"""What an analysis found, as JSON for programs and as Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from velatura._version import __version__
from velatura.jobs.survey.analyse import Analysis, Duel, Share, Standing

__all__ = ["as_json", "as_markdown"]


def as_json(analysis: Analysis) -> str:
    """Everything that was found, with whose answers and how."""
    definition, methods = analysis.definition, analysis.definition.methods
    return json.dumps(
        {
            "format": "velatura survey report 1",
            "survey": definition.id,
            "question": definition.question,
            "methods": methods,
            "raters": {
                "counted": [{"rater": one.rater, "file": one.source} for one in analysis.counted],
                "left_out": [{"rater": one.rater, "file": one.source} for one in analysis.left_out],
            },
            "overall": _standing(analysis.overall, methods),
            "items": {name: _standing(standing, methods) for name, standing in analysis.items.items()},
            "left_side": _share(analysis.left_side),
            "repeated_alike": _share(analysis.repeated),
            "median_seconds": analysis.seconds,
            "bootstrap": {"draws": analysis.job.bootstrap, "seed": analysis.job.seed, "of": "raters"},
            "notes": analysis.notes,
            "velatura": __version__,
        },
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )


def _standing(standing: Standing, methods: Sequence[str]) -> dict[str, Any]:
    intervals = standing.intervals or [None] * len(methods)
    return {
        "duels": [_duel(duel, methods) for duel in standing.duels],
        "bradley_terry": {
            method: {"strength": strength, "interval": interval}
            for method, strength, interval in zip(methods, standing.strengths, intervals, strict=True)
        },
        "half_votes_added": not standing.bounded,
        "draws_with_half_votes_added": standing.unbounded_draws,
    }


def _duel(duel: Duel, methods: Sequence[str]) -> dict[str, Any]:
    return {
        "first": methods[duel.first],
        "second": methods[duel.second],
        **_share(duel.share),
        "p_holm": duel.p_holm,
        "p_by_rater": duel.p_by_rater,
        "share_interval_by_rater": duel.share_interval,
        "log_odds": duel.log_odds,
        "log_odds_interval_by_rater": duel.log_odds_interval,
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "wins": share.wins,
        "votes": share.votes,
        "share": share.share,
        "wilson_interval": share.interval,
        "binomial_p": share.p,
    }


def as_markdown(analysis: Analysis) -> str:
    """The same in tables, with what the numbers mean."""
    return "\n".join(_lines(analysis)) + "\n"


def _lines(analysis: Analysis) -> Iterator[str]:
    definition, methods = analysis.definition, analysis.definition.methods
    votes = sum(duel.share.votes for duel in analysis.overall.duels)
    yield f"# Survey {definition.id[:12]}"
    yield ""
    yield f"{_words(definition.question)}"
    yield ""
    raters = len(analysis.counted)
    yield (
        f"{votes} votes of {_count(raters, 'rater')} on {_count(len(definition.pairs), 'pair')}; "
        f"median time {analysis.seconds:.1f} s."
    )
    yield from (f"\n{note[0].upper()}{note[1:]}." for note in map(_words, analysis.notes))
    yield from _section("Overall", [("all", analysis.overall)], methods, by_rater=True)
    if len(methods) > 2:
        yield from _strengths(analysis.overall, methods)
    yield from _section("By picture", list(analysis.items.items()), methods, by_rater=False)
    yield from _habits(analysis)
    yield from _MEANINGS


def _section(
    title: str, standings: Sequence[tuple[str, Standing]], methods: Sequence[str], *, by_rater: bool
) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    columns = ["picture", "preferred", "to", "votes", "share", "Wilson 95 %", "p", "p (Holm)"]
    columns += ["p (by rater)"] if by_rater else []
    yield from _header([*columns, "log-odds", "by rater, 95 %"], words=3)
    for name, standing in standings:
        for duel in map(_winner_first, standing.duels):
            tests = [_p(duel.share.p), _p(duel.p_holm), *([_p(duel.p_by_rater)] if by_rater else [])]
            yield _row(
                [
                    *map(_words, (name, methods[duel.first], methods[duel.second])),
                    f"{duel.share.wins} : {duel.share.votes - duel.share.wins}",
                    f"{duel.share.share:.3f}",
                    _range(duel.share.interval, sign=""),
                    *tests,
                    f"{duel.log_odds:+.3f}"
                    if standing.bounded
                    else f"{duel.log_odds:+.3f} (half votes added)",
                    _range(duel.log_odds_interval, sign="+"),
                ]
            )


def _winner_first(duel: Duel) -> Duel:
    """The same duel, told from the side of the one with more votes."""
    if 2 * duel.share.wins >= duel.share.votes:
        return duel
    low_high, log_odds = duel.share.interval, duel.log_odds_interval
    share = Share(
        wins=duel.share.votes - duel.share.wins,
        votes=duel.share.votes,
        interval=low_high and (1 - low_high[1], 1 - low_high[0]),
        p=duel.share.p,
    )
    by_rater = duel.share_interval
    return Duel(
        first=duel.second,
        second=duel.first,
        share=share,
        log_odds=-duel.log_odds,
        log_odds_interval=log_odds and (-log_odds[1], -log_odds[0]),
        share_interval=by_rater and (1 - by_rater[1], 1 - by_rater[0]),
        p_by_rater=duel.p_by_rater,
        p_holm=duel.p_holm,
    )


def _strengths(standing: Standing, methods: Sequence[str]) -> Iterator[str]:
    yield from ("", "Bradley-Terry strengths, which sum to 0:", "")
    yield from _header(["method", "strength", "by rater, 95 %"], words=1)
    intervals = standing.intervals or [None] * len(methods)
    rows = zip(methods, standing.strengths, intervals, strict=True)
    for method, strength, interval in sorted(rows, key=lambda row: -row[1]):
        yield _row([_words(method), f"{strength:+.3f}", _range(interval, sign="+")])


def _habits(analysis: Analysis) -> Iterator[str]:
    yield from ("", "## How they answered", "")
    left, repeated = analysis.left_side, analysis.repeated
    yield f"- Left, or upper, picture chosen: {_of(left)}, p = {_p(left.p)}."
    if repeated.votes:
        yield f"- Repeated pairs answered alike: {_of(repeated)}."
    if analysis.definition.checks:
        passed, everyone = len(analysis.counted), len(analysis.counted) + len(analysis.left_out)
        yield f"- Every check passed by {passed} of {everyone} raters; only these count."


_MEANINGS = (
    "",
    "## How to read this",
    "",
    "- Wilson: the shares that the count does not contradict. p: how often fair coins would be as one-sided. "
    "Both take every vote for independent; votes of one rater are not, so both are too sure. Where several "
    "pairs are tested, read p (Holm).",
    "- By rater: raters are drawn anew, whole, and p (by rater) turns whole raters round. These hold for "
    "people like those asked; none of it holds for pictures other than those shown.",
    "- Log-odds: 0 is a draw; +1 is preferred in 73 of 100 votes, +2 in 88.",
)


def _header(columns: Sequence[str], *, words: int) -> Iterator[str]:
    yield _row(columns)
    yield _row(["---"] * words + ["---:"] * (len(columns) - words))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(text: str) -> str:
    """Text as it is, on one line, inside a table too."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _of(share: Share) -> str:
    assert share.share is not None
    return f"{share.wins} of {share.votes} ({share.share:.0%}, {_range(share.interval, sign='')})"


def _range(interval: tuple[float, float] | None, *, sign: str) -> str:
    return "-" if interval is None else f"{interval[0]:{sign}.3f} to {interval[1]:{sign}.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
