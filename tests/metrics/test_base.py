"""What a feature metric reads, and at which size."""

import math

import pytest
import torch

from velatura.core.errors import ConfigError
from velatura.metrics import View, metrics
from velatura.metrics.base import check_same_size, share

VGG = ("conv1_1", "relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
RESNET = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4")


@pytest.mark.parametrize(
    ("name", "in_vgg", "in_resnet"),
    [
        ("style-gram", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), RESNET[:1] + RESNET[2:5]),
        ("cfsd", ("relu3_1",), ("layer1",)),
        ("content-features", ("relu4_2",), ("layer3",)),
        ("sifid", ("relu2_2",), ("layer1",)),
    ],
)
def test_the_usual_layers_are_those_of_the_network(name, in_vgg, in_resnet):
    metric = metrics[name]()
    assert metric.reads(VGG) == in_vgg
    assert metric.reads(RESNET) == in_resnet


def test_layers_that_are_set_are_read_whatever_the_network():
    assert metrics["cfsd"](layers=("x", "y")).reads(RESNET) == ("x", "y")


def test_a_network_without_usual_layers_is_an_error():
    with pytest.raises(
        ConfigError, match="metric 'cfsd' has no usual layers in this network; name some of p, q"
    ):
        metrics["cfsd"]().reads(("p", "q"))


def test_a_metric_of_pixels_reads_none_and_sees_pictures_as_they_are():
    metric = metrics["rmse"]()
    assert metric.reads(VGG) == ()
    assert metric.long_edge(512) is None


def test_the_smaller_size_counts():
    assert metrics["style-gram"]().long_edge(512) == 512
    assert metrics["cfsd"]().long_edge(512) == 256
    assert metrics["cfsd"]().long_edge(128) == 128
    assert metrics["cfsd"](size=None).long_edge(512) == 512
    assert metrics["color-histogram"]().long_edge(512) == 256


def test_a_share_of_nothing_is_not_a_number():
    assert share(1.0, 4.0, rounding=1e-6) == 0.25
    assert math.isnan(share(0.0, 0.0, rounding=1e-6))
    assert math.isnan(share(1e-9, 1e-7, rounding=1e-6))


def test_sizes_that_differ_are_named():
    one, other = (View(pixels=torch.zeros(1, 3, height, 7)) for height in (5, 6))
    check_same_size(one, one)
    with pytest.raises(ConfigError, match="must have one size, not 7x5 and 7x6"):
        check_same_size(one, other)
