"""Which preset a training starts from, and whose weights it takes."""

import pytest

from velatura.core.errors import ConfigError
from velatura.jobs.train import training


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("johnson", "johnson2016"),
        ("texture-net", "ulyanov2016"),
        ("cin", "dumoulin2017"),
        ("adain", "huang2017"),
        ("ulyanov2017", "ulyanov2017"),
    ],
)
def test_a_network_stands_for_the_preset_of_its_paper(name, preset):
    assert training(name)[0] == preset


def test_another_backbone_comes_with_its_own_weights():
    own = training("adain")[1]
    assert own.backbone.weights == own.network.backbone.weights == "vgg_normalised.pth"
    slim = {"backbone.name": "vgg19-slim", "network.backbone.name": "vgg19-slim"}
    changed = training("adain", changes=slim)[1]
    assert changed.backbone.weights == changed.network.backbone.weights == "native"
    named = training("adain", changes={**slim, "backbone.weights": "random"})[1]
    assert named.backbone.weights == "random"
    assert training("johnson", changes={"backbone.name": "vgg19-slim"})[1].backbone.weights == "native"


def test_a_name_that_nobody_knows():
    with pytest.raises(
        ConfigError, match="unknown training preset or network 'jonson'; did you mean 'johnson'"
    ):
        training("jonson")
    with pytest.raises(ConfigError, match="preset 'fast' optimises a picture"):
        training("fast")
