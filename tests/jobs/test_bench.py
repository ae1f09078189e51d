"""The measurements: what is counted, and that both sides of a ratio compute the same."""

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.backbones.base import IMAGENET_STD
from velatura.engine.precision import choose_precision
from velatura.jobs import bench
from velatura.jobs.bench import convolution_operations, default_descent, our_step, plain_step

CPU = torch.device("cpu")
# Channels below and in each convolution of VGG-19 to conv5_1, and positions for each pixel.
VGG19 = [
    *[(3, 64, 1), (64, 64, 1)],
    *[(64, 128, 4), (128, 128, 4)],
    *[(128, 256, 16), *[(256, 256, 16)] * 3],
    *[(256, 512, 64), *[(512, 512, 64)] * 3],
    (512, 512, 256),
]


@pytest.fixture(scope="module")
def slim():
    return build_backbone(BackboneConfig(weights="random", pooling="max"))


def test_operations_are_two_for_each_weight_and_position():
    network = build_backbone(BackboneConfig(name="vgg19", weights="random"))
    expected = sum(2 * 9 * below * channels * 64 * 64 / share for below, channels, share in VGG19)
    assert convolution_operations(network, 64) == expected
    assert convolution_operations(network, 64, deepest="relu1_1") == 2 * 9 * 3 * 64 * 64 * 64


def test_the_plain_loop_computes_what_we_do(slim):
    """Up to the factor between the two losses, the gradients are the same: the plain loop is given the
    picture as the network takes it, and the chain rule divides by the deviations."""
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ours = our_step(slim, picture, choose_precision("float32", CPU, slim))()
    theirs = plain_step(slim, slim.preprocessing(picture))() / torch.tensor(IMAGENET_STD)[:, None, None]
    assert_close(ours / ours.norm(), theirs / theirs.norm(), rtol=1e-3, atol=1e-5)


def test_a_descent_of_the_default_preset():
    descent, stylizer = default_descent(64, CPU)
    assert descent.canvas.shape == (1, 3, 64, 64)
    assert set(stylizer.objective.terms) == {"content", "style"}
    before = descent.canvas.detach().clone()
    terms, taken_back = descent.step()
    assert not taken_back
    assert set(terms) == set(stylizer.objective.terms)
    assert not torch.equal(descent.canvas, before)


def test_the_engine_step_is_set_against_the_ceiling(monkeypatch):
    monkeypatch.setattr(bench, "median_seconds", lambda runs, repeats, device: [0.25 for _ in runs])
    step, share = bench._engine_figures(64, 1, CPU, 1e9)
    assert step.what.startswith("engine step, default preset, 64x64")
    assert (step.value, step.unit) == (0.25, "s")
    slim = build_backbone(BackboneConfig())
    assert share.value == pytest.approx(2 * convolution_operations(slim, 64) / 0.25 / 1e9)


def test_medians_are_taken_in_turns_after_one_run_of_each():
    order = []
    runs = [lambda: order.append("a"), lambda: order.append("b")]
    assert len(bench.median_seconds(runs, 2, CPU)) == 2
    assert order == ["a", "b"] * 3
