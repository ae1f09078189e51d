"""``--style-size``, ``--style-scale``, ``--style-layers``, ``--content-layers`` and ``--fine-style``."""

import json

import pytest

from velatura.cli.styles import layer_weights
from velatura.core.errors import ConfigError

QUICK = ("--set", "pyramid.smallest=0", "--size", "40", "-q")


def test_layers_with_and_without_weights():
    assert layer_weights("style-layers", "relu1_1=4, relu2_1") == {"relu1_1": 4.0, "relu2_1": 1.0}
    assert layer_weights("style-layers", None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("relu1_1=x", "expected a number behind 'relu1_1=', not 'x'"),
        ("relu1_1=1,", "expected LAYER=WEIGHT with commas between them"),
        ("relu1_1=1,relu1_1=2", "names relu1_1 twice"),
    ],
)
def test_layers_that_cannot_be_read(text, message):
    with pytest.raises(ConfigError, match=message):
        layer_weights("style-layers", text)


def test_the_options_are_settings_of_the_method(stylize, tmp_path):
    record = tmp_path / "record.json"
    words = ("--style-layers", "relu1_1=4,relu2_1", "--content-layers", "relu2_2", "--style-size", 48)
    assert stylize(*words, "--record", record, *QUICK).status == 0
    method = json.loads(record.read_text())["stylization"]["method"]
    assert method["terms"]["style"]["layers"] == {"relu1_1": 4.0, "relu2_1": 1.0}
    assert method["terms"]["content"]["layers"] == {"relu2_2": 1.0}
    assert method["style_size"] == 48


def test_a_fine_style_is_read_and_recorded(stylize, photo, tmp_path):
    record = tmp_path / "record.json"
    words = ("--fine-style", photo, "--set", "fine.steps=2", "--record", record)
    assert stylize(*words, *QUICK).status == 0
    written = json.loads(record.read_text())
    assert written["job"]["fine"] == str(photo)
    assert "fine_style" in written["pictures"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--style-layers", "relu9_1"), "relu9_1"),
        (("--style-size", 64, "--style-scale", 2), "both say how large the painting is looked at"),
        (("--style-size", 0), "style_size"),
        (("--style-scale", 2, "--preset", "instant"), "is a setting of an optimisation"),
        (("--style-layers", "relu1_1", "--set", "terms.style.layers={relu2_1=1}"), "is set twice"),
    ],
)
def test_options_that_do_not_fit(velatura, photo, painting, tmp_path, words, message):
    answer = velatura("stylize", photo, painting, "-o", tmp_path / "out.png", "--size", 40, *words)
    assert answer.status == 2
    assert message in answer.err


def test_apply_places_styles_by_masks(velatura, photo, tmp_path):
    out = tmp_path / "out.png"
    words = ("--mask", "rest=mosaic", "--protect", photo)
    assert velatura("apply", "cin-samples", photo, "-o", out, *words).status == 0
    assert out.exists()
