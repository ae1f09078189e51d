"""The line search, held to the conditions that it is named after."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from velatura.optimizers.line_search import Point, strong_wolfe


class Line:
    """A function of one number with its derivative, and how often it was asked for."""

    def __init__(self, function, derivative):
        self.function, self.derivative, self.evaluations = function, derivative, 0

    def __call__(self, at):
        self.evaluations += 1
        return Point(at, self.function(at), self.derivative(at))


def test_a_first_length_that_fits_is_taken():
    line = Line(lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1))
    assert strong_wolfe(line, Point(0, 1, -2), 1.0).at == 1.0
    assert line.evaluations == 1


def test_one_interpolation_finds_the_minimum_of_a_parabola():
    """Length 3 goes up the other side; the cubic through both points is the parabola itself."""
    line = Line(lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1))
    assert strong_wolfe(line, Point(0, 1, -2), 3.0).at == pytest.approx(1.0)
    assert line.evaluations == 2


def test_a_length_too_short_is_lengthened():
    line = Line(lambda t: (t - 100) ** 2, lambda t: 2 * (t - 100))
    found = strong_wolfe(line, Point(0, 1e4, -200), 1.0)
    assert 10 <= found.at <= 200


@given(
    minimum=st.floats(0.05, 20),
    quartic=st.floats(0, 3),
    ripple=st.floats(0, 0.3),
    first=st.floats(0.01, 50),
)
def test_the_strong_wolfe_conditions_hold(minimum, quartic, ripple, first):
    def function(t):
        return (t - minimum) ** 2 + quartic * (t - minimum) ** 4 + ripple * math.sin(3 * t)

    def derivative(t):
        return 2 * (t - minimum) + 4 * quartic * (t - minimum) ** 3 + 3 * ripple * math.cos(3 * t)

    start = Point(0, function(0), derivative(0))
    assume(start.slope < -1e-3)
    found = strong_wolfe(Line(function, derivative), start, first, evaluations=60)
    assert found.at > 0
    assert found.loss <= start.loss + 1e-4 * found.at * start.slope + 1e-12 * abs(start.loss)
    assert abs(found.slope) <= 0.9 * abs(start.slope) + 1e-9


def test_what_is_not_finite_counts_as_too_far():
    """A logarithm that ends at 2: every length beyond is refused, and one before it is found."""
    line = Line(
        lambda t: -math.log(2 - t) - 3 * t if t < 2 else math.nan,
        lambda t: 1 / (2 - t) - 3 if t < 2 else math.nan,
    )
    found = strong_wolfe(line, Point(0, -math.log(2), -2.5), 5.0)
    assert 0 < found.at < 2
    assert found.loss < -math.log(2)


def test_it_gives_up_after_the_evaluations_it_was_given():
    """Ever steeper downhill: no length is flat enough."""
    line = Line(lambda t: -math.exp(min(t, 500)), lambda t: -math.exp(min(t, 500)))
    found = strong_wolfe(line, Point(0, -1, -1), 0.1, evaluations=4)
    assert line.evaluations == 4
    assert found.loss < -1
