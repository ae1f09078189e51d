"""The architectures against their published sizes, on the meta device: no number is drawn or computed."""

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone


def on_meta(name):
    with torch.device("meta"):
        return build_backbone(BackboneConfig(name=name, weights="random"))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # torchvision's published totals less those of the classifiers.
        ("vgg11", 132_863_336 - 123_642_856),
        ("vgg13", 133_047_848 - 123_642_856),
        ("vgg16", 138_357_544 - 123_642_856),
        ("vgg19", 143_667_240 - 123_642_856),
        ("vgg11_bn", 132_868_840 - 123_642_856),
        ("vgg13_bn", 133_053_736 - 123_642_856),
        ("vgg16_bn", 138_365_992 - 123_642_856),
        ("vgg19_bn", 143_678_248 - 123_642_856),
        ("resnet18", 11_689_512 - 513_000),
        ("resnet34", 21_797_672 - 513_000),
        ("resnet50", 25_557_032 - 2_049_000),
        ("resnet101", 44_549_160 - 2_049_000),
        ("squeezenet1_1", 1_235_496 - 513_000),
    ],
)
def test_the_number_of_parameters(name, count):
    assert sum(parameter.numel() for parameter in on_meta(name).parameters()) == count


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        (
            "vgg19",
            {
                "conv1_1": (64, 224),
                "pool1": (64, 112),
                "relu2_2": (128, 112),
                "relu3_4": (256, 56),
                "relu4_2": (512, 28),
                "relu5_4": (512, 14),
                "pool5": (512, 7),
            },
        ),
        ("vgg16_bn", {"norm1_2": (64, 224), "relu3_3": (256, 56), "relu5_3": (512, 14)}),
        ("vgg19-slim", {"relu1_1": (16, 224), "relu3_4": (64, 56), "relu5_1": (128, 14)}),
        (
            "resnet18",
            {
                "conv1": (64, 112),
                "maxpool": (64, 56),
                "layer1": (64, 56),
                "layer2.0": (128, 28),
                "layer3": (256, 14),
                "layer4": (512, 7),
            },
        ),
        ("resnet50", {"layer1": (256, 56), "layer2": (512, 28), "layer3.5": (1024, 14), "layer4": (2048, 7)}),
        ("resnet101", {"layer3.22": (1024, 14), "layer4": (2048, 7)}),
        (
            "squeezenet1_1",
            {
                "conv1": (64, 111),
                "pool1": (64, 55),
                "fire3": (128, 55),
                "pool3": (128, 27),
                "fire5": (256, 27),
                "pool5": (256, 13),
                "fire7": (384, 13),
                "fire9": (512, 13),
            },
        ),
    ],
)
def test_activations_of_a_picture_of_224_pixels(name, sizes):
    features = on_meta(name)(torch.empty(1, 3, 224, 224, device="meta"), sizes)
    assert {layer: tuple(maps.shape) for layer, maps in features.items()} == {
        layer: (1, channels, edge, edge) for layer, (channels, edge) in sizes.items()
    }


def keys_of(name):
    return on_meta(name).state_dict().keys()


def norm_keys(prefix):
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return {f"{prefix}.{part}" for part in parts}


def test_vgg11_has_torchvisions_keys():
    convs = (0, 3, 6, 8, 11, 13, 16, 18)
    assert keys_of("vgg11") == {f"features.{index}.{part}" for index in convs for part in ("weight", "bias")}


def test_vgg11_bn_has_torchvisions_keys():
    convs = (0, 4, 8, 11, 15, 18, 22, 25)
    expected = {f"features.{index}.{part}" for index in convs for part in ("weight", "bias")}
    for index in convs:
        expected |= norm_keys(f"features.{index + 1}")
    assert keys_of("vgg11_bn") == expected


def test_resnet18_has_torchvisions_keys():
    expected = {"conv1.weight"} | norm_keys("bn1")
    for stage in (1, 2, 3, 4):
        for index in (0, 1):
            block = f"layer{stage}.{index}"
            expected |= {f"{block}.conv1.weight", f"{block}.conv2.weight"}
            expected |= norm_keys(f"{block}.bn1") | norm_keys(f"{block}.bn2")
        if stage > 1:
            expected |= {f"layer{stage}.0.downsample.0.weight"} | norm_keys(f"layer{stage}.0.downsample.1")
    assert keys_of("resnet18") == expected


def test_resnet50_widens_in_its_first_stage_too():
    keys = keys_of("resnet50")
    assert {"layer1.0.downsample.0.weight", "layer3.5.conv3.weight", "layer4.2.bn3.running_var"} <= keys
    assert not keys & {"layer1.1.downsample.0.weight", "layer3.6.conv1.weight", "layer1.0.conv1.bias"}
    # 53 convolutions, each with the five tensors of its normalisation.
    assert len(keys) == 53 * 6


def test_squeezenet_has_torchvisions_keys():
    expected = {"features.0.weight", "features.0.bias"}
    for index in (3, 4, 6, 7, 9, 10, 11, 12):
        for conv in ("squeeze", "expand1x1", "expand3x3"):
            expected |= {f"features.{index}.{conv}.weight", f"features.{index}.{conv}.bias"}
    assert keys_of("squeezenet1_1") == expected


def test_bottlenecks_step_with_their_3x3_convolution():
    backbone = on_meta("resnet50")
    assert backbone.get_submodule("layer2.0.conv1").stride == (1, 1)
    assert backbone.get_submodule("layer2.0.conv2").stride == (2, 2)
    assert backbone.get_submodule("layer2.0.downsample.0").stride == (2, 2)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        # Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", table 1.
        ("vgg16", {"pool5": 212}),
        # 483 and 1027 there, with the step in the first 1x1 convolution; later steps see less.
        ("resnet50", {"layer4": 427}),
        ("resnet101", {"layer4": 971}),
    ],
)
def test_receptive_fields_of_whole_networks(name, fields):
    shapes = on_meta(name).shapes
    assert {layer: shapes[layer].receptive_field for layer in fields} == fields


@pytest.mark.parametrize(
    ("name", "padding", "smallest"),
    [
        ("vgg19", "zeros", {"conv1_1": 1, "relu3_1": 4, "relu5_1": 16, "pool5": 32}),
        ("vgg19", "replicate", {"conv1_1": 1, "relu5_1": 16}),
        ("vgg19", "reflect", {"conv1_1": 2, "relu3_1": 8, "relu5_1": 32, "pool5": 32}),
        ("resnet50", "zeros", {"conv1": 2, "maxpool": 4, "layer2": 8, "layer4": 32}),
        # A stem's reflection needs four pixels; a 3x3 convolution on maps of stride 32 needs two
        # positions, and 33 pixels give them.
        ("resnet50", "reflect", {"conv1": 4, "layer1": 5, "layer4": 33}),
        ("squeezenet1_1", "zeros", {"conv1": 3, "pool1": 5, "fire3": 5, "fire9": 17}),
    ],
)
def test_the_smallest_input_of_known_layers(name, padding, smallest):
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name=name, weights="random", padding=padding))
    assert {layer: backbone.smallest_input([layer]) for layer in smallest} == smallest
