"""Where and in what numbers a run computes, on machines that this one is not."""

import contextlib

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError
from velatura.engine import precision
from velatura.engine.precision import (
    Precision,
    choose_device,
    choose_network_precision,
    choose_precision,
    laid_out,
)

CPU, CUDA, MPS, XPU = (torch.device(kind) for kind in ("cpu", "cuda", "mps", "xpu"))


@pytest.fixture
def machine(monkeypatch):
    """Pretends that so many devices of each kind are here."""

    def pretend(*, cuda=0, xpu=0, mps=0):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.xpu, "is_available", lambda: xpu > 0)
        monkeypatch.setattr(torch.xpu, "device_count", lambda: xpu)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps > 0)

    return pretend


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({}, "cpu"),
        ({"mps": 1}, "mps"),
        ({"xpu": 1, "mps": 1}, "xpu"),
        ({"cuda": 2, "xpu": 1, "mps": 1}, "cuda"),
    ],
)
def test_auto_takes_the_first_there_is(machine, devices, expected):
    machine(**devices)
    assert choose_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1", "xpu", "mps"])
def test_a_device_that_is_here(machine, name):
    machine(cuda=2, xpu=1, mps=1)
    assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize(
    "name", ["gpu", "", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:0:0", "cpu:", "cuda:\u0663"]
)
def test_an_unknown_device_is_refused(machine, name):
    machine(cuda=2)
    with pytest.raises(
        ConfigError, match=f"unknown device '{name}'; expected auto, cuda, xpu, mps, cpu, or cud"
    ):
        choose_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "xpu"])
def test_a_device_that_is_not_here_is_refused(machine, name):
    machine(mps=1)
    with pytest.raises(ConfigError, match=f"device '{name}' is not available here; available: mps, cpu"):
        choose_device(name)


@pytest.mark.parametrize(("name", "last"), [("cuda:2", "cuda:1"), ("cpu:1", "cpu:0"), ("mps:3", "mps:0")])
def test_a_number_beyond_the_last_is_refused(machine, name, last):
    machine(cuda=2, mps=1)
    with pytest.raises(ConfigError, match=f"device '{name}' is not available here; the last is {last}"):
        choose_device(name)


@pytest.fixture(scope="module")
def network():
    return build_backbone(BackboneConfig(weights="random"))


@pytest.fixture
def measured(monkeypatch):
    """Pretends that bfloat16 was measured to be faster or not; returns the networks it was asked of."""

    def pretend(faster):
        asked = []
        monkeypatch.setattr(precision, "bfloat16_wins", lambda network: asked.append(network) or faster)
        return asked

    return pretend


@pytest.mark.parametrize("able", [{"avx512_bf16": True}, {"avx512_bf16": False, "amx_bf16": True}])
@pytest.mark.parametrize(("faster", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_what_was_measured_to_be_faster(monkeypatch, measured, network, able, faster, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    asked = measured(faster)
    assert choose_precision("auto", CPU, network) == Precision(dtype, torch.channels_last)
    assert asked == [network]


@pytest.mark.parametrize(
    "able", [{"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, {"neon": True}]
)
def test_auto_does_not_measure_what_the_processor_cannot(monkeypatch, measured, network, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    asked = measured(True)
    assert choose_precision("auto", CPU, network).dtype == torch.float32
    assert not asked


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch, measured, network):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    measured(True)
    assert choose_precision("auto", CPU, network).dtype == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_asked_for_is_not_measured(measured, network, name):
    asked = measured(name == "float32")
    chosen = choose_precision(name, CPU, network)
    assert chosen.dtype == getattr(torch, name)
    assert chosen.name == name
    assert not asked


def test_the_network_is_laid_out_as_it_is_measured_and_used():
    network = build_backbone(BackboneConfig(weights="random"))
    choose_precision("float32", CPU, network)
    weights = [parameter for parameter in network.parameters() if parameter.dim() == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_on_cuda_asks_the_card_itself(monkeypatch, measured, network, native, dtype):
    asked = []

    @contextlib.contextmanager
    def device(which):
        asked.append(which)
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation
    )
    not_measured = measured(not native)
    second = torch.device("cuda:1")
    assert choose_precision("auto", second, network) == Precision(dtype, torch.channels_last)
    assert asked == [second]
    assert choose_precision("bfloat16", CUDA, network).dtype == torch.bfloat16
    assert not not_measured


def test_mps_computes_in_contiguous_float32(network):
    assert choose_precision("auto", MPS, network) == Precision(torch.float32, torch.contiguous_format)
    with pytest.raises(
        ConfigError, match="precision 'bfloat16' is not available on mps; choose float32 or auto"
    ):
        choose_precision("bfloat16", MPS, network)


def test_xpu_computes_in_float32_unless_asked(network):
    assert choose_precision("auto", XPU, network).dtype == torch.float32
    assert choose_precision("bfloat16", XPU, network).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolutions_compute_in_the_precision(dtype):
    convolution = torch.nn.Conv2d(3, 2, 3)
    with Precision(dtype, torch.channels_last).autocast(CPU):
        assert convolution(torch.rand(1, 3, 8, 8)).dtype == dtype
    assert convolution(torch.rand(1, 3, 8, 8)).dtype == torch.float32


def test_weights_are_laid_out_in_place():
    convolution = torch.nn.Conv2d(3, 2, 3)
    assert laid_out(convolution, torch.channels_last) is convolution
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_card_is_found():
    device = choose_device("auto")
    assert device.type == "cuda"
    convolution = torch.nn.Conv2d(3, 2, 3).to(device)
    with choose_precision("auto", device, convolution).autocast(device):
        assert convolution(torch.rand(1, 3, 8, 8, device=device)).isfinite().all()


def test_a_network_that_gives_pixels_computes_in_float32_unless_asked():
    cpu = torch.device("cpu")
    assert choose_network_precision("auto", cpu).dtype == torch.float32
    assert choose_network_precision("bfloat16", cpu).name == "bfloat16"
    assert choose_network_precision("float32", cpu).memory_format == torch.channels_last
    with pytest.raises(ConfigError, match="'bfloat16' is not available on mps"):
        choose_network_precision("bfloat16", torch.device("mps"))
    assert choose_network_precision("auto", torch.device("mps")).memory_format == torch.contiguous_format
