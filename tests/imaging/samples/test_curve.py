import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from velatura.imaging.samples.curve import spline

CORNERS = arrays(np.float64, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-5, 5, width=32))


@given(CORNERS, st.integers(1, 6))
def test_passes_through_every_corner(corners, pieces):
    curve = spline(corners, pieces=pieces)
    assert_allclose(curve[::pieces], corners, atol=1e-5)


def test_halfway_between_the_middle_corners():
    # Catmull and Rom's weights at the half: -1/16, 9/16, 9/16, -1/16.
    curve = spline([(0, 0), (1, 4), (2, 0), (3, 8)], pieces=2)
    assert_allclose(curve[3], [1.5, (9 * 4 + 9 * 0 - 0 - 8) / 16])
