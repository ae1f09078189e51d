"""What answers say: the counts of a published survey, three methods, raters who do not read."""

import json
import math
from pathlib import Path

import pytest

from velatura.core.errors import ConfigError
from velatura.jobs.schema import build
from velatura.jobs.survey.analyse import AnalysisJob, run_analysis
from velatura.jobs.survey.report import as_json, as_markdown

# Li and Zhao 2018, section 7.2: 20 raters, 4 pairs, 59 votes to 21; on one pair 7 to 13. How the other
# 52 to 8 fell on three pairs is not said; here evenly.
FIRST_WINS = (18, 17, 17, 7)


def analyse(*paths, **settings):
    return run_analysis(build(AnalysisJob, {"answers": paths, "bootstrap": 500, **settings}))


@pytest.fixture
def li_and_zhao(save, define):
    definition = define(methods=("algorithm 1", "algorithm 2"), checks=1)
    paths = []
    for rater in range(20):
        # Who votes for the second on one pair is somebody else on the next.
        prefers = {item: int((rater + 5 * item) % 20 >= wins) for item, wins in enumerate(FIRST_WINS)}
        paths.append(save(definition, rater, lambda item, methods, prefers=prefers: prefers[item]))
    return paths


def test_the_counts_of_li_and_zhao(li_and_zhao):
    analysis = analyse(*li_and_zhao)
    (duel,) = analysis.overall.duels
    assert (duel.share.wins, duel.share.votes) == (59, 80)
    assert duel.share.share == pytest.approx(0.7375)
    assert tuple(round(end, 3) for end in duel.share.interval) == (0.632, 0.821)
    assert duel.share.p == pytest.approx(2.5e-5, rel=0.02)
    assert duel.log_odds == pytest.approx(1.033, abs=5e-4)
    assert analysis.overall.unbounded_draws == 0
    assert 0 < analysis.items["lake"].unbounded_draws < 500  # (18/20)^20 of them, an eighth.
    assert any(note.startswith("in some draws of raters") for note in analysis.notes)
    low, high = duel.log_odds_interval
    assert 0 < low < 1.033 < high < 2.5
    assert analysis.overall.strengths == pytest.approx((0.5165, -0.5165), abs=5e-4)
    (on_one,) = analysis.items["tree"].duels
    assert (on_one.share.wins, on_one.share.votes) == (7, 20)
    assert on_one.share.p == pytest.approx(0.2632, abs=5e-5)
    assert on_one.log_odds == pytest.approx(math.log(7 / 13))


def test_pairs_are_one_family_of_tests(li_and_zhao):
    ps = [standing.duels[0] for standing in analyse(*li_and_zhao).items.values()]
    smallest = min(ps, key=lambda duel: duel.share.p)
    assert smallest.p_holm == pytest.approx(4 * smallest.share.p)
    assert all(duel.p_holm >= duel.share.p for duel in ps)


def test_intervals_are_the_same_again_and_others_with_another_seed(li_and_zhao):
    one, again, other = (analyse(*li_and_zhao, seed=seed).overall.duels[0] for seed in (0, 0, 1))
    assert one == again
    assert one.log_odds_interval != other.log_odds_interval


def test_raters_who_agree_with_themselves_make_intervals_wider(save, define):
    definition = define(items=tuple("abcdefgh"))
    # 7 of 10 raters always for the first, 3 always for the second: 56 of 80 votes.
    paths = [save(definition, rater, lambda i, m, rater=rater: int(rater >= 7)) for rater in range(10)]
    (duel,) = analyse(*paths).overall.duels
    low, high = duel.share.interval
    by_rater_low, by_rater_high = duel.share_interval
    assert by_rater_high - by_rater_low > 2 * (high - low)
    assert duel.share.p < 0.001
    # Of 10 coins, 7 or more of one side: 2 * (120 + 45 + 10 + 1) / 1024.
    assert duel.p_by_rater == pytest.approx(352 / 1024)


def test_raters_who_failed_a_check_are_left_out_and_named(save, define):
    definition = define(checks=2)
    paths = [save(definition, rater) for rater in range(6)]
    paths.append(save(definition, 6, lambda item, methods: 1, attentive=False))
    analysis = analyse(*paths)
    assert len(analysis.counted) == 6
    assert [one.source for one in analysis.left_out] == [paths[6]]
    assert analysis.overall.duels[0].share.votes == 24
    assert analysis.notes[0] == f"left out: 1 of 7 raters failed a check ({paths[6]})"


def test_where_nobody_passed_there_is_nothing_to_say(save, define):
    with pytest.raises(ConfigError, match="none of 1 raters passed every check"):
        analyse(save(define(checks=1), 0, attentive=False))


