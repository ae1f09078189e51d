"""Style distance: worked examples of each statistic, and what 0 and 1 mean."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.metrics import View, metrics

STYLES = ("style-gram", "style-moments", "style-wasserstein")


def _maps(*positions):
    """One channel a row: ``_maps((1, 3), (2, 2))`` has two channels of two positions."""
    return torch.tensor(positions, dtype=torch.float64)[None, :, None, :]


def _random(seed, size=(4, 5), channels=3):
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(seed)).double()


def _view(*maps):
    return View(
        pixels=torch.zeros(1, 3, 1, 1), features={str(k): features for k, features in enumerate(maps)}
    )


def test_gram_of_a_worked_example():
    """Mean squares 1, 9 and 4 of one channel: |1 - 4| / |9 - 4|."""
    output, content, style = (_view(_maps((value, -value))) for value in (1, 3, 2))
    assert metrics["style-gram"]()(output, content, style) == pytest.approx(3 / 5)


def test_moments_of_a_worked_example():
    """Means 1, 4, 2 and variances 1, 0, 4: the output is off by 1/2 and 3/4, the photograph by 1 and 1."""
    output, content, style = (_view(_maps(values)) for values in ((0, 2), (4, 4), (0, 4)))
    expected = math.sqrt((0.5**2 + 0.75**2) / 2) / math.sqrt((1 + 1) / 2)
    assert metrics["style-moments"]()(output, content, style) == pytest.approx(expected)


def test_wasserstein_of_a_worked_example():
    """In one dimension the squares of the differences of means and of deviations: 1 + 1 and 4 + 4."""
    output, content, style = (_view(_maps(values)) for values in ((0, 2), (4, 4), (0, 4)))
    assert metrics["style-wasserstein"]()(output, content, style) == pytest.approx(math.sqrt(2 / 8), rel=1e-6)


@pytest.mark.parametrize("name", STYLES)
def test_layers_count_alike_whatever_their_scale(name):
    metric = metrics[name]()
    views = [(_random(seed), _random(seed + 10)) for seed in range(3)]
    plain = metric(*(_view(one, two) for one, two in views))
    scaled = metric(*(_view(one, 1000 * two) for one, two in views))
    assert scaled == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("name", STYLES)
def test_distances_are_added_before_they_are_divided(name):
    """A layer at which the photograph is like the painting already does not blow up."""
    metric = metrics[name]()
    style, content, output = _random(1), _random(2), _random(3)
    same = _random(4)
    alone = metric(_view(output), _view(content), _view(style))
    assert metric(_view(output, same), _view(content, same), _view(style, same)) == pytest.approx(
        alone, rel=1e-4
    )


@pytest.mark.parametrize("name", STYLES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_zero_at_the_painting_one_at_the_photograph_and_blind_to_position(name, seed):
    metric = metrics[name]()
    content, style, output = (_random(seed + k, size=(4, 5 + k)) for k in range(3))
    order = torch.randperm(output.shape[2:].numel(), generator=torch.Generator().manual_seed(seed))
    shuffled = output.flatten(2)[..., order].reshape(output.shape)
    judge = (_view(content), _view(style))
    assert metric(_view(style), *judge) == pytest.approx(0, abs=1e-3)
    assert metric(_view(content), *judge) == pytest.approx(1)
    assert metric(_view(shuffled), *judge) == pytest.approx(metric(_view(output), *judge))


@pytest.mark.parametrize("name", STYLES)
def test_a_photograph_with_the_paintings_statistics_leaves_nothing_to_measure(name):
    view = _view(_random(1))
    assert math.isnan(metrics[name]()(_view(_random(2)), view, view))


@pytest.mark.parametrize("name", STYLES)
def test_single_precision_features_are_summed_in_double(name):
    views = [_random(seed, size=(40, 50)) for seed in range(3)]
    exact, rounded = (
        metrics[name]()(*(_view(features.to(dtype)) for features in views))
        for dtype in (torch.float64, torch.float32)
    )
    assert_close(rounded, exact, rtol=1e-4, atol=0)
