import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.core.errors import ConfigError
from velatura.jobs.sweep.grid import Axis, count_points, grid_points, log_range, short, short_name


def axis(name, *values):
    return Axis(name=name, labels=tuple(map(str, values)), settings=tuple({name: value} for value in values))


def test_the_weights_of_saric_are_powers_of_ten():
    assert log_range(1e2, 1e7, 6) == (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)


def test_a_range_of_one_and_one_that_falls():
    assert log_range(3, 7, 1) == (3.0,)
    assert log_range(1, 0.01, 3) == (1.0, 0.1, 0.01)


@given(st.floats(1e-6, 1e6), st.floats(1.1, 1e6), st.integers(2, 50))
def test_each_number_of_a_range_is_the_same_multiple_of_the_one_before(start, factor, count):
    numbers = log_range(start, start * factor, count)
    assert (numbers[0], numbers[-1], len(numbers)) == (start, start * factor, count)
    ratio = factor ** (1 / (count - 1))
    assert [after / before for before, after in itertools.pairwise(numbers)] == pytest.approx(
        [ratio] * (count - 1), rel=1e-6
    )


def test_crossed_axes_meet_everywhere_the_last_fastest():
    points = list(grid_points([axis("a", 1, 2), axis("b", "x", "y", "z")], "crossed"))
    assert [tuple(point.settings.values()) for point in points] == [
        (1, "x"),
        (1, "y"),
        (1, "z"),
        (2, "x"),
        (2, "y"),
        (2, "z"),
    ]
    assert [point.indices for point in points[:2]] == [(0, 0), (0, 1)]
    assert str(points[0]) == "a=1, b=x"


def test_paired_axes_meet_one_by_one():
    points = list(grid_points([axis("a", 1, 2), axis("b", "x", "y")], "paired"))
    assert [tuple(point.settings.values()) for point in points] == [(1, "x"), (2, "y")]


def test_paired_axes_of_different_lengths_are_refused():
    with pytest.raises(ConfigError, match="a has 2, b has 3"):
        count_points([axis("a", 1, 2), axis("b", 1, 2, 3)], "paired")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_points_are_counted_without_being_made(lengths):
    axes = [axis(f"a{number}", *range(length)) for number, length in enumerate(lengths)]
    points = list(grid_points(axes, "crossed"))
    assert len(points) == count_points(axes, "crossed")
    assert len({tuple(point.labels.values()) for point in points}) == len(points)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0.1, "0.1"),
        (1e6, "1e+06"),
        (1000, "1000"),
        (True, "True"),
        ("adam", "adam"),
        ([1000], "1000"),
        ({"relu1_1": 1, "relu2_1": 0.5}, "relu1_1 relu2_1=0.5"),
    ],
)
def test_labels(value, label):
    assert short(value) == label


@pytest.mark.parametrize(
    ("axis", "name"),
    [
        ("strength", "strength"),
        ("optimizer.lr", "lr"),
        ("initialization.name", "initialization"),
        ("terms.style.weight", "style weight"),
        ("weight", "weight"),
    ],
)
def test_an_axis_is_called_shortly_beside_its_value(axis, name):
    assert short_name(axis) == name
