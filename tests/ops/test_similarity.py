"""Self-similarity: the paper's loop, and what must not matter."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops import similarity
from velatura.ops.similarity import self_similarity_divergence


def _by_loop(features, target, temperature):
    def row(maps, i):
        products = [math.exp(float(maps[:, i] @ maps[:, j]) / temperature) for j in range(maps.shape[1])]
        return [product / sum(products) for product in products]

    own, wanted = features[0].flatten(1), target[0].flatten(1)
    return [
        sum(p * math.log(p / q) for p, q in zip(row(wanted, i), row(own, i), strict=True))
        for i in range(own.shape[1])
    ]


def test_divergence_by_the_papers_loop():
    features, target = torch.randn(2, 1, 3, 2, 4, dtype=torch.float64)
    found = self_similarity_divergence(features, target, temperature=0.7)
    assert_close(found[0].tolist(), _by_loop(features, target, 0.7))


def test_two_positions_by_hand():
    """Products 1, 0 and 0, 1 against 0, 0 and 0, 0: rows (e, 1) / (e + 1) against (1/2, 1/2)."""
    features = torch.zeros(1, 2, 1, 2).double()
    target = torch.eye(2).reshape(1, 2, 1, 2).double()
    high, low = math.e / (math.e + 1), 1 / (math.e + 1)
    expected = high * math.log(2 * high) + low * math.log(2 * low)
    assert_close(self_similarity_divergence(features, target), torch.full((1, 2), expected).double())


def test_rows_in_pieces_are_the_rows(monkeypatch):
    features, target = torch.randn(2, 2, 3, 5, 7)
    whole = self_similarity_divergence(features, target)
    monkeypatch.setattr(similarity, "_ROWS", 4)
    assert_close(self_similarity_divergence(features, target), whole)


def test_products_too_large_for_the_exponential():
    features, target = 1e3 * torch.randn(2, 1, 3, 3, 3)
    assert self_similarity_divergence(features, target).isfinite().all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_zero_at_home_and_blind_to_rotations_of_the_channels(seed):
    generator = torch.Generator().manual_seed(seed)
    features, target = torch.randn(2, 1, 4, 3, 3, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    turned = (rotation @ features.flatten(2)).view_as(features)
    found = self_similarity_divergence(features, target)
    assert found.min() >= -1e-12
    assert_close(self_similarity_divergence(turned, target), found)
    assert_close(self_similarity_divergence(turned, features), torch.zeros(1, 9, dtype=torch.float64))


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match="bring both pictures to one size"):
        self_similarity_divergence(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
