import math

from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.jobs.report.chart import chart_of_cells, chart_of_history, chart_of_training


def entry(step, loss, scale=1, size=(6, 8), **terms):
    return {"step": step, "scale": scale, "size": list(size), "loss": loss, "terms": terms}


def test_a_history_of_two_scales():
    history = [
        entry(1, 3.0, content=1.0, style=2.0),
        entry(2, None, content=None, style=0.5),
        entry(1, 2.0, scale=2, size=(12, 16), content=1.5, style=0.5),
    ]
    chart = chart_of_history(history)
    assert [(curve.name, list(curve.points)) for curve in chart.curves] == [
        ("loss", [(1, 3.0), (2, None), (3, 2.0)]),
        ("content", [(1, 1.0), (2, None), (3, 1.5)]),
        ("style", [(1, 2.0), (2, 0.5), (3, 0.5)]),
    ]
    assert chart.marks == ((1, "8×6"), (3, "16×12"))
    assert not any(curve.is_held_out for curve in chart.curves)


def test_one_scale_is_not_marked():
    assert chart_of_history([entry(1, 1.0), entry(2, 0.5)]).marks == ()


def test_nothing_to_draw_is_no_chart():
    assert chart_of_history([]) is None
    assert chart_of_history([entry(1, None), entry(2, math.inf), entry(3, "high")]) is None
    assert chart_of_cells([("lr 1", [None, None])]) is None


def test_a_training_has_what_it_learns_and_what_is_held_out():
    lines = [
        {"step": 0, "held_out": True, "loss": 4.0, "terms": {"style": 4.0}},
        {"step": 20, "held_out": False, "loss": 3.0, "terms": {"style": 3.0}},
        {"step": 40, "held_out": False, "loss": 2.0, "terms": {"style": 2.0}},
        {"step": 40, "held_out": True, "loss": 2.5, "terms": {"style": 2.5}},
    ]
    chart = chart_of_training(lines)
    assert [(curve.name, curve.is_held_out, list(curve.points)) for curve in chart.curves] == [
        ("loss", False, [(20, 3.0), (40, 2.0)]),
        ("style", False, [(20, 3.0), (40, 2.0)]),
        ("loss", True, [(0, 4.0), (40, 2.5)]),
        ("style", True, [(0, 4.0), (40, 2.5)]),
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(601, 4000), st.data())
def test_a_long_curve_keeps_its_ends_its_spikes_and_its_gaps(length, data):
    values = [1.0 + 1e-6 * step for step in range(length)]
    spike, dip, gap = (data.draw(st.integers(1, length - 2)) for _ in range(3))
    values[spike], values[dip], values[gap] = 1e6, 1e-6, None
    points = chart_of_cells([("cell", values)]).curves[0].points
    assert len(points) <= 602
    assert points[0] == (1, values[0])
    assert points[-1] == (length, values[-1])
    for place in {spike, dip, gap}:
        assert (place + 1, values[place]) in points
    assert [step for step, _ in points] == sorted({step for step, _ in points})


def test_a_curve_of_many_numbers_is_written_with_six_digits():
    assert chart_of_cells([("a", [1 / 3])]).as_json()["curves"][0]["points"] == [(1, 0.333333)]
