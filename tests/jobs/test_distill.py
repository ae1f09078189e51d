"""A distillation end to end, with teachers of a few channels."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError, OutputError, WeightsError
from velatura.core.vgg_layout import vgg_layers
from velatura.engine.distill import DistillationConfig
from velatura.imaging import Picture
from velatura.jobs.distill import DistillJob, run_distill
from velatura.weights import load_weights


def write_teacher(path, deepest, *, width):
    """A VGG-19 of ``width`` channels in every layer, as far as ``deepest``, with random weights."""
    layers, state, before = vgg_layers("vgg19"), {}, 3
    rng = torch.Generator().manual_seed(width)
    for index, layer in enumerate(layers[: layers.index(deepest) + 1]):
        if layer.startswith("conv"):
            state[f"features.{index}.weight"] = (
                torch.randn(width, before, 3, 3, generator=rng) * (2 / 9 / before) ** 0.5
            )
            state[f"features.{index}.bias"] = torch.zeros(width)
            before = width
    save_file(state, path, {"input": "RGB 0-1, ImageNet mean/std"})


@pytest.fixture
def school(tmp_path):
    """Two folders of pictures, and two teachers: one to relu1_2, one to relu2_1."""
    rng = np.random.default_rng(0)
    for kind, count in (("contents", 3), ("styles", 3)):
        (tmp_path / kind).mkdir()
        for number in range(count):
            pixels = rng.random((40, 48, 3), np.float32)
            Picture.of(pixels).save(tmp_path / kind / f"{number}.png")
    write_teacher(tmp_path / "shallow.safetensors", "conv1_2", width=6)
    write_teacher(tmp_path / "deep.safetensors", "conv2_1", width=8)
    return tmp_path


@pytest.fixture
def job(school):
    def make(*, steps=2, teachers=("shallow", "deep"), output="run", **changes):
        config = {"widths": (4, 4, 4, 4, 4), "crop": 32, "batch": 2, "remembered": 8, "warmup": 1, **changes}
        return DistillJob(
            contents=str(school / "contents"),
            styles=str(school / "styles"),
            teachers=tuple(str(school / f"{name}.safetensors") for name in teachers),
            output=str(school / output),
            config=DistillationConfig(steps=steps, cooldown=1, **config),
        )

    return make


def test_a_distillation_writes_weights_that_serve_as_a_backbone(job, school):
    lessons = []
    path = run_distill(job(), on_lesson=lessons.append)
    assert path == school / "run" / "vgg19-slim.safetensors"
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    weights = load_weights(path)
    assert weights.preprocessing == "torchvision"
    assert (weights.padding, weights.pooling) == ("replicate", "average")
    assert weights.licence == "Apache-2.0"
    backbone = build_backbone(BackboneConfig(name="vgg19-slim", weights=str(path)))
    features = backbone(torch.rand(1, 3, 32, 32), ["relu1_1", "relu1_2", "relu2_1"])
    assert {layer: tuple(maps.shape[1:]) for layer, maps in features.items()} == {
        "relu1_1": (4, 32, 32),
        "relu1_2": (4, 32, 32),
        "relu2_1": (4, 16, 16),
    }
    assert [lesson.step for lesson in lessons] == [0, 2]
    assert list(lessons[0].errors) == ["relu1_1", "relu1_2", "relu2_1"]
    assert all(lesson.held_out for lesson in lessons)


def test_the_log_and_the_weights_say_how_they_came_about(job, school):
    path = run_distill(job(), on_lesson=lambda _: None)
    log = [json.loads(line) for line in (school / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [0, 2]
    assert log[0]["errors"].keys() == {"relu1_1", "relu1_2", "relu2_1"}
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["velatura.recipe"])["widths"] == [4, 4, 4, 4, 4]
    assert json.loads(metadata["velatura.teachers"]).keys() == {"shallow.safetensors", "deep.safetensors"}


def test_a_second_call_goes_on_from_the_first(job):
    lessons = []
    first = run_distill(job(steps=1), on_lesson=lambda _: None)
    before = load_file(first)
    run_distill(job(steps=3), on_lesson=lessons.append)
    assert [lesson.step for lesson in lessons] == [1, 3]
    assert any(not torch.equal(before[key], value) for key, value in load_file(first).items())


def test_what_was_learnt_before_an_interrupt_is_kept(job):
    asked = iter([False, True])
    run_distill(job(steps=5), on_lesson=lambda _: None, cancelled=lambda: next(asked))
    lessons = []
    run_distill(job(steps=2), on_lesson=lessons.append)
    assert [lesson.step for lesson in lessons] == [1, 2]


def test_another_network_s_checkpoint_is_refused(job):
    run_distill(job(steps=0), on_lesson=lambda _: None)
    with pytest.raises(ConfigError, match="widths"):
        run_distill(job(steps=1, widths=(4, 4, 4, 4, 5)), on_lesson=lambda _: None)


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        ("contents", ConfigError, r"contents is no folder of pictures: No such file or directory$"),
        ("styles", ConfigError, r"styles holds 1 pictures; training needs at least 2$"),
        ("teachers", ConfigError, r"deep.safetensors has no layer that the ones before it do not teach$"),
        ("missing", WeightsError, r"^no weights file .*none.safetensors$"),
        ("output", OutputError, r"^cannot write '.*log.jsonl': a part of the path is a file"),
    ],
)
def test_what_cannot_be_learnt_is_one_line(job, school, change, error, complaint):
    settings = {}
    match change:
        case "contents":
            (school / "contents").rename(school / "elsewhere")
        case "styles":
            for name in ("1.png", "2.png"):
                (school / "styles" / name).unlink()
        case "teachers":
            settings["teachers"] = ("deep", "deep")
        case "missing":
            settings["teachers"] = ("none",)
        case "output":
            (school / "run").touch()
    with pytest.raises(error, match=complaint):
        run_distill(job(**settings), on_lesson=lambda _: None)
