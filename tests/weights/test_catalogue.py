import re

import pytest

from velatura.core.errors import ConfigError
from velatura.weights.catalogue import catalogue, entry_named, official_entry

OFFICIAL = [name for name, entry in catalogue().items() if not entry.shipped and not entry.page]
BY_HAND = {name: entry for name, entry in catalogue().items() if entry.page}

# Numbers of the convolutions and normalisations, from the published counts without the classifiers:
# VGG-19 has 143,667,240 numbers, of which 123,642,856 are in its three dense layers.
KEPT_NUMBERS = {
    "vgg16": 138_357_544 - 123_642_856,
    "vgg19": 143_667_240 - 123_642_856,
    "resnet18": 11_689_512 - 513_000 + 9_600,
    "resnet50": 25_557_032 - 2_049_000 + 53_120,
    "squeezenet1_1": 1_235_496 - 513_000,
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_published_names_carry_the_hash(name):
    entry = entry_named(name)
    for file, sha256 in entry.files.items():
        assert re.fullmatch(rf"[a-z0-9_]+-{sha256}\.pth", file)
        assert re.fullmatch("[0-9a-f]{8}", sha256)
    assert entry.url.endswith(f"/{entry.file}")
    assert entry.sha256 in entry.url


@pytest.mark.parametrize("name", OFFICIAL)
def test_everything_comes_over_https_with_licence_and_conventions(name):
    entry = entry_named(name)
    assert entry.url.startswith("https://")
    assert entry.safetensors_url.startswith("https://") or not entry.safetensors_url
    assert entry.licence
    assert entry.preprocessing == ("caffe" if "caffe" in name else "torchvision")
    assert (entry.padding, entry.pooling) == ("zeros", "max")


@pytest.mark.parametrize(("name", "numbers"), KEPT_NUMBERS.items())
def test_kept_size_is_the_published_count_without_the_classifier(name, numbers):
    assert entry_named(name).kept_mib == pytest.approx(4 * numbers / 2**20, abs=0.06)


def test_no_two_files_share_a_hash():
    hashes = [sha256 for entry in catalogue().values() for sha256 in entry.files.values() if sha256]
    assert len(hashes) == len(set(hashes))


def test_a_published_file_is_known_by_its_hash_and_by_the_hash_of_its_older_form():
    entry = official_entry("8a719046" + 56 * "0")
    assert entry is not None
    assert entry.name == "vgg11"
    assert official_entry("bbd30ac9" + 56 * "0") is entry
    assert official_entry(64 * "0") is None


def test_robust_networks_are_named_by_their_page_and_are_no_other_file():
    assert {name: entry.file for name, entry in BY_HAND.items()} == {
        "resnet50-robust": "imagenet_l2_3_0.pt",
        "resnet18-robust": "resnet18_l2_eps3.ckpt",
        "resnet50-robust-transfer": "resnet50_l2_eps3.ckpt",
        "vgg16_bn-robust": "vgg16_bn_l2_eps3.ckpt",
    }
    for entry in BY_HAND.values():
        assert entry.page.startswith("https://")
        assert (entry.url, entry.safetensors_url, entry.sha256) == ("", "", "")
        assert (entry.licence, entry.preprocessing) == ("MIT", "torchvision")
        # An empty hash is the beginning of every hash.
        assert official_entry(64 * "0") is None


def test_unknown_weights_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown weights 'vgg19-slm'; did you mean 'vgg19-slim'"):
        entry_named("vgg19-slm")
