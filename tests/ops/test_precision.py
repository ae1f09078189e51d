"""Numbers that sums are taken in, on devices that this machine may not have."""

import pytest
import torch
from torch.testing import assert_close

from velatura.losses.wasserstein import Wasserstein
from velatura.ops.precision import in_float64
from velatura.ops.recoloring import match_moments


class OnMps(torch.Tensor):
    """Numbers of the processor that behave as if they were on a device without float64."""

    @property
    def device(self):
        return torch.device("mps")

    def cpu(self):
        return self.as_subclass(torch.Tensor)

    def double(self):
        raise TypeError("the MPS framework doesn't support float64")


def test_a_device_without_float64_is_left_for_the_processor():
    values = torch.tensor([0.1, 0.2])
    found = in_float64(values.as_subclass(OnMps))
    assert type(found) is torch.Tensor
    assert_close(found, values.double(), rtol=0, atol=0)
    assert_close(in_float64(values), values.double(), rtol=0, atol=0)


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs an Apple GPU")
def test_a_real_apple_card_finds_what_the_processor_finds():
    image, features = torch.rand(1, 3, 8, 9), torch.rand(1, 16, 8, 9)
    loss, found = Wasserstein(reduction="relative"), {}
    for device in ("cpu", "mps"):
        moved = features.to(device).requires_grad_()
        distance = loss.forward(moved, loss.target(features.flip(1).sqrt().to(device)))
        distance.sum().backward()
        recolored = match_moments(image.to(device), torch.zeros(1, 3), torch.eye(3)[None])
        assert distance.device.type == moved.grad.device.type == recolored.device.type == device
        found[device] = [value.cpu() for value in (distance.detach(), moved.grad, recolored)]
    assert_close(found["mps"], found["cpu"], rtol=1e-3, atol=1e-5)
