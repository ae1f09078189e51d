"""The real networks: what each file says of itself, and that its numbers are the ones it is known for."""

import pytest
import torch
from torch.nn import functional

from velatura.core.errors import WeightsError
from velatura.core.vgg_layout import vgg_layers
from velatura.weights import load_weights
from velatura.weights.importing import import_weights

pytestmark = pytest.mark.data


@pytest.fixture
def load(data_dir):
    return lambda name: load_weights(data_dir / "weights" / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("name", "networks", "deepest", "preprocessing", "padding", "tensors"),
    [
        ("vgg19_caffe_to_relu3_4", ("vgg19",), "relu3_4", "caffe", "zeros", 16),
        ("vgg19_normalised_to_relu3_1", ("vgg13", "vgg16", "vgg19"), "relu3_1", "inner", "reflect", 12),
        ("vgg19_collaborative_distilled_16x", ("vgg19",), "relu5_1", "inner", "reflect", 28),
        ("resnet18_bnfolded_to_layer3", ("resnet18",), "layer3", "torchvision", "zeros", 30),
        ("resnet20_cifar10", ("resnet with 3-3-3 basic blocks",), "layer3", "torchvision", "zeros", 95),
    ],
)
def test_what_each_file_is(load, name, networks, deepest, preprocessing, padding, tensors):
    weights = load(name)
    assert weights.architecture.names == networks
    assert weights.architecture.deepest == deepest
    assert weights.preprocessing == preprocessing
    assert (weights.padding, weights.pooling) == (padding, "max")
    assert len(weights.state) == tensors
    assert len(weights.sha256) == 64


def test_the_distilled_network_has_a_heads_width_of_vgg19_at_each_first_layer(load):
    weights = load("vgg19_collaborative_distilled_16x")
    assert weights.architecture.widths == (16, 16, 32, 32, 64, 64, 64, 64, 128, 128, 128, 128, 128)
    widths = {layer: tuple(weight.shape[:2]) for layer, (weight, _) in weights.heads.items()}
    assert widths == {
        "relu1_1": (64, 16),
        "relu2_1": (128, 32),
        "relu3_1": (256, 64),
        "relu4_1": (512, 128),
        "relu5_1": (512, 128),
    }


def features(weights, image):
    """Activations of the last layer, by the plainest loop over the layers."""
    if "preprocess.weight" in weights.state:
        image = functional.conv2d(image, weights.state["preprocess.weight"], weights.state["preprocess.bias"])
    mode = {"zeros": "constant", "reflect": "reflect"}[weights.padding]
    for index, layer in enumerate(vgg_layers("vgg19")):
        if layer.startswith("conv"):
            if f"features.{index}.weight" not in weights.state:
                return image
            weight, bias = (weights.state[f"features.{index}.{part}"] for part in ("weight", "bias"))
            image = functional.relu(
                functional.conv2d(functional.pad(image, (1, 1, 1, 1), mode=mode), weight, bias)
            )
        elif layer.startswith("pool"):
            image = functional.max_pool2d(image, 2)
    return image


@pytest.fixture
def photo(data_dir):
    image = pytest.importorskip("PIL.Image")
    numpy = pytest.importorskip("numpy")
    file = sorted((data_dir / "images" / "train_content").rglob("*.jpg"))[0]
    with image.open(file) as picture:
        pixels = numpy.asarray(picture.convert("RGB").resize((128, 128)))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


def test_the_normalised_network_has_activations_of_mean_one(load, photo):
    # Gatys et al. 2016 scaled each filter to a mean activation of 1 over images and positions.
    found = features(load("vgg19_normalised_to_relu3_1"), photo)
    assert 0.3 < float(found.mean()) < 3


def test_the_caffe_network_sees_more_in_its_own_input_than_in_another(load, photo):
    # The 64 first filters of VGG are edges and colours, without a mean: a wrong range shows at once.
    weights = load("vgg19_caffe_to_relu3_4")
    means = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    right = features(weights, photo.flip(1) * 255 - means)
    wrong = features(weights, photo)
    assert float(right.mean()) > 10 * float(wrong.mean())


def test_an_imported_real_file_is_the_same_network(data_dir, photo):
    source = data_dir / "weights" / "vgg19_normalised_to_relu3_1.safetensors"
    imported = import_weights(source, "gatys-normalised")
    assert torch.equal(features(imported, photo), features(load_weights(source), photo))
    assert (imported.preprocessing, imported.padding) == ("inner", "reflect")


def test_a_network_for_cifar_is_not_taken_into_the_cache(data_dir):
    # It is whole, and no backbone builds it.
    complaint = "is a resnet with 3-3-3 basic blocks of 16, 16, 32, 64 channels, which no backbone builds"
    with pytest.raises(WeightsError, match=complaint):
        import_weights(data_dir / "weights" / "resnet20_cifar10.safetensors", "resnet20")
