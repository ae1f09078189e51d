import math

import pytest
import torch

from velatura.metrics import metrics


def _wave(amplitude, across, size=(40, 48)):
    columns = torch.arange(size[1], dtype=torch.float32)
    wave = 0.5 + amplitude * torch.cos(2 * math.pi * across * columns)
    return wave.expand(1, 3, *size)


def _ratio(showing, output, style, **settings):
    return metrics["high-frequency"](**settings)(showing(output), showing(output), showing(style))


def test_energy_goes_with_the_square_of_the_amplitude(showing):
    assert _ratio(showing, _wave(0.1, 0.4), _wave(0.2, 0.4)) == pytest.approx(0.25, rel=1e-4)


def test_sizes_may_differ(showing):
    assert _ratio(showing, _wave(0.1, 0.375), _wave(0.1, 0.375, (64, 32))) == pytest.approx(1, rel=1e-2)


def test_only_what_is_above_the_frequency_counts(showing):
    slow, fast = _wave(0.2, 0.1) - 0.5, _wave(0.1, 0.4)
    assert _ratio(showing, slow + fast, fast) == pytest.approx(1, rel=1e-2)
    assert _ratio(showing, slow + fast, fast, frequency=0.05) == pytest.approx(5, rel=1e-2)


def test_a_painting_without_detail_leaves_nothing_to_compare_with(showing):
    assert math.isnan(_ratio(showing, _wave(0.1, 0.4), torch.full((1, 3, 40, 48), 0.3)))
