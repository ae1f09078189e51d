"""What a job refuses, in one line and before it runs."""

import os
import pickle
import resource
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from velatura.core.errors import ConfigError, ImageError, OutputError, VelaturaError, WeightsError
from velatura.jobs.stylize import stylization
from velatura.runners import run
from velatura.weights import resolve

# What is refused before anything runs


@pytest.mark.parametrize("which", ["photo", "painting"])
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_not_overwritten_whatever_it_is_called(job, tmp_path, which, link):
    source = tmp_path / f"{which}.png"
    before = source.read_bytes()
    target = source
    if link is not None:
        target = tmp_path / "link.png"
        link(source, target)
    with pytest.raises(ConfigError, match="is read by this job and will not be overwritten"):
        run(job(output=target.name))
    assert source.read_bytes() == before


def test_a_folder_by_another_way_is_the_same_folder(job, tmp_path):
    (tmp_path / "way").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ConfigError, match="will not be overwritten"):
        run(job(output="way/photo.png"))


def test_weights_are_not_overwritten(job, tmp_path):
    weights = tmp_path / "mine.safetensors"
    shutil.copy(resolve("vgg19-slim"), weights)
    made = job(changes={"backbone.weights": str(weights)}, saving={"checkpoint": str(weights)})
    with pytest.raises(ConfigError, match=r"mine.safetensors is read by this job"):
        run(made)


@pytest.mark.parametrize("which", ["content", "styles"])
def test_a_missing_picture_is_named(job, tmp_path, which):
    missing = tmp_path / "none.png"
    with pytest.raises(ImageError, match=r"^cannot read '.*none.png': there is no such file$"):
        run(job(**{which: missing if which == "content" else [missing]}))


@pytest.mark.parametrize("kind", ["empty", "folder", "text"])
@pytest.mark.parametrize("which", ["content", "styles"])
def test_what_is_no_picture_is_one_line(job, tmp_path, which, kind):
    path = tmp_path / "odd.png"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"" if kind == "empty" else b"no picture")
    with pytest.raises(ImageError, match=r"^cannot read '.*odd.png': ") as caught:
        run(job(**{which: path if which == "content" else [path]}))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.png").exists()


def test_an_unreadable_picture_is_one_line(job, photo, monkeypatch):
    real = type(photo).open

    def refuse(self, *args, **kwargs):
        if self == photo:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(photo), "open", refuse)  # Root may read everything.
    with pytest.raises(ImageError, match=r"^cannot read '.*photo.png': .*[Pp]ermission denied"):
        run(job())


