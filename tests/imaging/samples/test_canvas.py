import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from velatura.imaging.samples.canvas import Canvas, blur, polygon, shrink


@pytest.mark.parametrize(
    ("long_edge", "aspect", "expected"), [(768, 1.5, (768, 512)), (100, 0.5, (50, 100)), (16, 1.5, (16, 11))]
)
def test_long_edge_and_aspect(long_edge, aspect, expected):
    canvas = Canvas.of_size(long_edge, aspect, oversampling=2)
    assert (canvas.plain.width, canvas.plain.height) == expected
    assert (canvas.width, canvas.height) == tuple(2 * edge for edge in expected)


def test_positions_are_pixel_centres_in_picture_heights():
    canvas = Canvas(width=4, height=2)
    assert_allclose(canvas.x, [[0.25, 0.75, 1.25, 1.75]])
    assert_allclose(canvas.y, [[0.25], [0.75]])
    assert [field.shape for field in canvas.points] == [(2, 4), (2, 4)]


def test_a_part_stays_on_the_canvas():
    assert Canvas(width=30, height=20).part(-1, 0.25, 0.5, 9) == (slice(5, 20), slice(0, 10))


def test_shrinking_takes_means_of_blocks():
    field = np.array([[0, 2, 4, 4], [2, 4, 8, 8]], np.float32)
    assert_allclose(shrink(field, 2), [[2, 6]])


@given(st.integers(1, 3))
def test_spreading_undoes_shrinking(oversampling):
    canvas = Canvas(width=6 * oversampling, height=4 * oversampling, oversampling=oversampling)
    plain = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert_allclose(shrink(canvas.spread(plain), oversampling), plain)


def test_a_polygon_covers_its_area():
    canvas = Canvas(width=200, height=200)
    triangle = polygon(canvas, [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9)])
    assert set(np.unique(triangle)) == {0, 1}
    assert triangle.mean() == pytest.approx(0.32, abs=0.01)


@given(st.floats(0.5, 6))
def test_blurring_keeps_a_constant(radius):
    assert_allclose(blur(np.full((9, 13, 3), 0.7, np.float32), radius), 0.7, rtol=1e-5)


def test_a_blurred_point_has_the_radius_asked_for():
    point = np.zeros((101, 101), np.float32)
    point[50, 50] = 1
    soft = blur(point, 6.0)
    offsets = np.arange(101) - 50
    assert soft.sum() == pytest.approx(1, rel=1e-4)
    assert np.sqrt((soft.sum(0) * offsets**2).sum()) == pytest.approx(6, rel=0.1)
