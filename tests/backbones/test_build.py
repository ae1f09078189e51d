import dataclasses

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from velatura.backbones import VGG, BackboneConfig, build_backbone
from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.files import sha256_file


@pytest.fixture(autouse=True)
def no_other_weights(tmp_path, monkeypatch):
    """Weights are found in ``tmp_path`` alone, and nothing is fetched."""
    monkeypatch.setenv("VELATURA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("VELATURA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VELATURA_OFFLINE", "1")


def write(path, *, width=4, **metadata):
    """The first block of a narrow VGG-19."""
    state = {}
    for index, incoming in ((0, 3), (2, width)):
        state[f"features.{index}.weight"] = torch.randn(width, incoming, 3, 3) / 3
        state[f"features.{index}.bias"] = torch.randn(width)
    save_file(state, path, {f"velatura.{key}": value for key, value in metadata.items()})
    return path


def pools_of(backbone):
    return [module for module in backbone.modules() if type(module).__name__ == "Pool"]


def paddings_of(backbone):
    return {module.padding_mode for module in backbone.modules() if isinstance(module, nn.Conv2d)}


def test_random_weights_are_torchvisions_network_untrained():
    backbone = build_backbone(BackboneConfig(name="vgg19-slim", weights="random"))
    assert isinstance(backbone, VGG)
    assert {pool.kind for pool in pools_of(backbone)} == {"max"}
    assert paddings_of(backbone) == {"zeros"}
    assert_close(backbone.preprocessing.offset, -torch.tensor([0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225]))
    assert (backbone.source, backbone.weights_sha256) == ("random weights", None)
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_the_seed_decides_random_weights():
    first, same, other = (
        build_backbone(BackboneConfig(weights="random"), seed=seed).features[0].weight for seed in (3, 3, 4)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["vgg19-slim", "resnet18", "squeezenet1_1"])
def test_building_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    build_backbone(BackboneConfig(name=name, weights="random"))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_file_brings_its_own_pooling_padding_and_preprocessing(tmp_path):
    path = write(tmp_path / "my.safetensors", preprocessing="caffe", padding="replicate", pooling="average")
    backbone = build_backbone(BackboneConfig(name="vgg19", weights=str(path)))
    assert pools_of(backbone)[0].kind == "average"
    assert paddings_of(backbone) == {"replicate"}
    assert_close(backbone.preprocessing.offset, -torch.tensor([103.939, 116.779, 123.68]))
    assert backbone.source == "my.safetensors"
    assert backbone.weights_sha256 == sha256_file(path)


def test_what_the_config_says_goes_before_the_file(tmp_path):
    path = write(tmp_path / "my.safetensors", preprocessing="torchvision", padding="zeros", pooling="max")
    config = BackboneConfig(
        name="vgg19",
        weights=str(path),
        pooling="l2",
        padding="reflect",
        rescale=True,
        preprocessing="torchvision",
    )
    backbone = build_backbone(config)
    assert (pools_of(backbone)[0].kind, pools_of(backbone)[0].gain) == ("l2", 1.56)
    assert paddings_of(backbone) == {"reflect"}


def test_native_weights_are_those_named_like_the_architecture(tmp_path):
    write(tmp_path / "vgg19-slim.safetensors", preprocessing="torchvision", pooling="average")
    write(tmp_path / "mine.safetensors", width=5, preprocessing="torchvision")
    assert build_backbone(BackboneConfig()).source == "vgg19-slim.safetensors"
    assert build_backbone(BackboneConfig()).shapes["relu1_1"].channels == 4
    by_name = build_backbone(BackboneConfig(weights="mine"))
    assert (by_name.source, by_name.shapes["relu1_1"].channels) == ("mine.safetensors", 5)


def test_a_file_that_does_not_say_its_input_is_told(tmp_path):
    path = write(tmp_path / "silent.safetensors")
    config = BackboneConfig(name="vgg19", weights=str(path))
    with pytest.raises(
        WeightsError, match=r"^weights silent\.safetensors: .*preprocessing= one of torchvision"
    ):
        build_backbone(config)
    told = build_backbone(dataclasses.replace(config, preprocessing="caffe"))
    assert_close(told.preprocessing.matrix, 255 * torch.eye(3).flip(0))


def test_a_file_that_is_contradicted_is_refused(tmp_path):
    path = write(tmp_path / "my.safetensors", preprocessing="torchvision")
    with pytest.raises(WeightsError, match=r"its preprocessing is contradicted: .* torchvision, .* caffe"):
        build_backbone(BackboneConfig(name="vgg19", weights=str(path), preprocessing="caffe"))


def test_another_architectures_file_names_its_keys(tmp_path):
    path = write(tmp_path / "my.safetensors", preprocessing="torchvision")
    message = (
        r"^my\.safetensors is not a resnet18: it lacks conv1\.weight; "
        r"it has features\.0\.bias, features\.0\.weight, features\.2\.bias and 1 more; "
        r"it fits --backbone vgg13 or vgg16 or vgg19$"
    )
    with pytest.raises(WeightsError, match=message):
        build_backbone(BackboneConfig(name="resnet18", weights=str(path)))


def test_another_networks_file_of_the_same_kind_names_its_backbone(tmp_path):
    path = tmp_path / "my.safetensors"
    narrow = build_backbone(BackboneConfig(name="vgg16_bn", weights="random")).state_dict()
    widths = {key: tuple(2 if size > 3 else size for size in tensor.shape) for key, tensor in narrow.items()}
    state = {key: torch.ones(shape) for key, shape in widths.items() if "num_batches" not in key}
    save_file(state, path, {"velatura.preprocessing": "torchvision"})
    with pytest.raises(WeightsError, match=r"is not a vgg16: it has keys .*; it fits --backbone vgg16_bn$"):
        build_backbone(BackboneConfig(name="vgg16", weights=str(path)))


def test_weights_that_are_not_here_are_said_so():
    with pytest.raises(WeightsError, match=r"^weights vgg19 are not here.* put vgg19-dcbb9e9d\.pth"):
        build_backbone(BackboneConfig(name="vgg19"))
    with pytest.raises(WeightsError, match=r"^no weights file .*nowhere\.pth$"):
        build_backbone(BackboneConfig(name="vgg19", weights="nowhere.pth"))
    with pytest.raises(ConfigError, match=r"^unknown weights 'vgg91'; did you mean 'vgg19'\?"):
        build_backbone(BackboneConfig(name="vgg19", weights="vgg91"))


def test_an_unknown_architecture_is_answered_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"^unknown backbone 'resnet5'; did you mean 'resnet50'\? \(known: re"
    ):
        build_backbone(BackboneConfig(name="resnet5"))


