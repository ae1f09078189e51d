import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from velatura.ops.intervals import mean_interval, student_quantile


@pytest.mark.parametrize(
    # Any table of Student's t, two-sided, 95 %.
    ("freedom", "quantile"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (120, 1.980)],
)
def test_quantiles_of_the_tables(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-4)


@given(st.integers(1, 400), st.floats(0.01, 0.999))
def test_quantiles_are_those_of_scipy(freedom, level):
    assert student_quantile(freedom, level=level) == pytest.approx(
        student.ppf((1 + level) / 2, freedom), rel=1e-7
    )


def test_an_interval_by_hand():
    # Mean 2, deviation 1, so 4.3027 / sqrt(3).
    found = mean_interval([1.0, 2.0, 3.0])
    assert (found.value, found.count) == (2.0, 3)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_value_has_no_interval_and_none_no_mean():
    assert (mean_interval([5.0]).value, mean_interval([5.0]).count) == (5.0, 1)
    assert math.isnan(mean_interval([5.0]).half_width)
    assert math.isnan(mean_interval([]).value)


def test_what_is_not_finite_is_left_out():
    assert mean_interval([1.0, math.nan, 3.0, math.inf]) == mean_interval([1.0, 3.0])


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(0.1, 10), st.floats(-100, 100))
def test_an_interval_moves_and_grows_with_its_values(values, factor, shift):
    before = mean_interval(values)
    after = mean_interval([factor * value + shift for value in values])
    assert after.value == pytest.approx(factor * statistics.fmean(values) + shift, abs=1e-6)
    assert after.half_width == pytest.approx(factor * before.half_width, rel=1e-6, abs=1e-6)
