import numpy as np
from numpy.testing import assert_allclose

from velatura.imaging.samples.colour import hexes, lay_over, mix, ramp, rise


def test_hexadecimal_codes():
    assert_allclose(hexes("ff0080", "336699"), [[1, 0, 128 / 255], [0.2, 0.4, 0.6]], rtol=1e-6)


def test_rise_in_either_direction():
    assert_allclose(rise([0, 1, 1.5, 2, 9], 1, 2), [0, 0, 0.5, 1, 1])
    assert_allclose(rise([0, 1, 1.25, 2, 9], 2, 1), [1, 1, 0.84375, 0, 0])


def test_mix_and_ramp():
    black, white = hexes("000000", "ffffff")
    assert_allclose(mix(black, white, [0, 0.25]), [[0, 0, 0], [0.25, 0.25, 0.25]])
    assert_allclose(
        ramp([-1, 0.5, 3], (0, 1), hexes("000000", "ff0000")), [[0, 0, 0], [0.5, 0, 0], [1, 0, 0]]
    )


def test_laying_over_changes_only_what_is_covered():
    picture = np.zeros((1, 3, 3), np.float32)
    lay_over(picture, (1, 0.5, 0), [[0, 0.5, 1]])
    assert_allclose(picture, [[[0, 0, 0], [0.5, 0.25, 0], [1, 0.5, 0]]])
