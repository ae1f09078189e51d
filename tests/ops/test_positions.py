"""Masks: how much each position counts."""

import pytest
import torch
from torch.testing import assert_close

from velatura.ops.positions import position_weights

FEATURES = torch.zeros(2, 3, 1, 4)


def test_weights_sum_to_one_in_each_sample():
    mask = torch.tensor([[1.0, 0, 0, 3], [2, 2, 2, 2]]).reshape(2, 1, 1, 4)
    expected = torch.tensor([[0.25, 0, 0, 0.75], [0.25, 0.25, 0.25, 0.25]]).reshape(2, 1, 1, 4)
    assert_close(position_weights(mask, FEATURES), expected)


def test_one_mask_serves_a_batch():
    assert position_weights(torch.ones(1, 1, 1, 4), FEATURES).shape == (1, 1, 1, 4)


@pytest.mark.parametrize("shape", [(1, 4), (2, 3, 1, 4), (3, 1, 1, 4), (1, 1, 4, 1)])
def test_a_mask_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"must be \(2, 1, 1, 4\), not .*; resize it to the layer"):
        position_weights(torch.ones(shape), FEATURES)


@pytest.mark.parametrize("values", [[0.0, 0, 0, 0], [1.0, -1, 1, 1], [float("nan"), 1, 1, 1]])
def test_a_mask_without_a_region(values):
    with pytest.raises(ValueError, match="weights >= 0 that are not all zero"):
        position_weights(torch.tensor(values).reshape(1, 1, 1, 4), FEATURES)
