"""Self-similarity: a worked example, what it forgets, and how it bounds its memory."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.losses.self_similarity import SelfSimilarity


def _features(seed, size=(4, 5), channels=3):
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _by_the_papers_loop(found, wanted):
    """Kolkin et al. 2019, eq. 6, written as its sums, times the number of positions."""

    def normalized(features):
        flat = features[0].flatten(1).T
        n = len(flat)
        distances = torch.empty(n, n, dtype=torch.float64)
        for i in range(n):
            for j in range(n):
                distances[i, j] = 1 - flat[i] @ flat[j] / (flat[i].norm() * flat[j].norm())
        return distances / distances.sum(dim=0, keepdim=True)

    n = found[0, 0].numel()
    return n * (normalized(found) - normalized(wanted)).abs().sum() / n**2


def test_it_is_the_papers_sum():
    found, wanted = _features(1), _features(2)
    loss = SelfSimilarity()
    assert_close(loss.forward(found, loss.target(wanted))[0], _by_the_papers_loop(found, wanted))


@given(gain=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_it_forgets_how_strong_the_features_are(gain, seed):
    features = _features(seed)
    loss = SelfSimilarity()
    assert loss.forward(gain * features, loss.target(features)).item() < 1e-6


def test_it_forgets_which_channel_is_which():
    """Another look, if everything that was alike stays alike."""
    features = _features(0)
    loss = SelfSimilarity()
    assert loss.forward(features.flip(1), loss.target(features)).item() < 1e-12
    assert loss.forward(features.flip(3), loss.target(features)).item() > 0.1


def test_large_maps_are_averaged_down():
    features = _features(0, size=(8, 12)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    loss = SelfSimilarity(positions=100)
    target = loss.target(features)
    assert target["distances"].shape == (1, 96, 96)
    # Blocks of one value: their averages are the small map itself.
    assert_close(target, SelfSimilarity().target(_features(0, size=(8, 12))), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (33, 31), (3, 3)])
def test_any_shape_keeps_to_the_positions(size):
    loss = SelfSimilarity(positions=64)
    positions = loss.target(_features(0, size=size))["distances"].shape[1]
    assert 1 <= positions <= 64


def test_gradient():
    loss, features = SelfSimilarity(positions=9), _features(3).requires_grad_()
    target = loss.target(_features(4))
    assert gradcheck(lambda f: loss.forward(f, target), (features,))
