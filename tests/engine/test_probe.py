"""Whether bfloat16 is faster: measured, remembered by what it depends on, and measured anew otherwise."""

import json
import os

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone
from velatura.engine import probe
from velatura.engine.probe import bfloat16_wins


@pytest.fixture(scope="module")
def network():
    return build_backbone(BackboneConfig(weights="random")).to(memory_format=torch.channels_last)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VELATURA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "precision"


@pytest.fixture
def timed(monkeypatch):
    """Pretends that passes take so long; returns the types that were timed, in order."""

    def pretend(*, float32, bfloat16):
        times = {torch.float32: iter(float32), torch.bfloat16: iter(bfloat16)}
        order = []

        def seconds(network, layer, picture, dtype):
            order.append(dtype)
            return next(times[dtype])

        monkeypatch.setattr(probe, "_pass_seconds", seconds)
        return order

    return pretend


@pytest.mark.parametrize(("bfloat16", "wins"), [(0.99, False), (0.88, False), (0.86, True), (0.2, True)])
def test_near_a_tie_it_is_float32(cache, timed, network, bfloat16, wins):
    timed(float32=[1.0] * 3, bfloat16=[bfloat16] * 3)
    assert bfloat16_wins(network) is wins


def test_the_fastest_pass_counts_but_not_the_first_and_they_take_turns(cache, timed, network):
    order = timed(float32=[0.1, 3.0, 2.0], bfloat16=[0.1, 1.5, 9.0])
    assert bfloat16_wins(network)
    assert order == [torch.float32, torch.bfloat16] * 3
    (file,) = cache.iterdir()
    record = json.loads(file.read_text())
    assert (record["float32_s"], record["bfloat16_s"]) == (2.0, 1.5)
    assert record["of"]["versions"]["torch"] == torch.__version__


def test_a_verdict_is_remembered(cache, timed, network):
    timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
    assert bfloat16_wins(network)
    order = timed(float32=[1.0] * 3, bfloat16=[2.0] * 3)
    assert bfloat16_wins(network)
    assert not order


def test_of_two_that_measure_at_once_the_first_decides(cache, monkeypatch, network):
    """Noise may tell them opposite things, and a later run goes by what is kept."""

    def overtaken(network):
        with monkeypatch.context() as first:
            first.setattr(probe, "_seconds", lambda network: (2.0, 1.0))
            assert bfloat16_wins(network)
        return 1.0, 2.0

    monkeypatch.setattr(probe, "_seconds", overtaken)
    assert bfloat16_wins(network)
    assert bfloat16_wins(network)


@pytest.mark.parametrize("other", ["processor", "threads", "network"])
def test_a_verdict_of_something_else_does_not_count(cache, timed, network, monkeypatch, other):
    timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
    assert bfloat16_wins(network)
    timed(float32=[1.0] * 3, bfloat16=[2.0] * 3)
    match other:
        case "processor":
            monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "another"})
        case "threads":
            monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
        case "network":
            network = build_backbone(BackboneConfig(weights="random", pooling="l2"))
    assert not bfloat16_wins(network)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"float32_s": "x", "bfloat16_s": 1}',
        b'{"float32_s": NaN, "bfloat16_s": 1}',
        b'{"float32_s": 1, "bfloat16_s": 0}',
    ],
)
def test_a_broken_record_is_measured_anew_and_replaced(cache, timed, network, content):
    timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
    assert bfloat16_wins(network)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    timed(float32=[1.0] * 3, bfloat16=[2.0] * 3)
    assert not bfloat16_wins(network)
    assert json.loads(file.read_text())["bfloat16_s"] == 2.0


def test_a_cache_that_cannot_be_written_costs_a_measurement_only(cache, timed, network):
    cache.parent.write_text("a file where a folder is needed")
    for _ in range(2):
        order = timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
        assert bfloat16_wins(network)
        assert len(order) == 6


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_record_that_may_not_be_read_is_measured_anew(cache, timed, network):
    timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
    assert bfloat16_wins(network)
    (file,) = cache.iterdir()
    file.chmod(0)
    order = timed(float32=[2.0] * 3, bfloat16=[1.0] * 3)
    assert bfloat16_wins(network)
    assert order


def test_the_network_itself_is_timed_in_both(cache):
    """The smallest network there is, on a picture of its own smallest size at least, to its last layer."""
    seen = []

    class Watched(torch.nn.Module):
        layers = ("relu1", "relu2")

        def smallest_input(self, layers):
            assert list(layers) == ["relu2"]
            return 130

        def forward(self, image, layers):
            features = torch.nn.functional.conv2d(image, torch.ones(2, 3, 1, 1))
            seen.append((tuple(image.shape), features.dtype, image.requires_grad))
            return {"relu2": features}

    bfloat16_wins(Watched())
    shape = (1, 3, 130, 130)
    assert seen == [(shape, torch.float32, True), (shape, torch.bfloat16, True)] * 3
