"""Parts beside the obvious way to write them: ``pytest benchmarks --benchmark-group-by=group``."""

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone
from velatura.ops.gram import gram_matrix
from velatura.ops.moments import covariance, raw_moments

LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


def plain_gram(features):
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / features[0].numel()


def plain_covariance(features):
    flat = features.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    return centred @ centred.transpose(1, 2) / flat.shape[2]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("group", "statistic"),
    [
        ("gram", plain_gram),
        ("gram", gram_matrix),
        ("covariance", plain_covariance),
        ("covariance", lambda features: covariance(*raw_moments(features))),
    ],
    ids=["gram-plain", "gram-ours", "covariance-plain", "covariance-ours"],
)
def test_statistic_forward_and_backward(benchmark, group, statistic, layout):
    benchmark.group = f"{group} {layout}"
    features = torch.rand(1, 64, 256, 256).to(memory_format=LAYOUTS[layout]).requires_grad_()

    def step():
        features.grad = None
        statistic(features).square().sum().backward()

    benchmark(step)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["vgg19-slim", "resnet18", "vgg19"])
def test_backbone_forward_and_backward(benchmark, name, layout):
    benchmark.group = name
    backbone = build_backbone(BackboneConfig(name=name, weights="random"))
    backbone = backbone.to(memory_format=LAYOUTS[layout])
    deepest = "layer4" if name == "resnet18" else "relu5_1"
    image = torch.rand(1, 3, 256, 256).to(memory_format=LAYOUTS[layout]).requires_grad_()

    def step():
        image.grad = None
        backbone(image, [deepest])[deepest].square().mean().backward()

    benchmark(step)
