"""Convolutions by kernels that do not change, against torch's own and its gradients."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.ops import convolution
from velatura.ops.convolution import FrozenKernel, frozen_convolution

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}


@pytest.fixture(params=[True, False], ids=["winograd", "direct"], autouse=True)
def way(request, monkeypatch):
    """Both ways, whatever pays."""
    monkeypatch.setattr(convolution, "winograd_pays", lambda *sizes: request.param)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def autograd(features, kernel, border, rectify):
    out = functional.conv2d(
        functional.pad(features, (1, 1, 1, 1), mode=MODES[border]), kernel.weight, kernel.bias
    )
    return out.relu() if rectify else out


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("size", [(7, 9), (8, 8), (13, 4), (4, 30), (2, 2)])
@pytest.mark.parametrize("biased", [True, False])
def test_value_and_gradient_are_those_of_autograd(border, rectify, size, biased):
    kernel = FrozenKernel(random(5, 3, 3, 3, seed=1), random(5, seed=2) if biased else None)
    features = random(2, 3, *size).to(memory_format=torch.channels_last).requires_grad_()
    out = frozen_convolution(features, kernel, border=border, rectify=rectify)
    expected = autograd(features, kernel, border, rectify)
    assert_close(out, expected, rtol=0, atol=1e-10)
    assert out.is_contiguous(memory_format=torch.channels_last)
    gradient = random(*out.shape, seed=3)
    assert_close(
        torch.autograd.grad(out, features, gradient),
        torch.autograd.grad(expected, features, gradient),
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("channels_in", [1, 3, 4, 5, 20])
@pytest.mark.parametrize("width", [2, 3, 4, 9])
def test_a_gradient_of_few_channels_and_of_many(border, channels_in, width):
    """Neighbours are taken together where the channels are few, at every remainder of the width."""
    kernel = FrozenKernel(random(3, channels_in, 3, 3, seed=1), None)
    features = random(2, channels_in, 3, width).to(memory_format=torch.channels_last).requires_grad_()
    out, expected = (
        frozen_convolution(features, kernel, border=border),
        autograd(features, kernel, border, False),
    )
    gradient = random(*out.shape, seed=3)
    assert_close(
        torch.autograd.grad(out, features, gradient), torch.autograd.grad(expected, features, gradient)
    )


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("rectify", [False, True])
def test_gradcheck(border, rectify):
    kernel = FrozenKernel(random(3, 2, 3, 3, seed=1), random(3, seed=2))
    features = random(1, 2, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: frozen_convolution(x, kernel, border=border, rectify=rectify), (features,)
    )


@pytest.mark.parametrize("border", ["zeros", "replicate"])
def test_a_single_position(border):
    kernel = FrozenKernel(random(2, 3, 3, 3, seed=1), random(2, seed=2))
    features = random(1, 3, 1, 1).requires_grad_()
    out, expected = (
        frozen_convolution(features, kernel, border=border),
        autograd(features, kernel, border, False),
    )
    assert_close(out, expected, rtol=0, atol=1e-10)
    ones = torch.ones_like(out)
    assert_close(
        torch.autograd.grad(out, features, ones),
        torch.autograd.grad(expected, features, ones),
        atol=1e-10,
        rtol=0,
    )


def test_a_chain_with_a_pool_and_a_branch_between():
    """Gradients meet at a map from above and from a loss, in layouts of their own."""
    below, above = FrozenKernel(random(4, 3, 3, 3), None), FrozenKernel(random(2, 4, 3, 3), random(2))
    features = random(1, 3, 10, 12).to(memory_format=torch.channels_last).requires_grad_()

    def loss(convolve):
        middle = convolve(features, below, border="replicate", rectify=True)
        top = convolve(functional.avg_pool2d(middle, 2), above, border="replicate", rectify=True)
        return middle.square().mean() + top.pow(3).mean()

    def plainly(x, kernel, *, border, rectify):
        return autograd(x, kernel, border, rectify)

    ours, theirs = loss(frozen_convolution), loss(plainly)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, features), torch.autograd.grad(theirs, features))


def test_nothing_of_the_input_is_kept():
    """The features may be written to between the passes."""
    kernel = FrozenKernel(random(2, 3, 3, 3), None)
    features = random(1, 3, 6, 6).requires_grad_()
    copied = features * 1
    out = frozen_convolution(copied, kernel)
    copied.detach().zero_()
    expected = autograd(features, kernel, "zeros", False)
    ones = torch.ones_like(out)
    assert_close(torch.autograd.grad(out, features, ones), torch.autograd.grad(expected, features, ones))


def test_a_second_derivative_is_refused():
    kernel = FrozenKernel(random(2, 3, 3, 3), None)
    features = random(1, 3, 6, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(
        frozen_convolution(features, kernel).square().sum(), features, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
