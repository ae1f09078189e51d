import math

import pytest
import torch

from velatura.metrics import metrics

SQUARE = torch.zeros(1, 3, 20, 24)
SQUARE[..., 6:14, 8:16] = 1


def _similarity(showing, output, content):
    return metrics["edge-similarity"]()(showing(output), showing(content), showing(content))


def test_contrast_brightness_and_inversion_leave_edges_where_they_are(showing):
    for output in (SQUARE, 0.3 * SQUARE + 0.2, 1 - SQUARE):
        assert _similarity(showing, output, SQUARE) == pytest.approx(1, abs=1e-5)


def test_edges_elsewhere_do_not_correlate(showing):
    moved = SQUARE.roll(8, dims=3)
    assert _similarity(showing, moved, SQUARE) < 0.3


def test_an_edge_by_the_formula(showing):
    """Two maps of edges, correlated by the textbook's sums."""
    one, other = torch.rand(2, 1, 3, 6, 7)
    from velatura.ops.color import luma
    from velatura.ops.filters import sobel_magnitude

    x, y = (sobel_magnitude(luma(picture)).flatten().tolist() for picture in (one, other))
    n = len(x)
    top = n * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)
    bottom = math.sqrt((n * sum(a * a for a in x) - sum(x) ** 2) * (n * sum(b * b for b in y) - sum(y) ** 2))
    assert _similarity(showing, one, other) == pytest.approx(top / bottom, abs=1e-5)


def test_a_flat_picture_has_no_edges_to_compare(showing):
    assert math.isnan(_similarity(showing, torch.full_like(SQUARE, 0.7), SQUARE))
