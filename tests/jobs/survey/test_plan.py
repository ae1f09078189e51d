"""What each rater is shown."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.jobs.survey.plan import _Draws, _fnv1a, checksum, plan

RATERS = [f"{number:016x}" for number in range(60)]


def test_the_hash_is_fnv_1a():
    # http://www.isthe.com/chongo/src/fnv/test_fnv.c
    assert [_fnv1a(text) for text in ("", "a", "foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def test_the_numbers_are_those_of_mulberry32_in_javascript():
    # node: function mulberry32(a) { return function() { var t = a += 0x6D2B79F5; t = Math.imul(t ^ t >>> 15,
    # t | 1); t ^= t + Math.imul(t ^ t >>> 7, t | 61); return ((t ^ t >>> 14) >>> 0) / 4294967296; } }
    # with the hash of "7/00000000000000ff"; Math.floor(next() * 1000)
    draws = _Draws("7/00000000000000ff")
    expected = [795, 241, 271, 440, 924, 660, 898, 206, 417, 962, 171, 119]
    assert [draws.below(1000) for _ in expected] == expected


@given(st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, 4), st.integers(0, 4))
def test_every_pair_is_asked_once_then_some_again_and_checks_come_after_what_they_show(rater, repeat, checks):
    definition = _define(repeat=repeat, checks=checks)
    trials = plan(definition, rater)
    pairs = [trial for trial in trials if trial.kind == "pair"]
    repeats = [trial for trial in trials if trial.kind == "repeat"]
    assert sorted(tuple(sorted((trial.left, trial.right))) for trial in pairs) == sorted(definition.pairs)
    assert [(trial.right, trial.left) for trial in repeats] == [
        (trial.left, trial.right) for trial in pairs[:repeat]
    ]
    assert sum(trial.kind == "check" for trial in trials) == checks
    for at, trial in enumerate(trials):
        assert (trial.asked is not None) == (trial.kind == "check")
        if trial.kind == "check":
            assert (trial.left, trial.right) in [(one.left, one.right) for one in trials[:at]]


def _define(**settings):
    from velatura.jobs.survey.definition import Definition, Origin

    pairs = tuple((f"{2 * item:016x}", f"{2 * item + 1:016x}") for item in range(4))
    pictures = {
        one: Origin(method=method, item=item)
        for item, pair in enumerate(pairs)
        for method, one in enumerate(pair)
    }
    base = {"title": "T", "question": "Q", "methods": ("a", "b"), "items": tuple("wxyz"), "seed": 0}
    return Definition(pictures=pictures, pairs=pairs, **base, **settings)


def test_a_rater_is_always_shown_the_same_and_another_something_else(define):
    definition = define(checks=2)
    assert plan(definition, RATERS[0]) == plan(definition, RATERS[0])
    assert len({tuple(plan(definition, rater)) for rater in RATERS}) > 50
    assert plan(define(checks=2, seed=1), RATERS[0]) != plan(definition, RATERS[0])


def test_sides_and_first_places_are_even_over_raters(define):
    definition = define()
    shown = [trial for rater in range(400) for trial in plan(definition, f"{rater:016x}")]
    smaller_left = sum(trial.left < trial.right for trial in shown)
    # 1600 fair coins: four standard deviations are 80.
    assert abs(smaller_left - 800) < 80
    firsts = Counter(min(trial.left, trial.right) for trial in shown[::4])
    assert all(60 < count < 140 for count in firsts.values())


@pytest.mark.parametrize("change", ["a", "0", " "])
def test_the_checksum_sees_a_change(change):
    text = '{"choice":"left"}'
    assert len(checksum(text)) == 16
    assert all(checksum(text[:at] + change + text[at + 1 :]) != checksum(text) for at in range(len(text)))
