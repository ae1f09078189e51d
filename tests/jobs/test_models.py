"""Trained networks by name, file and folder, and what is refused."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.rng import generator
from velatura.jobs.models import find_model, load_model, model_names
from velatura.networks import ModelRecord, networks, write_model


def test_by_name_by_file_and_by_the_folder_of_a_run(models, tmp_path):
    by_name = load_model("cin")
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(models / "cin.safetensors", run / "model.safetensors")
    for place in (models / "cin.safetensors", str(models / "cin.safetensors"), run, str(run)):
        model = load_model(place)
        assert model.style_names == ("waves", "mosaic", "hatching")
        assert model.sha256 == by_name.sha256
    assert by_name.styles == "many"
    assert by_name.network.num_styles == 3
    assert not by_name.network.training
    assert not any(parameter.requires_grad for parameter in by_name.network.parameters())


def test_what_was_written_is_what_is_loaded(models):
    network = networks["johnson"](width=4).build(num_styles=1, rng=generator(0, "johnson")).eval()
    picture = torch.rand(1, 3, 40, 33)
    with torch.no_grad():
        assert torch.equal(load_model("johnson").network(picture), network(picture))


def test_names(models, tmp_path):
    assert model_names() == ("adain-slim", "cin", "cin-samples", "johnson")
    save_file({"features.0.weight": torch.rand(4, 3, 3, 3)}, models / "backbone.safetensors")
    assert "backbone" not in model_names()
    with pytest.raises(ConfigError, match=r"unknown model 'cim'; did you mean 'cin'"):
        load_model("cim")


def test_one_that_should_ship_and_is_not_there(monkeypatch):
    monkeypatch.setattr("velatura.jobs.models.find", lambda name: None)
    with pytest.raises(WeightsError, match=r"cin-samples ships with Velatura, .* install it again"):
        find_model("cin-samples")


def test_no_such_file_and_a_folder_without_a_model(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot read model .*none.safetensors: No such file"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"holds no model.safetensors; expected the folder of a training"):
        load_model(tmp_path)


def test_a_pickle_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="a file that PyTorch pickled; it was not opened"):
        load_model(tmp_path / "net.pth")


def written(tmp_path, config, network, **record):
    write_model(tmp_path / "net.safetensors", network, ModelRecord(config=config, **record))
    return tmp_path / "net.safetensors"


def johnson(**settings):
    return networks["johnson"](width=2, **settings).build(num_styles=1, rng=generator(0, "test"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "johnsen", "width": 2}, "unknown network 'johnsen'; did you mean 'johnson'"),
        ({"name": "johnson", "widht": 2}, "unknown setting 'widht'; did you mean 'width'"),
        ({"name": "johnson", "width": 0}, "width: input should be greater than or equal to 1"),
        ({"name": "johnson", "width": 3}, r"down.0.conv.weight has shape \(2, 3, 9, 9\), not \(3, 3, 9, 9\)"),
        ({"name": "johnson", "width": 2, "norm": "instance"}, "has no place in it"),
    ],
)
def test_a_config_that_is_not_of_the_tensors(tmp_path, config, message):
    file = written(tmp_path, config, johnson())
    with pytest.raises(WeightsError, match=rf"^model .*net.safetensors: .*{message}"):
        load_model(file)


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("johnson", ("a", "b"), "it names 2 styles, and its network has one"),
        ("cin", (), "it names no styles, and its network has its own"),
        ("adain", ("a",), "it names 1 styles, and its network takes any"),
    ],
)
def test_styles_that_are_not_of_the_network(tmp_path, kind, names, message):
    config = networks[kind](**({} if kind == "adain" else {"width": 2}))
    network = config.build(num_styles=1, rng=generator(0, "test"))
    file = written(tmp_path, to_mapping(config), network, style_names=names, style_sha256=("0",) * len(names))
    with pytest.raises(WeightsError, match=message):
        load_model(file)


def test_an_encoder_that_it_was_not_trained_on(models, monkeypatch):
    assert load_model("adain-slim").record.encoder_sha256
    monkeypatch.setattr("velatura.networks.base.Network.encoder_sha256", "ab" * 32)
    with pytest.raises(WeightsError, match=r"trained on an encoder with the hash .* the one here has abab"):
        load_model("adain-slim")


def test_the_encoder_is_not_in_the_file(models):
    assert {name.partition(".")[0] for name in load_file(models / "adain-slim.safetensors")} == {"decoder"}


def test_the_weights_of_styles_by_name(models):
    model = load_model("cin")
    assert model.weights_of(("hatching", "waves"), (0.25, 0.75)) == [0.75, 0.0, 0.25]
    with pytest.raises(
        ConfigError, match=r"unknown style of cin.safetensors 'mosaik'; did you mean 'mosaic'"
    ):
        model.weights_of(("mosaik",), (1.0,))
    with pytest.raises(ConfigError, match="a style is named twice in waves, waves"):
        model.weights_of(("waves", "waves"), (0.5, 0.5))
