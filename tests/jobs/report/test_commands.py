"""The command on the page makes the same settings again."""

import itertools
import json
import re
import shlex

import pytest

from velatura.core.config import to_mapping
from velatura.jobs.dream import DreamJob, dreaming
from velatura.jobs.reconstruct import ReconstructJob, reconstruction
from velatura.jobs.report.commands import picture_again, train_again
from velatura.jobs.schema import parse_assignment
from velatura.jobs.stylization import stylization
from velatura.jobs.stylize import StylizeJob
from velatura.jobs.train import training
from velatura.presets import preset_names


def record_of(how, *, content="photo.jpg", styles=("painting.jpg",), output="out.png", saving=None):
    job = StylizeJob(content=content, styles=styles, output=output, stylization=how)
    record = {"job": to_mapping(job), "stylization": to_mapping(how), "pictures": {}}
    record["job"]["saving"] |= saving or {}
    return json.loads(json.dumps(record))


def settings_in(command):
    """Preset and changes as ``velatura stylize`` reads them, by hand."""
    words = shlex.split(command)
    pairs = list(itertools.pairwise(words))
    preset = next(value for name, value in pairs if name == "--preset")
    return preset, dict(parse_assignment(value) for name, value in pairs if name == "--set")


@pytest.mark.parametrize("preset", preset_names("method"))
def test_a_preset_as_it_is_needs_nothing_but_its_name(preset):
    again = picture_again(record_of(stylization(preset)))
    assert again.command == f"velatura stylize photo.jpg painting.jpg -o out.png --preset {preset}"
    assert (again.changes, again.notes) == ((), ())


CHANGES = [
    {"optimizer.lr": 0.5},
    {"optimizer.name": "adam", "optimizer.lr": 0.07},
    {"optimizer.name": "adam"},
    {"terms.style.layers": {"relu1_1": 1, "relu2_1": 0.5}},
    {"terms.style.layers.relu1_1": 7.5},
    {"terms.style.loss.name": "gram", "terms.style.loss.reduction": "mean"},
    {"terms.style.loss": {"name": "moments"}},
    {"pyramid.steps": [3, 2], "pyramid.smallest": 64},
    {"initialization.name": "uniform"},
    {"initialization.name": "picture", "initialization.path": "a b 'c'.png"},
    {"backbone.name": "vgg16", "backbone.weights": "random", "backbone.pooling": "max"},
    {"iterates.stop_below": 0.01},
    {"iterates.stop_below": 0.01, "iterates.stop_window": 7},
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
@pytest.mark.parametrize("preset", ["fast", "gatys2016"])
def test_changes_come_out_of_the_command_as_they_went_in(preset, changes):
    how = stylization(preset, changes=changes)
    again = picture_again(record_of(how))
    assert again.notes == ()
    name, found = settings_in(again.command)
    assert stylization(name, changes=found) == how


def test_other_options_are_options():
    how = stylization(
        "fast", size=300, strength=1.5, blend=(0.7, 0.3), seed=7, device="cpu", precision="float32", threads=2
    )
    record = record_of(how, styles=("a.jpg", "b.jpg"), saving={"history": "l.json", "quality": 80})
    words = shlex.split(picture_again(record).command)
    assert words[:5] == ["velatura", "stylize", "photo.jpg", "a.jpg", "b.jpg"]
    options = dict(zip(words[5::2], words[6::2], strict=True))
    expected = (
        "-o out.png --preset fast --size 300 --strength 1.5 --blend 0.7,0.3 --seed 7 --device cpu "
        "--precision float32 --threads 2 --history l.json --quality 80"
    )
    assert options == dict(re.findall(r"(\S+) (\S+)", expected))
    changes = {change.path: (change.value, change.preset) for change in picture_again(record).changes}
    assert changes["strength"] == (1.5, 1.0)
    assert changes["size"] == (300, None)


@pytest.mark.parametrize(
    ("color", "words"),
    [
        ("luminance", ["--color", "luminance"]),
        (
            {"name": "luminance", "palette": 0.5, "space": "yiq"},
            ["--palette", "0.5", "--set", "color.space=yiq"],
        ),
        ({"name": "match-pca", "epsilon": 1e-3}, ["--set", "color.epsilon=0.001"]),
    ],
)
def test_the_colour_mode_is_in_the_command(color, words):
    again = picture_again(record_of(stylization(color=color)))
    assert again.notes == ()
    told = shlex.split(again.command)
    assert all(word in told for word in ["--color", *words])
    assert again.changes[0].path == "color.name"


def test_records_of_before_there_were_colour_modes():
    """A network's own setting ``colors`` was all there was."""
    for colors, option in (("style", []), ("photo", ["--color", "match-monge"])):
        record = record_of(stylization("instant"))
        del record["stylization"]["color"]
        record["stylization"]["method"]["colors"] = colors
        again = picture_again(record)
        assert again.notes == ()
        assert shlex.split(again.command)[6:] == ["--preset", "instant", *option]


def test_names_are_quoted_for_the_shell_and_never_become_options():
    record = record_of(stylization(), content="-rf.png", styles=("$(reboot).jpg", "a'b.jpg"))
    words = shlex.split(picture_again(record).command)
    assert words[words.index("--") + 1 :] == ["-rf.png", "$(reboot).jpg", "a'b.jpg"]
    assert "'$(reboot).jpg'" in picture_again(record).command


def test_without_file_names_there_is_no_command():
    record = record_of(stylization())
    del record["job"]
    again = picture_again(record)
    assert again.command is None
    assert again.notes == (
        "the record has no file names: the picture was made in Python, so no command can be given",
    )


@pytest.mark.parametrize(
    ("path", "value"), [("preset", "fastt"), ("seed", -1), ("preset", None), ("size", "large")]
)
def test_settings_that_this_version_does_not_know_are_said(path, value):
    record = record_of(stylization())
    record["stylization"][path] = value
    record["versions"] = {"velatura": "9.9"}
    again = picture_again(record)
    assert again.command is None
    assert "this version cannot take these settings" in again.notes[0]
    assert "9.9" in again.notes[0]


def test_a_setting_that_is_gone_is_not_passed_over():
    record = record_of(stylization())
    record["stylization"]["method"]["gone"] = 3
    again = picture_again(record)
    assert again.notes
    assert again.command is None or "other settings" in again.notes[0]


@pytest.mark.parametrize("preset", preset_names("training"))
def test_a_training_likewise(preset):
    changes = {"steps": 7, "seed": 3}
    settings = to_mapping(training(preset, changes=changes)[1])
    steps = settings.pop("steps")
    record = json.loads(json.dumps({"training": settings, "steps": steps, "preset": preset}))
    again = train_again(record, "johnson")
    command, options = again.command.split(" -o RUN ")
    assert command == f"velatura train {preset} --content PHOTOGRAPHS --styles PAINTINGS"
    assert sorted(f" {options}".split(" --")) == ["", "seed 3", "steps 7"]
    assert len(again.notes) == 1


def test_a_training_from_a_model_names_it():
    settings = to_mapping(training("johnson2016")[1])
    steps = settings.pop("steps")
    record = {"training": settings, "steps": steps, "preset": "johnson2016", "start": "ab" * 32}
    again = train_again(json.loads(json.dumps(record)), "johnson")
    assert "--from MODEL" in again.command
    assert f"MODEL stands for the model of SHA-256 {'ab' * 32}" in again.notes


@pytest.mark.parametrize(
    ("kind", "layer", "preset", "changes", "options"),
    [
        ("content", "relu4_1", "reconstruction", {}, {}),
        ("style", "relu1_1+relu2_1", "reconstruction", {"pyramid.steps": [7]}, {"size": 96, "seed": 2}),
        ("style", "layer2", "saric2020-reconstruction", {"optimizer.lr": 0.1}, {}),
    ],
)
def test_a_reconstruction_is_made_again_by_its_own_command(kind, layer, preset, changes, options):
    how = reconstruction(kind, layer, preset=preset, changes=changes, **options)
    job = ReconstructJob(image="photo.jpg", output="out.png", stylization=how)
    record = {"job": to_mapping(job), "stylization": to_mapping(how), "pictures": {}}
    again = picture_again(json.loads(json.dumps(record)))
    assert again.notes == ()
    words = shlex.split(again.command)
    assert words[:6] == ["velatura", "reconstruct", kind, "photo.jpg", "-o", "out.png"]
    found_preset, found = settings_in(again.command)
    given = {
        name.removeprefix("--"): int(value)
        for name, value in itertools.pairwise(words)
        if name in ("--size", "--seed")
    }
    named = words[words.index("--layer") + 1]
    assert reconstruction(kind, named, preset=found_preset, changes=found, **given) == how


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ({"standard": "native", "random": "random"}, "standard,random"),
        ({"mine": "nets/mine.pth", "vgg19": "vgg19"}, "nets/mine.pth,vgg19"),
        ({"standard": "resnet18", "robust": "a=b.pt"}, "standard=resnet18,robust=a=b.pt"),
    ],
)
def test_columns_of_a_grid_are_named_as_shortly_as_can_be(networks, words):
    how = reconstruction("style", "relu2_1", changes={"backbone.weights": next(iter(networks.values()))})
    job = {"kind": "style", "image": "a.jpg", "output": "g", "layers": ["relu2_1"], "networks": networks}
    record = {"job": job, "stylization": to_mapping(how), "pictures": {}}
    again = picture_again(json.loads(json.dumps(record)))
    assert again.command == (
        f"velatura reconstruct style a.jpg -o g --preset reconstruction --layers relu2_1 --networks {words}"
    )
    assert again.notes == ()


