"""The backbones' convolution: torch's in everything but speed."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from velatura.backbones import convolution
from velatura.backbones.convolution import Convolution


@pytest.fixture
def frozen_calls(monkeypatch):
    """The kernels that frozen convolutions were asked for with."""
    calls = []

    def watched(features, kernel, **options):
        calls.append(kernel)
        return real(features, kernel, **options)

    monkeypatch.setattr(convolution, "_SMALLEST", 0)
    real = convolution.frozen_convolution
    monkeypatch.setattr(convolution, "frozen_convolution", watched)
    return calls


def pair(*, padding_mode="zeros", bias=True, dtype=torch.float64):
    """One of ours and one of torch's with the same weights."""
    torch.manual_seed(0)
    ours = Convolution(3, 5, padding_mode=padding_mode, bias=bias).to(dtype)
    theirs = nn.Conv2d(3, 5, 3, padding=1, padding_mode=padding_mode, bias=bias).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def features(dtype=torch.float64, seed=1):
    image = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return image.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_it_computes_what_torch_computes(frozen_calls, padding_mode, bias, rectify, frozen):
    ours, theirs = pair(padding_mode=padding_mode, bias=bias)
    ours.requires_grad_(not frozen)
    expected = theirs(features())
    assert_close(ours(features(), rectify=rectify), expected.relu() if rectify else expected)
    assert len(frozen_calls) == frozen


def test_training_gets_gradients_of_the_weights(frozen_calls):
    ours, theirs = pair()
    for module in (ours, theirs):
        module(features()).square().sum().backward()
    assert_close(ours.weight.grad, theirs.weight.grad)
    assert_close(ours.bias.grad, theirs.bias.grad)
    assert not frozen_calls


@pytest.mark.parametrize("learnt", ["weight", "bias"])
def test_one_that_learns_is_not_frozen(frozen_calls, learnt):
    ours, _ = pair()
    ours.requires_grad_(False)
    getattr(ours, learnt).requires_grad_()
    ours(features())
    assert not frozen_calls


def test_contiguous_maps_stay_so(frozen_calls):
    ours, theirs = pair()
    ours.requires_grad_(False)
    out = ours(features().contiguous())
    assert out.is_contiguous()
    assert_close(out, theirs(features().contiguous()))
    assert not frozen_calls


def test_autocast_computes_in_bfloat16(frozen_calls):
    ours, _ = pair(dtype=torch.float32)
    ours.requires_grad_(False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(features(torch.float32)).dtype == torch.bfloat16
    assert not frozen_calls


def test_the_kernel_is_prepared_once(frozen_calls):
    ours, _ = pair()
    ours.requires_grad_(False)
    ours(features())
    ours(features(seed=2))
    assert frozen_calls[0] is frozen_calls[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda module: module.weight.mul_(2),
        lambda module: module.load_state_dict({key: 3 * value for key, value in module.state_dict().items()}),
        lambda module: setattr(module, "weight", nn.Parameter(module.weight * 2, requires_grad=False)),
        lambda module: setattr(module.weight, "data", module.weight * 2),
        lambda module: module.bias.mul_(2),
        lambda module: setattr(module, "bias", nn.Parameter(module.bias * 2, requires_grad=False)),
        lambda module: module.float(),
        lambda module: module.to(memory_format=torch.channels_last),
    ],
    ids=[
        "in place",
        "loaded",
        "replaced",
        "data",
        "bias",
        "bias replaced",
        "type",
        "layout",
    ],
)
def test_weights_that_changed_are_prepared_anew(frozen_calls, change):
    ours, theirs = pair()
    ours.requires_grad_(False)
    ours(features())
    with torch.no_grad():
        change(ours)
    theirs = theirs.to(ours.weight.dtype)
    theirs.load_state_dict(ours.state_dict())
    image = features(ours.weight.dtype)
    assert_close(ours(image), theirs(image))
    assert len(frozen_calls) == 2


def test_a_small_map_goes_the_plain_way(frozen_calls, monkeypatch):
    monkeypatch.setattr(convolution, "_SMALLEST", features().numel() + 1)
    ours, theirs = pair()
    ours.requires_grad_(False)
    assert_close(ours(features()), theirs(features()))
    assert not frozen_calls


def test_a_copy_has_weights_of_its_own(frozen_calls):
    ours, _ = pair()
    ours.requires_grad_(False)
    before = ours(features())
    other = copy.deepcopy(ours)
    with torch.no_grad():
        other.weight.zero_()
    assert_close(ours(features()), before)
    assert_close(other(features()), other.bias[None, :, None, None].expand_as(before))


def test_the_state_holds_nothing_else(frozen_calls):
    ours, theirs = pair()
    ours.requires_grad_(False)
    ours(features())
    assert ours.state_dict().keys() == theirs.state_dict().keys()