def test_three_methods_are_ordered_by_strength(save, define):
    definition = define(methods=("weak", "strong", "middle"), items=tuple("abcdef"))
    order = {0: 2, 2: 1, 1: 0}  # Strong, middle, weak.

    def prefers(rater):
        # Every third item the weaker wins, for each rater another third.
        return lambda item, methods: (max if (item + rater) % 3 == 0 else min)(methods, key=order.get)

    analysis = analyse(*(save(definition, rater, prefers(rater)) for rater in range(9)))
    weak, strong, middle = analysis.overall.strengths
    assert strong > middle > weak
    assert sum(analysis.overall.strengths) == pytest.approx(0, abs=1e-9)
    assert [(duel.first, duel.second) for duel in analysis.overall.duels] == [(0, 1), (0, 2), (1, 2)]
    assert {duel.share.votes for duel in analysis.overall.duels} == {54}
    for strength, (low, high) in zip(analysis.overall.strengths, analysis.overall.intervals, strict=True):
        assert low <= strength <= high
    assert "Bradley-Terry strengths" in as_markdown(analysis)


def test_a_method_that_wins_every_vote_is_said_to_have_no_bound(save, define):
    analysis = analyse(*(save(define(), rater) for rater in range(6)))
    (duel,) = analysis.overall.duels
    assert not analysis.overall.bounded
    assert duel.log_odds == pytest.approx(math.log(24.5 / 0.5))
    assert any("half a vote each way was added" in note for note in analysis.notes)
    assert analysis.overall.unbounded_draws == 500
    assert "(half votes added)" in as_markdown(analysis)


def test_of_one_rater_there_are_no_intervals_by_rater(save, define):
    analysis = analyse(save(define(), 0, lambda item, methods: item % 2))
    (duel,) = analysis.overall.duels
    assert (duel.share_interval, duel.log_odds_interval, analysis.overall.intervals) == (None, None, None)
    assert any(note.startswith("one rater") for note in analysis.notes)


def test_repeats_are_no_votes_but_show_who_agrees_with_themselves(save, define):
    definition = define(repeat=2)

    def fickle():
        seen = set()

        def prefers(item, methods):
            again = item in seen
            seen.add(item)
            return int(again)

        return prefers

    paths = [save(definition, 0), save(definition, 1), save(definition, 2, fickle())]
    analysis = analyse(*paths)
    assert analysis.overall.duels[0].share.votes == 12
    assert (analysis.repeated.wins, analysis.repeated.votes) == (4, 6)
    assert any(note.startswith("3 raters are few") for note in analysis.notes)


def test_who_always_chooses_left_is_seen(save, define):
    definition = define(items=tuple("abcdefgh"))
    path = save(definition, 0)
    analysis = analyse(path)
    lefts = sum(answer["choice"] == "left" for answer in json.loads(Path(path).read_text())["answers"])
    assert (analysis.left_side.wins, analysis.left_side.votes) == (lefts, 8)


def test_the_report_for_programs_has_everything(li_and_zhao):
    report = json.loads(as_json(analyse(*li_and_zhao)))
    (duel,) = report["overall"]["duels"]
    assert (duel["first"], duel["second"], duel["wins"], duel["votes"]) == (
        "algorithm 1",
        "algorithm 2",
        59,
        80,
    )
    assert [round(end, 3) for end in duel["wilson_interval"]] == [0.632, 0.821]
    assert set(report["items"]) == {"lake", "town", "still", "tree"}
    assert len(report["raters"]["counted"]) == 20
    assert report["bootstrap"] == {"draws": 500, "seed": 0, "of": "raters"}
    assert report["repeated_alike"]["share"] is None


def test_the_report_for_people_tells_each_duel_from_the_winner_s_side(li_and_zhao):
    lines = as_markdown(analyse(*li_and_zhao)).splitlines()
    (overall,) = [line for line in lines if line.startswith("| all ")]
    assert overall.startswith(
        "| all | algorithm 1 | algorithm 2 | 59 : 21 | 0.738 | 0.632 to 0.821 | 2.5e-05 |"
    )
    assert "| +1.033 |" in overall
    (tree,) = [line for line in lines if line.startswith("| tree ")]
    assert tree.startswith("| tree | algorithm 2 | algorithm 1 | 13 : 7 | 0.650 | 0.433 to 0.819 | 0.263 |")
    assert "| +0.619 |" in tree
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {11, 12}


def test_names_cannot_break_the_report_s_tables(save, define):
    definition = define(methods=("a|b", "c\nd"), question="<b>|\nwhich?")
    report = as_markdown(analyse(*(save(definition, rater, lambda i, m: i % 2) for rater in range(5))))
    assert "| all | a\\|b | c d | 10 : 10 |" in report
    assert "<b>" not in report
