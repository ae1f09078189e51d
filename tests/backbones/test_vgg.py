import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.backbones import VGG, BackboneConfig, Preprocessing, backbones, build_backbone
from velatura.core.errors import WeightsError
from velatura.core.vgg_layout import vgg_layers
from velatura.weights import Weights


def build(state, name="vgg19", **changes):
    weights = Weights(state=state, preprocessing="torchvision", source="toy.safetensors")
    settings = {"pooling": "max", "padding": "zeros", "rescale": False, "generator": torch.Generator()}
    return backbones[name](weights, **(settings | changes))


def toy_state(*widths, convs=(0, 2, 5, 7, 10)):
    """The beginning of a VGG-19 of these widths."""
    generator = torch.Generator().manual_seed(1)
    state, incoming = {}, 3
    for index, width in zip(convs, widths, strict=False):
        state[f"features.{index}.weight"] = torch.randn(width, incoming, 3, 3, generator=generator) / 3
        state[f"features.{index}.bias"] = torch.randn(width, generator=generator)
        incoming = width
    return state


def normalised(image):
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    return (image - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def test_every_layer_is_what_its_name_says():
    state = toy_state(4, 5, 6)
    image = torch.rand(2, 3, 9, 12)
    below = normalised(image)
    expected = {}
    for name, index in (("1_1", 0), ("1_2", 2), ("2_1", 5)):
        below = functional.conv2d(
            below, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1
        )
        expected[f"conv{name}"] = below
        expected[f"relu{name}"] = below = below.clamp_min(0)
        if name == "1_2":
            windows = below[..., :8, :].unflatten(2, (4, 2)).unflatten(4, (6, 2))
            expected["pool1"] = below = windows.amax((3, 5))
    found = build(state)(image, expected)
    assert list(found) == list(expected)
    for layer, features in expected.items():
        assert_close(found[layer], features)


def test_batch_normalisation_uses_the_files_statistics():
    state = {
        "features.0.weight": torch.rand(2, 3, 3, 3),
        "features.0.bias": torch.rand(2),
        "features.1.weight": torch.tensor([2.0, -1.0]),
        "features.1.bias": torch.tensor([0.5, 3.0]),
        "features.1.running_mean": torch.tensor([1.0, -2.0]),
        "features.1.running_var": torch.tensor([4.0, 0.25]),
    }
    backbone = build(state, "vgg11_bn")
    features = backbone(torch.rand(1, 3, 8, 8), ["conv1_1", "norm1_1", "relu1_1"])
    conv = features["conv1_1"]
    first = (conv[:, 0] - 1) / (4 + 1e-5) ** 0.5 * 2 + 0.5
    second = (conv[:, 1] + 2) / (0.25 + 1e-5) ** 0.5 * -1 + 3
    assert_close(features["norm1_1"], torch.stack([first, second], 1))
    assert_close(features["relu1_1"], features["norm1_1"].clamp_min(0))


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_padding_is_what_the_convolutions_see_beyond_the_edge(padding):
    state = toy_state(4, 5)
    backbone = build(state, padding=padding)
    image = torch.rand(1, 3, 6, 7)
    below = normalised(image)
    for index in (0, 2):
        padded = functional.pad(below, (1, 1, 1, 1), mode=padding)
        below = functional.conv2d(padded, state[f"features.{index}.weight"], state[f"features.{index}.bias"])
        below = below.clamp_min(0)
    assert_close(backbone(image, ["relu1_2"])["relu1_2"], below)


@pytest.mark.parametrize(("pooling", "factor"), [("average", 2.0), ("l2", 1.56)])
def test_rescaling_multiplies_at_each_pool(pooling, factor):
    image = torch.rand(1, 3, 8, 8)
    plain = build(toy_state(4, 4, 4), pooling=pooling)(image, ["pool1"])["pool1"]
    rescaled = build(toy_state(4, 4, 4), pooling=pooling, rescale=True)(image, ["pool1"])["pool1"]
    assert_close(rescaled, factor * plain)


def test_a_file_decides_the_widths_and_the_depth():
    backbone = build(toy_state(4, 5, 6, 7))
    assert backbone.layers[-1] == "pool2"
    assert [backbone.shapes[f"relu{n}"].channels for n in ("1_1", "1_2", "2_1", "2_2")] == [4, 5, 6, 7]
    with pytest.raises(
        WeightsError, match=r"^layer 'relu4_2' is not in toy\.safetensors, which ends at 'pool2'"
    ):
        backbone(torch.rand(1, 3, 16, 16), ["relu1_1", "relu4_2"])


def test_nothing_above_the_deepest_layer_is_computed():
    backbone = build(toy_state(4, 4, 4, 4, 4))
    for module in backbone.features[backbone.names.index("conv2_2") :]:
        for parameter in module.parameters():
            parameter.fill_(float("nan"))
    assert backbone(torch.rand(1, 3, 8, 8), ["relu2_1"])["relu2_1"].isfinite().all()
    assert backbone(torch.rand(1, 3, 8, 8), ["conv2_2"])["conv2_2"].isnan().all()


def test_a_gap_in_the_file_is_refused():
    state = toy_state(4, 4, 4, 4)
    del state["features.5.weight"]
    message = r"^toy\.safetensors is not a vgg19: it has keys that are not its own: features\.5\.bias, feat"
    with pytest.raises(WeightsError, match=message):
        build(state)


def test_the_constructor_makes_a_network_that_can_be_trained():
    student = VGG(
        vgg_layers("vgg19"),
        {"conv1_1": 2, "conv1_2": 3},
        preprocessing=Preprocessing.torchvision(),
        pooling="average",
        padding="replicate",
        rescale=False,
        source="a student",
    )
    assert student.layers == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1")
    student(torch.rand(1, 3, 4, 4), ["pool1"])["pool1"].sum().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_the_slim_network_is_a_quarter_as_wide():
    backbone = build_backbone(BackboneConfig(weights="random"))
    widths = {backbone.shapes[f"relu{block}_1"].channels for block in range(1, 6)}
    assert widths == {16, 32, 64, 128}
    # 1,252,880 weights: a sixteenth of VGG-19's 20,024,384.
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 1_252_880


@pytest.fixture(scope="module")
def photo(data_dir):
    from velatura.imaging import read_picture

    pixels = read_picture(data_dir / "images/content/golden_gate.jpg").pixels
    return functional.interpolate(pixels[None], (128, 160), mode="area")


@pytest.mark.data
def test_the_two_published_forms_of_vgg19_see_the_same(data_dir, photo):
    """The normalised VGG-19 is the original with every channel scaled (Gatys et al. 2016, section 2).

    One takes BGR in [0, 255] less a mean, the other RGB through its own convolution: with equal
    padding their features differ by one factor a channel, if and only if both are read right.
    """
    layers = ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]
    original, scaled = (
        build_backbone(
            BackboneConfig(name="vgg19", weights=str(data_dir / "weights" / file), padding="reflect")
        )(photo, layers)
        for file in ("vgg19_caffe_to_relu3_4.safetensors", "vgg19_normalised_to_relu3_1.safetensors")
    )
    for layer in layers:
        one, other = original[layer][0].flatten(1).double(), scaled[layer][0].flatten(1).double()
        factor = (one * other).sum(1, keepdim=True) / one.square().sum(1, keepdim=True).clamp_min(1e-9)
        assert_close(factor * one, other, rtol=1e-4, atol=1e-4)
        assert float(factor.max() / factor[factor > 0].min()) > 5, "the factors are not all alike"
        # "The mean activation of each convolutional filter over images and positions is equal to one."
        assert 0.5 < float(other.mean()) < 2


@pytest.mark.data
def test_the_distilled_network_reaches_relu5_1_through_its_own_convolution(data_dir, photo):
    path = data_dir / "weights/vgg19_collaborative_distilled_16x.safetensors"
    backbone = build_backbone(BackboneConfig(name="vgg19", weights=str(path)))
    assert backbone.layers[-1] == "relu5_1"
    assert backbone.features[0].padding_mode == "reflect"
    features = backbone(photo, ["relu1_1", "relu5_1"])
    assert features["relu5_1"].shape == (1, 128, 8, 10)
    assert features["relu5_1"].isfinite().all()
    # A hundred of its 128 channels tell places apart; the others are silent on this picture.
    assert int((features["relu5_1"].std((2, 3)) > 0.5).sum()) > 90
