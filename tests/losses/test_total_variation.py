"""Total variation as a loss: nothing to match, and the two meanings of its flag."""

import pytest
import torch
from torch.testing import assert_close

from velatura.losses.total_variation import TotalVariation

IMAGE = torch.tensor([[0.0, 1.0], [3.0, 1.0]]).reshape(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("source", "form", "reduction", "expected"),
    [
        ("neural-style: squared differences", "l2", "sum", 1 + 4 + 9.0),
        ("neural-style-pt: absolute differences", "l1", "sum", 1 + 2 + 3.0),
    ],
)
def test_published_forms(source, form, reduction, expected):
    loss = TotalVariation(form=form, reduction=reduction)
    assert_close(loss.forward(IMAGE, loss.target(IMAGE)), torch.tensor([expected]))


def test_published_weights_are_of_pixels_in_0_255():
    squared, absolute = TotalVariation(form="l2"), TotalVariation(form="l1")
    assert_close(squared.forward(255 * IMAGE, {}), 255**2 * squared.forward(IMAGE, {}))
    assert_close(absolute.forward(255 * IMAGE, {}), 255 * absolute.forward(IMAGE, {}))


def test_there_is_nothing_to_match():
    loss = TotalVariation()
    assert loss.target(IMAGE) == {}
    assert loss.blend([{}, {}], [0.5, 0.5]) == {}
