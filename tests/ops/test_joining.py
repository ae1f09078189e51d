"""Gradients that meet at a map: each case beside the sum that autograd would write."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.ops.joining import can_join, joined_gradient


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def maps(*shape, seed=0):
    return random(*shape, seed=seed).to(memory_format=torch.channels_last)


def test_a_worked_example():
    """Two channels, 2x2 positions; the last position is not active in the second channel."""
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 0.0]]]], dtype=torch.float64)
    features = features.to(memory_format=torch.channels_last)
    found = joined_gradient(
        features,
        products=torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64),  # swaps the channels
        everywhere=torch.tensor([[10.0, 20.0]], dtype=torch.float64),
        onto=torch.full((1, 2, 2, 2), 100.0, dtype=torch.float64).to(memory_format=torch.channels_last),
        pooled=torch.tensor([[[[4.0]], [[8.0]]]], dtype=torch.float64),  # a quarter each: 1 and 2
        rectified=True,
    )
    expected = [[[[116.0, 117.0], [118.0, 111.0]], [[123.0, 124.0], [125.0, 0.0]]]]
    assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("channels", [3, 64])
@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("onto", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("rectified", [False, True])
def test_any_of_them_part_by_part(monkeypatch, channels, products, everywhere, onto, pooled, rectified):
    monkeypatch.setattr("velatura.ops.joining.NUMBERS_AT_ONCE", 2 * 6 * channels)  # two rows of ten
    features = maps(2, channels, 10, 6).relu()
    given = {
        "products": random(2, channels, channels, seed=1) if products else None,
        "everywhere": random(2, channels, seed=2) if everywhere else None,
        "onto": maps(2, channels, 10, 6, seed=3) if onto else None,
        "pooled": maps(2, channels, 5, 3, seed=4) if pooled else None,
    }
    expected = torch.zeros_like(features)
    if products:
        given["products"] = given["products"] + given["products"].mT
        expected += torch.einsum("bcd,bdhw->bchw", given["products"], features)
    if everywhere:
        expected += given["everywhere"][:, :, None, None]
    if onto:
        expected += given["onto"]
    if pooled:
        expected += functional.interpolate(given["pooled"], scale_factor=2) / 4
    if rectified:
        expected *= features > 0
    found = joined_gradient(features, **given, rectified=rectified)
    assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_gradients_in_another_layout():
    features, onto, pooled = maps(1, 3, 4, 6), random(1, 3, 4, 6, seed=1), random(1, 3, 2, 3, seed=2)
    found = joined_gradient(features, onto=onto, pooled=pooled)
    assert_close(found, onto + functional.interpolate(pooled, scale_factor=2) / 4)


def test_what_can_be_joined():
    assert can_join(maps(1, 3, 4, 6).float())
    assert not can_join(random(1, 3, 4, 6))
    assert not can_join(maps(1, 3, 4, 6).bfloat16())
