import numpy as np
import pytest
from numpy.testing import assert_allclose

from velatura.imaging.samples.canvas import Canvas
from velatura.imaging.samples.strokes import Brush, Paint, at, follow

RED, BLUE = np.eye(3, dtype=np.float32)[[0, 2]]
CLEAN = {"streaks": 0.0, "grooves": 0.0, "ragged": 0.0}


def path(*points):
    return np.array([points], np.float32)


def lay(brush, paths, colours, size=100):
    paint = Paint.on(Canvas(width=size, height=size), np.ones(3, np.float32))
    paint.lay(brush, paths, np.array(colours, np.float32), np.random.default_rng(0))
    return paint


def test_a_dot_has_the_area_of_a_circle():
    paint = lay(Brush(length=0.4, width=0.4, roundness=1, **CLEAN), path((0.3, 0.5), (0.7, 0.5)), [RED])
    assert (paint.colour[..., 1] == 0).mean() == pytest.approx(np.pi * 0.04, rel=0.05)


def test_a_stroke_leaves_no_holes():
    paint = lay(
        Brush(length=0.8, width=0.2, roundness=8, **CLEAN), path((0.1, 0.3), (0.5, 0.5), (0.9, 0.7)), [RED]
    )
    assert np.all(paint.height[47:53, 47:53] > 0)
    rows = [np.flatnonzero(row) for row in paint.height[30:70] > 0]
    assert all(len(row) == row[-1] - row[0] + 1 for row in rows)


def test_the_last_stroke_lies_on_top():
    paths = np.concatenate([path((0.1, 0.5), (0.9, 0.5)), path((0.5, 0.1), (0.5, 0.9))])
    paint = lay(Brush(length=0.8, width=0.1, **CLEAN), paths, [RED, BLUE])
    assert_allclose(paint.colour[50, 50], BLUE)
    assert_allclose(paint.colour[50, 20], RED)
    assert_allclose(paint.colour[5, 5], 1)


def test_batches_change_nothing(monkeypatch):
    paths = np.random.default_rng(1).random((30, 5, 2)).astype(np.float32)
    colours, brush = np.random.default_rng(2).random((30, 3)), Brush(length=0.3, width=0.06)
    whole = lay(brush, paths, colours)
    monkeypatch.setattr("velatura.imaging.samples.strokes.SAMPLES_AT_ONCE", 1)
    parts = lay(brush, paths, colours)
    assert_allclose(parts.colour, whole.colour)
    assert_allclose(parts.height, whole.height)


def test_strokes_outside_the_canvas_leave_it_bare():
    paint = lay(Brush(length=0.2, width=0.1), path((2.0, 2.0), (2.2, 2.0)), [RED])
    assert np.all(paint.colour == 1)


def test_slopes_towards_the_upper_left_are_lit():
    paint = Paint.on(Canvas(width=60, height=60), np.full(3, 0.5, np.float32))
    y, x = np.mgrid[:60, :60]
    paint.height += np.maximum(0, 20 - np.hypot(x - 30, y - 30)) / 20
    lit = paint.lit(depth=0.3)
    assert lit[23, 23].min() > 0.5 > lit[37, 37].max()


def test_following_a_straight_flow():
    angle = np.full((10, 10), np.pi / 2, np.float32)
    middle = np.array([[0.5, 0.5]], np.float32)
    paths = follow(angle, middle, 0.4, steps=4)
    assert_allclose(paths[0, :, 0], 0.5, atol=1e-6)
    assert_allclose(paths[0, :, 1], np.linspace(0.3, 0.7, 9), atol=1e-6)


def test_a_flow_has_no_sign():
    angle = np.zeros((10, 10), np.float32)
    angle[:, 5:] = np.pi
    paths = follow(angle, np.array([[0.3, 0.5]], np.float32), 0.8)
    assert_allclose(np.ptp(paths[0, :, 0]), 0.8, rtol=1e-5)


def test_looking_up_beyond_the_edge_gives_the_edge():
    field = np.arange(6).reshape(2, 3)
    assert_allclose(at(field, np.array([[0.1, 0.1], [9, 0.9], [-5, -5]], np.float32)), [0, 5, 0])
