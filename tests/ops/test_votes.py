"""Intervals, tests and strengths from votes, beside published counts and scipy."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from velatura.ops.votes import (
    binomial_p,
    bradley_terry,
    half_votes,
    holm,
    is_bounded,
    sign_flip_p,
    wilson_interval,
)

COUNTS = [
    (wins, votes) for votes in (1, 2, 7, 20, 80, 1001) for wins in {0, 1, votes // 3, votes // 2, votes}
]


def test_the_interval_of_li_and_zhao():
    low, high = wilson_interval(59, 80)
    assert (round(low, 3), round(high, 3)) == (0.632, 0.821)


def test_the_test_of_li_and_zhao():
    assert binomial_p(59, 80) == pytest.approx(2.5e-5, rel=0.02)
    assert binomial_p(13, 20) == pytest.approx(0.2632, abs=5e-5)


def test_the_strengths_of_li_and_zhao():
    strengths = bradley_terry(np.array([[0.0, 59.0], [21.0, 0.0]]))
    assert strengths[0] - strengths[1] == pytest.approx(1.033, abs=5e-4)
    assert strengths.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("wins", "votes"), COUNTS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_the_interval_is_that_of_scipy(wins, votes, level):
    expected = stats.binomtest(wins, votes).proportion_ci(level, method="wilson")
    assert wilson_interval(wins, votes, level=level) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )


@pytest.mark.parametrize(("wins", "votes"), COUNTS)
def test_the_test_is_that_of_scipy(wins, votes):
    assert binomial_p(wins, votes) == pytest.approx(stats.binomtest(wins, votes).pvalue, rel=1e-9)


def test_the_test_holds_where_no_float_does():
    assert binomial_p(0, 5000) == 0.0
    assert binomial_p(2500, 5000) == 1.0


@pytest.mark.parametrize("function", [wilson_interval, binomial_p])
@pytest.mark.parametrize(("wins", "votes"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_count_is_refused(function, wins, votes):
    with pytest.raises(ValueError, match=f"got {wins} of {votes}"):
        function(wins, votes)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_sign_flips_are_counted_as_by_trying_all(leads):
    sums = [
        abs(sum(sign * lead for sign, lead in zip(signs, leads, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(leads))
    ]
    as_far = sum(one >= abs(sum(leads)) for one in sums)
    assert sign_flip_p(leads) == pytest.approx(as_far / len(sums))


def test_sign_flips_of_single_votes_are_the_binomial_test():
    assert sign_flip_p([1] * 59 + [-1] * 21) == pytest.approx(binomial_p(59, 80))


def test_sign_flips_see_that_one_rater_votes_often():
    assert sign_flip_p([20, 20, 20, -1]) > 0.1
    assert binomial_p(60, 61) < 1e-15


def test_holm_of_a_worked_example():
    # Sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, never falling.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def wins_between(methods, seed):
    random = np.random.default_rng(seed)
    wins = random.integers(1, 30, (methods, methods)).astype(float)
    np.fill_diagonal(wins, 0)
    return wins


@pytest.mark.parametrize(("methods", "seed"), [(2, 0), (3, 1), (4, 2), (7, 3)])
def test_strengths_are_the_most_likely_ones(methods, seed):
    wins = wins_between(methods, seed)

    def unlikelihood(free):
        strengths = np.append(free, -np.sum(free))
        return sum(
            wins[i, j] * math.log1p(math.exp(strengths[j] - strengths[i]))
            for i in range(methods)
            for j in range(methods)
        )

    found = optimize.minimize(unlikelihood, np.zeros(methods - 1), method="BFGS", options={"gtol": 1e-8}).x
    assert bradley_terry(wins) == pytest.approx(np.append(found, -np.sum(found)), abs=1e-5)


def test_strengths_far_apart_are_found_too():
    wins = np.array([[0, 1e6, 1e6], [1, 0, 1e6], [0, 1, 0]])
    strengths = bradley_terry(wins)
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    assert ((wins + wins.T) * chance).sum(1) == pytest.approx(wins.sum(1), rel=1e-4)


def test_many_tables_at_once_are_as_one_by_one():
    tables = np.stack([wins_between(4, seed) for seed in range(5)])
    assert bradley_terry(tables) == pytest.approx(np.stack([bradley_terry(one) for one in tables]), abs=1e-9)


@pytest.mark.parametrize(
    ("wins", "bounded"),
    [
        ([[0, 3], [0, 0]], False),
        ([[0, 3], [1, 0]], True),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], True),  # A ring.
        ([[0, 1, 1], [1, 0, 1], [0, 0, 0]], False),  # The third won nothing.
        ([[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], True),  # A longer one.
    ],
)
def test_strengths_have_bounds_where_every_method_beats_every_other_along_some_way(wins, bounded):
    wins = np.array(wins, float)
    assert bool(is_bounded(wins)) is bounded
    if not bounded:
        with pytest.raises(ValueError, match="no bound"):
            bradley_terry(wins)
        assert is_bounded(half_votes(wins))


def test_half_votes_are_added_only_where_there_were_votes():
    wins = np.array([[0, 3, 0], [0, 0, 2], [0, 1, 0]], float)
    assert half_votes(wins).tolist() == [[0, 3.5, 0], [0.5, 0, 2.5], [0, 1.5, 0]]
