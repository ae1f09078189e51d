"""The published schedules, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.engine.train.schedules import Constant, Cosine, InverseDecay, StepDecay, schedules


def test_inverse_decay_of_huang_2017():
    schedule = InverseDecay(decay=5e-5)
    assert schedule.factor(0, 160_000) == 1
    assert schedule.factor(20_000, 160_000) == pytest.approx(1 / 2)
    assert schedule.factor(160_000, 160_000) == pytest.approx(1 / 9)


def test_step_decay_of_ulyanov_2016():
    """0.1, times 0.7 at iteration 1000 and then every 200."""
    schedule = StepDecay(by=0.7, after=1000, every=200)
    factors = [schedule.factor(step, 2000) for step in (0, 999, 1000, 1199, 1200, 1999)]
    assert factors == pytest.approx([1, 1, 0.7, 0.7, 0.49, 0.7**5])


def test_cosine_rises_then_falls():
    schedule = Cosine(warmup=4, end=0.1)
    factors = [schedule.factor(step, 12) for step in (0, 1, 3, 4, 8, 12, 99)]
    assert factors == pytest.approx([0.25, 0.5, 1, 1, 0.55, 0.1, 0.1])


def test_constant():
    assert Constant().factor(7, 9) == 1


@pytest.mark.parametrize("name", schedules)
@given(step=st.integers(0, 20_000), steps=st.integers(1, 10**6))
def test_a_factor_is_above_zero_and_at_most_one(name, step, steps):
    assert 0 < schedules[name]().factor(step, steps) <= 1