def test_random_weights_refuse_a_preprocessing_that_they_would_not_use():
    config = BackboneConfig(weights="random", preprocessing="caffe")
    with pytest.raises(ConfigError, match=r"^random weights take torchvision's preprocessing; leave"):
        build_backbone(config)
    build_backbone(dataclasses.replace(config, preprocessing="torchvision"))


@pytest.mark.parametrize(("trained", "pooling"), [("max", "native"), ("max", "max"), ("average", "l2")])
def test_rescaling_without_effect_or_reason_is_refused(tmp_path, trained, pooling):
    path = write(tmp_path / "my.safetensors", preprocessing="torchvision", pooling=trained)
    config = BackboneConfig(name="vgg19", weights=str(path), pooling=pooling, rescale=True)
    message = f"^rescale needs average or l2 pooling in the place of max; .* trained with {trained} pooling"
    with pytest.raises(ConfigError, match=message):
        build_backbone(config)


def test_a_config_is_made_again_from_its_mapping():
    config = BackboneConfig(
        name="resnet50", weights="random", pooling="average", padding="reflect", rescale=True
    )
    mapping = to_mapping(config)
    assert mapping == {
        "name": "resnet50",
        "weights": "random",
        "pooling": "average",
        "rescale": True,
        "padding": "reflect",
        "preprocessing": "native",
        "wrap": "none",
    }
    assert BackboneConfig(**mapping) == config
