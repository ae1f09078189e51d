"""Checkpoints of training scripts: a state dict beside other things, which are never run."""

import pickle
from pathlib import Path

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone, resnet
from velatura.core.errors import WeightsError
from velatura.weights import load_weights, resolve
from velatura.weights.catalogue import entry_named
from velatura.weights.fetch import fetch
from velatura.weights.importing import import_weights


class Schedule:
    """What a training script left in its checkpoint; reading it back the usual way makes a folder."""

    was_read = "was_read"

    def __reduce__(self):
        return compiled, (Code(),), {"milestones": [30, 60]}


class Code:
    def __reduce__(self):
        return compiled, (15, b"\x64\x00", "lambda epoch")


def compiled(*_):
    Path(Schedule.was_read).mkdir(exist_ok=True)
    return Schedule()


def robustness_checkpoint(state):
    """The layout of the "robustness" library: a network, its attacker's copy, two normalisers."""
    network = {
        f"module.{who}.{name}": tensor
        for who in ("model", "attacker.model")
        for name, tensor in state.items()
    }
    for who in ("normalizer", "attacker.normalize"):
        network[f"module.{who}.new_mean"] = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        network[f"module.{who}.new_std"] = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    return {"model": network, "optimizer": {"lr": 0.1}, "schedule": Schedule(), "epoch": 91}


@pytest.fixture
def whole_resnet50():
    """A ResNet-50 as torchvision publishes it, at full width and with the head, random."""
    network = build_backbone(BackboneConfig(name="resnet50", weights="random"))
    assert isinstance(network, resnet.ResNet)
    generator = torch.Generator().manual_seed(1)
    state = {
        name: torch.rand(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    return state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


def test_the_robust_resnet50_of_saric_is_imported_under_its_name(whole_resnet50, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(robustness_checkpoint(whole_resnet50), "imagenet_l2_3_0.pt")
    weights = import_weights("imagenet_l2_3_0.pt", "resnet50-robust")
    assert not (tmp_path / Schedule.was_read).exists()
    assert (weights.style, weights.prefixes) == ("robustness", ("module.", "model."))
    assert weights.architecture.names == ("resnet50",)
    assert weights.architecture.complete
    assert weights.preprocessing == "torchvision"
    assert weights.convention_from == "its own normaliser"
    assert {what: len(names) for what, names in weights.left_out.items()} == {
        "classifier": 2,
        "counters of the normalisations": 53,
        "the attacker's copy of the network": 320 + 2,
        "optimizer": 0,
        "schedule": 0,
        "epoch": 0,
    }
    backbone = build_backbone(BackboneConfig(name="resnet50", weights="resnet50-robust"))
    assert torch.equal(
        backbone.state_dict()["layer4.2.conv3.weight"], whole_resnet50["layer4.2.conv3.weight"]
    )
    image = torch.rand(1, 3, 64, 64)
    assert backbone(image, ["layer2"])["layer2"].shape == (1, 512, 8, 8)


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])
def test_what_lies_beside_the_state_dict_is_named_and_not_run(published, tmp_path, monkeypatch, archive):
    monkeypatch.chdir(tmp_path)
    checkpoint = robustness_checkpoint(published("resnet18"))
    torch.save(checkpoint, "net.pt", _use_new_zipfile_serialization=archive)
    weights = load_weights("net.pt")
    assert not (tmp_path / Schedule.was_read).exists()
    assert {"optimizer", "schedule", "epoch"} <= weights.left_out.keys()
    # The usual way runs it.
    torch.load("net.pt", weights_only=False)
    assert (tmp_path / Schedule.was_read).exists()


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])
def test_what_lies_inside_the_state_dict_is_refused(published, tmp_path, archive):
    state = {**published("resnet18"), "extra": Schedule()}
    torch.save({"state_dict": state}, tmp_path / "net.pt", _use_new_zipfile_serialization=archive)
    with pytest.raises(WeightsError, match=r"net.pt: refused: .* nothing in it was run"):
        load_weights(tmp_path / "net.pt")


def test_a_plain_pickle_with_code_is_refused(tmp_path):
    (tmp_path / "net.pt").write_bytes(pickle.dumps({"model": {}, "schedule": Schedule()}, protocol=2))
    with pytest.raises(WeightsError, match=r"refused|damaged"):
        load_weights(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("name", "page", "file"),
    [
        ("resnet50-robust", "https://github.com/MadryLab/robustness#pretrained-models", "imagenet_l2_3_0.pt"),
        (
            "vgg16_bn-robust",
            "https://huggingface.co/madrylab/robust-imagenet-models",
            "vgg16_bn_l2_eps3.ckpt",
        ),
    ],
)
def test_weights_to_be_fetched_by_hand_say_where_they_are(name, page, file):
    complaint = rf"{name} are not here; put {file} \(no hash of it is published, from {page}\) into "
    with pytest.raises(WeightsError, match=complaint):
        resolve(name)
    with pytest.raises(WeightsError, match=rf"{name} cannot be fetched, .*put {file} "):
        fetch(entry_named(name))


def test_the_published_file_is_found_in_the_given_folder(published, tmp_path, monkeypatch):
    torch.save(
        robustness_checkpoint(published("resnet18")) | {"schedule": None}, tmp_path / "resnet18_l2_eps3.ckpt"
    )
    monkeypatch.setenv("VELATURA_WEIGHTS", str(tmp_path))
    assert resolve("resnet18-robust") == tmp_path / "resnet18_l2_eps3.ckpt"
    assert load_weights(resolve("resnet18-robust")).architecture.names == ("resnet18",)
