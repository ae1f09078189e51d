import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from velatura.imaging.samples import noise as module
from velatura.imaging.samples.noise import Noise, cells, scatter


@pytest.fixture
def noise():
    return Noise(np.random.default_rng(0))


@pytest.fixture
def grid():
    x, y = np.meshgrid(np.arange(160) / 8 + 0.03, np.arange(120) / 8 + 0.07)
    return x.astype(np.float32), y.astype(np.float32)


def test_gradient_noise_is_zero_on_its_lattice(noise):
    x, y = np.meshgrid(np.arange(-3, 4), np.arange(5))
    assert_allclose(noise(x, y), 0, atol=1e-6)


def test_about_zero_and_mostly_within_one(noise, grid):
    values = noise(*grid)
    assert abs(values.mean()) < 0.05
    assert 0.2 < values.std() < 0.6
    assert np.abs(values).max() < 1.5


def test_smooth(noise):
    x = np.linspace(0, 8, 8001)
    assert np.abs(np.diff(noise(x, 0.4))).max() < 0.005


def test_a_point_does_not_depend_on_its_company(noise, grid, monkeypatch):
    whole = noise.fractal(*grid, octaves=3)
    monkeypatch.setattr(module, "CHUNK", 100)
    assert_array_equal(noise.fractal(*grid, octaves=3), whole)
    assert noise.fractal(grid[0][5, 7], grid[1][5, 7], octaves=3) == whole[5, 7]


def test_ridges_lie_between_zero_and_one(noise, grid):
    ridges = noise.ridged(*grid, octaves=5)
    assert ridges.min() >= 0
    assert ridges.max() <= 1


def test_cells_are_whole_and_of_size_one(grid):
    number = cells(*grid, np.random.default_rng(0))
    kinds, counts = np.unique(number, return_counts=True)
    assert len(kinds) == pytest.approx(20 * 15, rel=0.25)
    assert counts.mean() == pytest.approx(64, rel=0.25)


def test_a_cell_holds_what_is_nearest_to_its_seed():
    nudge = np.random.default_rng(4).random((2, 256, 256)).astype(np.float32)
    columns, rows = np.meshgrid(np.arange(8), np.arange(8))
    seeds = np.stack([columns + nudge[0, :8, :8], rows + nudge[1, :8, :8]], -1).reshape(-1, 2)
    points = np.random.default_rng(5).uniform(2, 6, (200, 2)).astype(np.float32)
    nearest = np.linalg.norm(points[:, None] - seeds, axis=-1).argmin(1)
    expected = (nearest // 8) * 256 + nearest % 8
    assert_array_equal(cells(points[:, 0], points[:, 1], np.random.default_rng(4)), expected)


def test_one_point_in_every_cell_of_the_grid():
    points = scatter(np.random.default_rng(0), spacing=0.1, aspect=1.5)
    places = {(int(x), int(y)) for x, y in points / 0.1}
    assert len(points) == len(places) == 150
