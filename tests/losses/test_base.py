"""Blending targets, and finding losses by name."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses import losses
from velatura.losses.gram import Gram


def test_a_blend_is_the_weighted_sum_of_each_statistic():
    one, other = {"gram": torch.tensor([[[4.0]]])}, {"gram": torch.tensor([[[8.0]]])}
    assert_close(Gram().blend([one, other], [0.75, 0.25]), {"gram": torch.tensor([[[5.0]]])})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "expected one weight for each target, not 1 for 2"),
        ([0.5, 0.6], r"must be >= 0 and sum to 1, not \[0.5, 0.6\]"),
        ([1.5, -0.5], "must be >= 0 and sum to 1"),
        ([float("nan"), 0.5], "must be >= 0 and sum to 1"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    target = Gram().target(torch.rand(1, 2, 3, 3))
    with pytest.raises(ConfigError, match=message):
        Gram().blend([target, target], weights)


def test_a_blend_of_nothing():
    with pytest.raises(ConfigError, match="expected one weight for each target"):
        Gram().blend([], [])


def test_the_losses_that_ship():
    assert {"content", "gram", "mean_std", "moments", "total_variation", "wasserstein"} <= set(losses)
    assert losses["gram"] is Gram