def never_runs(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("the run began")

    monkeypatch.setattr("velatura.jobs.stylize.build_backbone", fail)


@pytest.mark.parametrize(
    ("output", "error", "complaint"),
    [
        ("out", ConfigError, "has no extension to name a format"),
        ("out.bmp", ConfigError, r"unknown picture format '.bmp'"),
        ("photo.png/out.png", OutputError, "a part of the path is a file"),
        ("folder.png", OutputError, "it is a folder; name a file"),
        ("/proc/out.png", OutputError, "cannot write '/proc/out.png'"),
        ("x" * 300 + ".png", OutputError, "the name is too long"),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_the_run(
    job, tmp_path, monkeypatch, output, error, complaint
):
    (tmp_path / "folder.png").mkdir()
    never_runs(monkeypatch)
    with pytest.raises(error, match=complaint):
        run(job(output=output))


def test_a_disk_that_fills_up_while_writing_is_one_line_and_leaves_nothing(job, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match=r"^cannot write '.*out.png': the file would be larger"):
            run(job())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["painting.png", "photo.png"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_too_little_memory_is_one_line(job, tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("velatura.jobs.stylize.OptimizationStylizer.__call__", fail)
    message = "^there is not enough memory for a picture of 64x48 pixels; choose a smaller size$"
    with pytest.raises(VelaturaError, match=message):
        run(job(size=64))
    assert not (tmp_path / "out.png").exists()


def test_other_errors_of_torch_are_not_taken_for_it(job, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("velatura.jobs.stylize.OptimizationStylizer.__call__", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(job())


# Names and weights


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"backbone.name": "vgg91"}, "^unknown backbone 'vgg91'; did you mean 'vgg19'"),
        ({"backbone.poling": "max"}, "^backbone: unknown setting 'poling'; did you mean 'pooling'"),
        (
            {"backbone.pooling": "mean"},
            "^backbone.pooling: input should be 'native', 'max', 'average' or 'l2'",
        ),
        ({"optimizer.name": "adan"}, "^unknown optimizer 'adan'; did you mean 'adam'"),
        ({"initialization.name": "unifrom"}, "^unknown initialization 'unifrom'; did you mean 'uniform'"),
        ({"terms.style.loss.name": "grm"}, "^unknown loss 'grm'; did you mean 'gram'"),
        ({"optimizer.lr": 0}, "^optimizer.lr: input should be greater than 0, not 0$"),
        ({"pyramid.steps": []}, "^pyramid.steps: tuple should have at least 1 item"),
        ({"mask": "face.png"}, "^unknown setting 'mask'"),
        ({"terms.edges.weight": 1}, "^setting 'terms.edges.loss' is missing$"),
        (
            {"terms.styl.weight": 1},
            r"^terms has no 'styl' yet; did you mean 'style'\? \(a new one needs loss, of\)$",
        ),
    ],
)
def test_an_unknown_name_or_value_is_answered_before_any_picture_is_read(changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        stylization(changes=changes)


NO_EFFECT = [
    ("gatys2016", {"iterates.average": 0.5}, "iterates.average has no effect where result is last or best"),
    ("fast", {"iterates.result": "best", "iterates.average": 0.9}, "iterates.average has no effect where"),
    ("fast", {"iterates.stop_window": 20}, "iterates.stop_window has no effect where stop_below is 0;"),
    ("gatys2016", {"pyramid.ratio": 2}, "pyramid.ratio has no effect where smallest is 0;"),
    ("gatys2016", {"pyramid.steps": [9, 5]}, "pyramid.steps has no effect beyond the first where smallest"),
    ("fast", {"pyramid": {"smallest": 0, "ratio": 2}}, "pyramid.ratio has no effect where smallest is 0;"),
]


@pytest.mark.parametrize(("preset", "changes", "complaint"), NO_EFFECT)
def test_a_setting_that_the_others_leave_without_effect_is_refused(preset, changes, complaint):
    with pytest.raises(ConfigError, match=f"^{complaint}"):
        stylization(preset, changes=changes)


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_a_strength_needs_a_term_to_weigh(job, strength):
    alone = {"terms.style.weight": 0, "terms.smoothness.weight": 0}
    with pytest.raises(ConfigError, match=f"^a strength of {strength:g} has no effect: it weighs the terms"):
        run(job(changes=alone, strength=strength))
    run(job(changes={**alone, "terms.smoothness.weight": 0.1}, strength=strength))
    run(job(changes=alone, strength=0, output="photo-again.png"))


def test_what_a_change_leaves_of_the_preset_is_no_mistake_of_the_user():
    method = stylization(changes={"iterates.result": "last", "pyramid.smallest": 0}).method
    assert (method.iterates.result, method.pyramid.steps) == ("last", (40,))
    method = stylization("gatys2016", changes={"pyramid.smallest": 64, "pyramid.ratio": 2}).method
    assert (method.pyramid.ratio, method.pyramid.steps) == (2, (500,))


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^unknown preset 'fats'; did you mean 'fast'\?"):
        stylization("fats")


def test_an_unknown_layer_is_answered_with_the_nearest(job):
    layers = {"terms.style.layers": {"relu9_1": 1}}
    with pytest.raises(ConfigError, match=r"^unknown layer 'relu9_1'; did you mean 'relu\d_1'"):
        run(job(changes=layers))


def test_a_layer_that_the_weights_lack_is_named_with_their_file(job, tmp_path, short_weights):
    changes = {"backbone.name": "vgg19", "backbone.weights": str(short_weights)}
    with pytest.raises(
        WeightsError, match=r"^layer 'relu3_1' is not in short.safetensors, which ends at 'pool2'"
    ):
        run(job(changes=changes))
    assert not (tmp_path / "out.png").exists()


@pytest.fixture
def short_weights(tmp_path):
    """A VGG-19 of a few channels that ends at relu2_2."""
    state, before = {}, 3
    for index, width in ((0, 4), (2, 4), (5, 8), (7, 8)):
        state[f"features.{index}.weight"] = torch.rand(width, before, 3, 3) / 10
        state[f"features.{index}.bias"] = torch.zeros(width)
        before = width
    path = tmp_path / "short.safetensors"
    save_file(state, path, {"input": "RGB 0-1, ImageNet mean/std"})
    return path


def test_weights_that_are_not_finite_are_refused(job, tmp_path, short_weights):
    state = load_file(short_weights)
    state["features.2.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors", {"input": "RGB 0-1, ImageNet mean/std"})
    changes = {"backbone.name": "vgg19", "backbone.weights": str(tmp_path / "nan.safetensors")}
    with pytest.raises(WeightsError, match=r"'features.2.weight' holds a NaN or an infinity"):
        run(job(changes=changes))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_with_code_in_it_is_refused_and_not_run(job, tmp_path):
    torch.save({"features.0.weight": Payload(tmp_path / "executed")}, tmp_path / "evil.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(tmp_path / "executed")))
    for name in ("evil.pth", "bare.pth"):
        changes = {"backbone.name": "vgg19", "backbone.weights": str(tmp_path / name)}
        with pytest.raises(WeightsError, match=r"(refused|damaged|no weights file)") as caught:
            run(job(changes=changes))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_weights_that_are_not_here_say_where_to_put_them(job):
    with pytest.raises(WeightsError, match=r"weights vgg19 are not here .*put .*vgg19.*SHA-256.* into"):
        run(job(changes={"backbone.name": "vgg19"}))


@pytest.mark.data
def test_the_real_vgg19_ends_where_its_file_does(job, data_dir):
    weights = data_dir / "weights" / "vgg19_caffe_to_relu3_4.safetensors"
    changes = {"backbone.weights": str(weights), "pyramid.steps": [1]}
    with pytest.raises(
        WeightsError,
        match=r"^layer 'relu4_1' is not in vgg19_caffe_to_relu3_4.safetensors, which ends at 'pool3'",
    ):
        run(job(preset="gatys2016", changes=changes))
    reached = {
        "terms.content.layers": {"relu3_2": 1},
        "terms.style.layers": {"relu1_1": 0.5, "relu3_1": 0.5},
    }
    result = run(job(preset="gatys2016", changes={**changes, **reached}))
    assert (result.picture.width, result.picture.height) == (48, 36)
