"""Pictures that go round their edges: features of a rolled picture are rolled features."""

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError

LAYERS = {"vgg19-slim": ("relu1_1", "relu3_1", "relu4_1"), "resnet18": ("conv1", "maxpool", "layer2")}
STRIDE = 8


def network(name="vgg19-slim", **settings):
    return build_backbone(BackboneConfig(name=name, weights="random", **settings))


def picture(height=48, width=64, *, memory_format=torch.contiguous_format):
    pixels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return pixels.contiguous(memory_format=memory_format)


def rolled_features(backbone, image, layers, shifts):
    """Those of the rolled picture, rolled back."""
    found = backbone(image.roll(shifts, dims=(2, 3)), layers)
    return {
        layer: maps.roll([-shift // backbone.shapes[layer].stride for shift in shifts], dims=(2, 3))
        for layer, maps in found.items()
    }


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize(
    ("wrap", "shifts"), [("both", (16, 24)), ("x", (0, 24)), ("y", (16, 0))], ids=["both", "x", "y"]
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_features_of_a_rolled_picture_are_rolled_features(name, pooling, wrap, shifts, memory_format):
    backbone = network(name, pooling=pooling, wrap=wrap)
    image = picture(memory_format=memory_format)
    expected = backbone(image, LAYERS[name])
    assert_close(rolled_features(backbone, image, LAYERS[name], shifts), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_without_it_they_are_not(name):
    backbone, image = network(name), picture()
    deepest = LAYERS[name][-1]
    found = rolled_features(backbone, image, [deepest], (16, 24))[deepest]
    assert (found - backbone(image, [deepest])[deepest]).abs().max() > 0.01


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_other_axis_keeps_its_padding(name, padding):
    image, layers = picture(), LAYERS[name]
    tall = image.repeat(1, 1, 1, 3)
    round_it = network(name, padding=padding, wrap="x")(image, layers)
    middle = {
        layer: maps[..., maps.shape[3] // 3 : 2 * maps.shape[3] // 3]
        for layer, maps in network(name, padding=padding)(tall, layers).items()
    }
    # Three copies side by side: in the middle one, nothing but the upper and the lower edge is an edge.
    assert_close(
        round_it["conv1" if name == "resnet18" else "relu1_1"],
        middle["conv1" if name == "resnet18" else "relu1_1"],
    )
    assert_close(round_it[layers[-1]][..., 2:-2], middle[layers[-1]][..., 2:-2], rtol=1e-4, atol=1e-4)


def test_the_fast_convolution_gives_what_the_plain_one_gives():
    image = torch.rand(1, 3, 128, 144, generator=torch.Generator().manual_seed(1))
    backbone = network(wrap="both")
    fast, plain = (
        backbone(pixels.requires_grad_(), ["relu2_2"])["relu2_2"]
        for pixels in (image.contiguous(memory_format=torch.channels_last), image.clone())
    )
    assert_close(fast, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 64), (128, 144)], ids=["plain", "fast"])
def test_the_gradient_of_a_rolled_picture_is_rolled(size):
    backbone = network(wrap="both")
    gradients = []
    for shifts in ((0, 0), (16, 24)):
        image = picture(*size).roll(shifts, dims=(2, 3))
        image = image.contiguous(memory_format=torch.channels_last).requires_grad_()
        backbone(image, ["relu3_1"])["relu3_1"].square().sum().backward()
        gradients.append(image.grad.roll([-shift for shift in shifts], dims=(2, 3)))
    assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)


def test_what_edges_must_be_multiples_of():
    assert network(wrap="both").wrap_multiples(["relu1_1", "relu4_1"]) == (8, 8)
    assert network(wrap="x").wrap_multiples(["relu4_1"]) == (1, 8)
    assert network().wrap_multiples(["relu4_1"]) == (1, 1)


def test_a_network_whose_windows_are_not_padded_says_that_it_cannot():
    with pytest.raises(
        ConfigError, match=r"SqueezeNet cannot go round the edges .* choose a VGG or a ResNet"
    ):
        network("squeezenet1_1", wrap="both")