def test_a_grid_of_the_given_weights_alone_sets_them():
    how = reconstruction("content", "relu2_1", changes={"backbone.weights": "random"})
    job = {"image": "a.jpg", "output": "g", "layers": ["relu2_1"], "networks": {"vgg19-slim": "random"}}
    record = {"job": job, "stylization": to_mapping(how), "pictures": {}}
    command = picture_again(json.loads(json.dumps(record))).command
    assert command.endswith("--set backbone.weights=random --layers relu2_1")


@pytest.mark.parametrize(
    ("layer", "changes", "options"),
    [
        ("relu4_2", {}, {}),
        ("layer3", {"backbone.name": "resnet18", "channel": 7, "normalize": "std"}, {"size": 96, "seed": 4}),
    ],
)
def test_a_dream_is_made_again_by_its_own_command(layer, changes, options):
    how = dreaming(layer, changes=changes, **options)
    job = DreamJob(image="photo.jpg", output="out.png", dreaming=how)
    record = {"job": to_mapping(job), "dreaming": to_mapping(how), "pictures": {}}
    again = picture_again(json.loads(json.dumps(record)))
    assert again.notes == ()
    assert {change.path for change in again.changes} == {*changes, *options}
    words = shlex.split(again.command)
    assert words[:6] == ["velatura", "reconstruct", "deepdream", "photo.jpg", "-o", "out.png"]
    preset, found = settings_in(again.command)
    pairs = list(itertools.pairwise(words))
    given = {name[2:]: int(value) for name, value in pairs if name in ("--size", "--seed")}
    named = words[words.index("--layer") + 1]
    assert dreaming(named, preset=preset, changes=found, **given) == how
