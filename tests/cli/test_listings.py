"""What there is: presets and parts, in columns that a pipe does not cut."""

import json

import pytest

from velatura.backbones import backbones
from velatura.cli.tables import show_table
from velatura.colors import colors
from velatura.initializations import initializations
from velatura.losses import losses
from velatura.metrics import metrics
from velatura.networks import networks
from velatura.optimizers import optimizers
from velatura.presets import load_preset, preset_names


def test_presets_are_listed_with_their_titles(velatura):
    lines = velatura("presets").out.splitlines()
    assert [line.split()[0] for line in lines] == list(preset_names())
    assert all(load_preset(line.split()[0]).title in line for line in lines)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_shown_with_every_value_and_its_source(velatura, name):
    preset, out = load_preset(name), velatura("presets", "show", name).out
    assert out.startswith(f"{name}: {preset.title}\n{preset.source}\n\n")
    table = out.split("\n\n", 1)[1]
    words = " ".join(table.split())
    lines = iter(table.splitlines())
    assert next(lines).split() == ["setting", "value", "source"]
    for path, value, source in preset.rows():
        shown = value if isinstance(value, str) else json.dumps(value)
        line = next(line for line in lines if line.startswith(f"{path} "))
        assert line.split(maxsplit=1)[1].startswith(shown)
        assert source in words
    assert "…" not in out
    assert max(map(len, table.splitlines())) <= 120


def test_columns_stay_whole_and_the_last_one_is_wrapped(capsys):
    rows = [("a" * 50, "[b]1[/b]", "word " * 60), ("c", "d" * 30, "x" * 200)]
    show_table(("one", "two", "three"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["one", "two", "three"]
    assert lines[1].startswith("a" * 50 + "  [b]1[/b]")
    assert max(map(len, lines)) <= 120
    assert "\n".join(lines).count("word") == 60
    assert "".join(lines).count("x") == 200


@pytest.mark.parametrize(
    ("command", "registry"),
    [
        ("losses", losses),
        ("metrics", metrics),
        ("optimizers", optimizers),
        ("initializations", initializations),
        ("colors", colors),
        ("networks", networks),
    ],
)
def test_parts_are_listed_in_plain_words_with_their_settings(velatura, command, registry):
    answer = velatura(command)
    assert (answer.status, answer.err) == (0, "")
    heads = [line for line in answer.out.splitlines() if not line.startswith(" ")]
    assert [head.partition(":")[0] for head in heads] == list(registry)
    for head in heads:
        text = head.partition(": ")[2]
        assert text.endswith(".")
        assert not set("\\`$") & set(text), text
        assert ":math:" not in text
    assert "(required)" not in answer.out


def test_a_setting_is_shown_with_its_default_unit_and_range(velatura):
    lines = [line.strip() for line in velatura("optimizers").out.splitlines()]
    assert "lr = 0.03  Step size (of the pixel range [0, 1], above 0)" in lines


def test_a_metric_is_listed_with_unit_direction_and_source(velatura):
    lines = velatura("metrics").out.splitlines()
    for name in metrics:
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{name}: "))
        better = {"lower": "lower is better", "higher": "higher is better", "one": "best near 1"}
        assert lines[at + 1] == f"    {better[metrics[name].direction]}; {metrics[name].unit}"
        assert lines[at + 2] == f"    source: {metrics[name].source}"
    assert lines.count("    needs torchmetrics (the extra eval)") == 2


def test_a_network_is_listed_with_how_many_styles_it_knows(velatura):
    lines = velatura("networks").out.splitlines()
    knows = {
        "one": "one style, trained in",
        "many": "many styles, trained in",
        "any": "any style, from its picture",
    }
    for name in networks:
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{name}: "))
        assert lines[at + 1] == f"    {knows[networks[name].styles]}"


def test_backbones_are_listed(velatura):
    assert velatura("backbones").out.splitlines() == list(backbones)


def test_the_layers_of_a_backbone_are_shown_with_their_geometry(velatura):
    lines = velatura("backbones", "vgg19-slim").out.splitlines()
    header = "layer channels stride receptive field smallest input"
    assert " ".join(lines[0].split()) == header
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    # Two 3x3 convolutions see 5x5 pixels; after a 2x2 pool, a third sees 10x10 (Araujo et al. 2019).
    assert rows["relu1_2"][1:3] == ["1", "5"]
    assert rows["relu2_1"][1:3] == ["2", "10"]
    assert rows["relu5_1"][1] == "16"


def test_an_unknown_backbone_is_answered_with_the_nearest(refused):
    assert refused("backbones", "vgg91").startswith("unknown backbone 'vgg91'; did you mean 'vgg19")


def test_an_unknown_preset_is_answered_with_the_nearest(refused):
    assert refused("presets", "show", "fats").startswith("unknown preset 'fats'; did you mean 'fast'?")
