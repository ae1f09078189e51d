import pytest
import torch
from safetensors.torch import save_file

from velatura.core.errors import ConfigError, WeightsError
from velatura.core.files import sha256_file
from velatura.weights import load_weights, resolve
from velatura.weights.importing import import_weights
from velatura.weights.places import cache_folder


@pytest.fixture
def file(published, tmp_path):
    torch.save(published("vgg11"), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_an_imported_file_is_found_by_its_name(file, published, kept):
    weights = import_weights(file, "my-net", preprocessing="caffe")
    assert weights.path == resolve("my-net") == cache_folder() / "my-net.safetensors"
    assert weights.preprocessing == "caffe"
    assert weights.state.keys() == kept(published("vgg11")).keys()
    assert weights.metadata["velatura.source"] == "net.pth"
    assert weights.metadata["velatura.source_sha256"] == sha256_file(file)


def test_a_later_import_takes_the_place_of_the_former(file, published, tmp_path):
    import_weights(file, "my-net", preprocessing="caffe")
    torch.save(published("vgg13"), tmp_path / "other.pth")
    import_weights(tmp_path / "other.pth", "my-net", preprocessing="torchvision")
    assert load_weights(resolve("my-net")).architecture.names == ("vgg13",)


def test_a_name_of_the_catalogue_means_its_network_and_its_input(file):
    assert import_weights(file, "vgg11", preprocessing="torchvision").path.name == "vgg11.safetensors"
    complaint = "net.pth is a vgg11, and 'vgg13' names a vgg13; choose another name"
    with pytest.raises(WeightsError, match=complaint):
        import_weights(file, "vgg13", preprocessing="torchvision")
    complaint = "net.pth takes caffe input, and 'vgg11' names weights that take torchvision input"
    with pytest.raises(WeightsError, match=complaint):
        import_weights(file, "vgg11", preprocessing="caffe")


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "a" * 65, "a b"])
def test_a_name_must_be_good_for_a_file(file, name):
    with pytest.raises(ConfigError, match="cannot name weights; use letters, digits"):
        import_weights(file, name, preprocessing="caffe")


def test_what_ships_keeps_its_name(file):
    with pytest.raises(ConfigError, match="'vgg19-slim' is what ships with Velatura"):
        import_weights(file, "vgg19-slim", preprocessing="caffe")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("resnet18", "net.pth is a resnet18 of 2, 2, 4, 8, 16 channels, which no backbone builds"),
        ("resnet50", "net.pth is a resnet50 of 2, 8, 16, 32, 64 channels, which no backbone builds"),
        ("squeezenet1_1", "net.pth is a squeezenet1_1 of 4, 6, .* channels, which no backbone builds"),
    ],
)
def test_a_network_that_no_backbone_builds_is_refused_and_not_kept(published, tmp_path, name, complaint):
    torch.save(published(name), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=complaint):
        import_weights(tmp_path / "net.pth", "my-net", preprocessing="torchvision")
    assert not cache_folder().exists()


def test_tensors_without_a_place_are_named_and_nothing_is_kept(tmp_path):
    save_file({"decoder.weight": torch.ones(1)}, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"tensors without a place .*'decoder\.weight'"):
        import_weights(tmp_path / "net.safetensors", "my-net")
    assert not cache_folder().exists()
