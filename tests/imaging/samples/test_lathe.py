import numpy as np
import pytest
from numpy.testing import assert_allclose

from velatura.imaging.samples.canvas import Canvas
from velatura.imaging.samples.photos.lathe import Ball, Camera, Hits, Profile, Solid, open_sky, unit

UP = np.array([[0, 1, 0]], np.float32)


@pytest.fixture(scope="module")
def sphere():
    """A half circle of radius 1 about a height of 2."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, 90)
    return Profile(np.stack([np.cos(turn), 2 + np.sin(turn)], -1).astype(np.float32))


def test_distances_to_a_sphere(sphere):
    solid = Solid(sphere, (0, 0, 0))
    points = np.array([[0, 2, 0], [0.9, 2, 0], [0, 2, 0.5], [0, 2.95, 0.2]], np.float32)
    expected = np.linalg.norm(points - (0, 2, 0), axis=1) - 1
    assert_allclose(solid.distance(points), expected, atol=0.02)


def test_rays_meet_a_leaning_sphere_where_geometry_says(sphere):
    solid = Solid(sphere, (1, 0, 0), (3, 4, 0))
    centre = np.array([1 + 2 * 0.6, 2 * 0.8, 0])
    higher = centre + np.array([0, 0.5, 0])
    eye = np.array([0, 0, -9], np.float32)
    reach = solid.trace(eye, unit([centre - eye, [0, 1, 0], higher - eye]))
    assert reach[0] == pytest.approx(np.linalg.norm(centre - eye) - 1, abs=0.01)
    assert np.isinf(reach[1])
    hit = solid.local(eye + unit([higher - eye]) * reach[2])
    assert np.linalg.norm(hit - (0, 2, 0)) == pytest.approx(1, abs=0.01)


def test_normals_of_a_sphere_point_away_from_its_middle(sphere):
    solid = Solid(sphere, (0, 0, 0), (1, 2, 2))
    local = unit([[1, 0.3, 0.2], [-0.5, 0.5, 0.7]]) + np.array([0, 2, 0], np.float32)
    axes = solid.local(np.eye(3, dtype=np.float32)) - solid.local(np.zeros((1, 3), np.float32))
    assert_allclose(solid.normal(local) @ axes, local - (0, 2, 0), atol=0.05)


def test_the_nearer_thing_is_seen():
    hits = Hits.none(Camera(Canvas(width=30, height=20), (0, 0, -5), (0, 0, 0), 1.5))
    hits.add(0, Ball((0, 0, 3), (1.5, 1.5, 1.5)))
    hits.add(1, Ball((0, 0, 0), (0.5, 0.5, 0.5)))
    assert hits.owner[10, 15] == 1
    assert hits.depth[10, 15] == pytest.approx(4.5, abs=0.05)
    assert hits.owner[0, 0] == -1
    assert {-1, 0, 1} == set(np.unique(hits.owner).tolist())


def test_a_ball_overhead_hides_the_lamp_and_some_of_the_sky():
    ball = Ball((0, 3, 0), (1, 1, 1))
    points = np.array([[0, 0, 0], [9, 0, 0]], np.float32)
    direct, around = open_sky(points, UP.repeat(2, 0), UP[0], [ball], 0.1)
    assert_allclose(direct, [0, 1])
    assert around[0] < around[1] <= 1


def test_shadows_are_softer_farther_away():
    edge = np.stack([np.linspace(0.5, 1.5, 41), np.zeros(41), np.zeros(41)], 1).astype(np.float32)
    widths = []
    for height in (2.0, 8.0):
        direct, _ = open_sky(edge, UP.repeat(41, 0), UP[0], [Ball((0, height, 0), (1, 1, 1))], 0.05)
        assert np.all(np.diff(direct) >= 0)
        widths.append(np.count_nonzero((direct > 0.05) & (direct < 0.95)))
    assert widths[1] > 2 * widths[0]
