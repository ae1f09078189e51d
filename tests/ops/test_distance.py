"""Sums of squares: by hand, and against autograd."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.ops.distance import in_memory_order, squared_distance, squared_norm

ONE = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
FORMATS = [torch.contiguous_format, torch.channels_last]


def test_a_norm_and_a_distance_worked_by_hand():
    assert_close(squared_norm(ONE), torch.tensor([15.0]))
    assert_close(squared_distance(ONE, torch.ones(1, 2, 1, 2)), torch.tensor([9.0]))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_memory_order_is_a_view(memory_format):
    maps = torch.randn(2, 3, 4, 5).contiguous(memory_format=memory_format)
    numbers = in_memory_order(maps)
    assert numbers.shape == (2, 60)
    assert numbers.data_ptr() == maps.data_ptr()
    assert numbers.is_contiguous()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("targets", [1, 2])
def test_the_distance_and_its_gradient_are_those_of_autograd(memory_format, targets):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    wanted = torch.randn(targets, 3, 4, 5, generator=generator, dtype=torch.float64)
    maps = maps.contiguous(memory_format=memory_format).requires_grad_()
    weights = torch.tensor([2.0, -0.5], dtype=torch.float64)
    found, expected = squared_distance(maps, wanted), (maps - wanted).square().sum(dim=(1, 2, 3))
    assert_close(found, expected)
    (ours,) = torch.autograd.grad(found, maps, weights)
    (theirs,) = torch.autograd.grad(expected, maps, weights)
    assert_close(ours, theirs)
    assert ours.is_contiguous(memory_format=memory_format)
    assert gradcheck(lambda m: squared_distance(m, wanted), (maps,))


def test_part_of_a_map():
    maps = torch.randn(2, 3, 6, 6)[:, :, 1:4, ::2]
    assert_close(squared_norm(maps), maps.square().sum(dim=(1, 2, 3)))
