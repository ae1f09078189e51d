"""``velatura apply``, ``velatura export``, and ``velatura stylize --model``."""

import json
import shutil

import pytest
import torch

from velatura.imaging import Picture, read_picture
from velatura.jobs.export import Exported


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs, a file that only looks like one, and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    torch.manual_seed(0)
    for name, width in (("a.png", 40), ("c.jpg", 32)):
        Picture.of(torch.rand(3, 32, width)).save(folder / name)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("notes")
    return folder


def test_a_folder_with_a_broken_picture_among_good_ones(velatura, models, photos, tmp_path):
    answer = velatura("apply", "johnson", photos, "-o", tmp_path / "out", "-q")
    assert answer.status == 1
    assert answer.out.splitlines() == [f"{tmp_path}/out/a.png", f"{tmp_path}/out/c.jpg"]
    lines = answer.err.splitlines()
    assert lines[0].startswith(f"velatura: {photos}/b.png: cannot read")
    assert lines[1:] == ["velatura: 1 of 3 pictures failed, 2 written"]
    assert read_picture(tmp_path / "out" / "a.png").width == 40


def test_files_globs_and_folders_together(velatura, models, photos, photo, tmp_path):
    (photos / "b.png").unlink()
    answer = velatura("apply", "johnson", photos / "a*", photo, "-o", tmp_path / "out")
    assert answer.status == 0
    assert answer.out.splitlines() == [f"{tmp_path}/out/a.png", f"{tmp_path}/out/photo.png"]
    assert "1/2 a.png: scale 1/1 40x32, step 1/1\n" in answer.err
    assert "loss" not in answer.err


def test_one_photograph_may_go_to_a_file(velatura, models, photo, tmp_path):
    answer = velatura("apply", models / "johnson.safetensors", photo, "-o", tmp_path / "x.jpg", "-q")
    assert (answer.status, answer.out) == (0, f"{tmp_path}/x.jpg\n")


def test_the_folder_of_a_run_is_a_model(velatura, models, photo, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(models / "cin.safetensors", tmp_path / "run" / "model.safetensors")
    answer = velatura("apply", tmp_path / "run", "--list")
    assert (answer.status, answer.out, answer.err) == (0, "waves\nmosaic\nhatching\n", "")


def test_the_list_of_one_that_takes_any(velatura, models):
    answer = velatura("apply", "adain-slim", "--list")
    assert (answer.status, answer.out) == (0, "")
    assert answer.err == "any picture: give paintings by --style FILE\n"


def test_styles_by_name_are_blended(velatura, models, photo, tmp_path):
    words = ("apply", "cin", photo, "-q", "--style", "waves", "--style", "mosaic")
    answer = velatura(*words, "--blend", "3,1", "-o", tmp_path / "a.png")
    assert answer.status == 0
    assert answer.err == "velatura: the blend sums to 4, not to 1; it was taken as 0.75, 0.25\n"
    assert velatura(*words, "--blend", "0.75,0.25", "-o", tmp_path / "b.png").err == ""
    one, other = read_picture(tmp_path / "a.png"), read_picture(tmp_path / "b.png")
    assert torch.equal(one.pixels, other.pixels)


def test_a_painting_for_one_that_takes_any(velatura, models, photo, painting, tmp_path):
    words = ("apply", "adain-slim", photo, "-q", "-o")
    assert velatura(*words, tmp_path / "a.png", "--style", painting).status == 0
    assert velatura(*words, tmp_path / "b.png", "--style", painting, "--alpha", 0.2).status == 0
    one, other = read_picture(tmp_path / "a.png"), read_picture(tmp_path / "b.png")
    assert not torch.equal(one.pixels, other.pixels)


def test_a_photograph_keeps_its_size_and_tiles_can_be_forced(velatura, models, tmp_path):
    Picture.of(torch.rand(3, 20, 1100)).save(tmp_path / "wide.png")
    words = ("apply", "johnson", tmp_path / "wide.png", "-o", tmp_path / "out.png")
    assert velatura(*words, "--tile", 640).status == 0
    assert read_picture(tmp_path / "out.png").width == 1100
    answer = velatura(*words, "--tile", 640, "--overlap", 8)
    assert answer.status == 2  # It was the request, and nothing was written.
    assert "an overlap of 8 pixels would leave seams: this network sees 52 pixels around each" in answer.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["cin"], "apply needs at least one CONTENT"),
        (["cin", "{photo}"], "apply needs a folder for the pictures; give it with -o FOLDER"),
        (["cin", "{photo}", "-o", "out"], "cin.safetensors has 3 styles, waves, mosaic, hatching; choose"),
        (["cin", "{photo}", "-o", "out", "--style", "wave"], "did you mean 'waves'?"),
        (["cin", "{photo}", "-o", "out", "--blend", "1,-1,1"], "blend.1: input should be greater than"),
        (["cin", "{photo}", "-o", "out", "--blend", "1;2"], "--blend: expected numbers with commas"),
        (["johnson", "{photo}", "-o", "out", "--alpha", "2"], "alpha: input should be less than or equal"),
        (["johnson", "{photo}", "-o", "out", "--overlap", "64"], "overlap has no effect where tile is unset"),
        (["adain-slim", "{photo}", "-o", "out"], "adain-slim.safetensors needs a style picture"),
        (["vgg19-slim", "{photo}", "-o", "out"], "not the weights of a backbone (torchvision)"),
        (["adain", "{photo}", "-o", "out"], "unknown model 'adain'; did you mean 'adain-slim'?"),
        (["{photo}", "{photo}", "-o", "out"], "expected a model that 'velatura train' wrote"),
        (["none.safetensors", "{photo}", "-o", "out"], "cannot read model none.safetensors: No such file"),
        (["johnson", "{empty}", "-o", "out"], "holds no picture"),
    ],
)
def test_what_is_wrong_is_one_line(refused, models, photo, tmp_path, words, line):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("text")
    assert line in refused("apply", *(word.format(photo=photo, empty=tmp_path / "empty") for word in words))


def test_instant_is_a_preset_like_the_others(velatura, models, photo, painting, tmp_path):
    answer = velatura(
        "stylize",
        photo,
        painting,
        "-o",
        tmp_path / "o.png",
        "--preset",
        "instant",
        "--record",
        tmp_path / "r",
    )
    assert answer.status == 0
    assert json.loads((tmp_path / "r").read_text())["job"]["stylization"]["method"]["model"] == "adain-slim"
    assert velatura("presets", "show", "instant").status == 0


def test_stylize_with_a_model_of_many_styles_takes_a_name(
    velatura, refused, models, photo, painting, tmp_path
):
    words = ("stylize", photo, "-o", tmp_path / "o.png", "--model", "cin")
    assert velatura(*words[:2], "mosaic", *words[2:]).status == 0
    assert "choose one, or give blend a weight for each" in refused(*words)
    assert "unknown style of cin.safetensors" in refused(*words[:2], painting, *words[2:])
    assert "the setting styles names styles too" in refused(
        *words[:2], "mosaic", *words[2:], "--set", 'styles=["waves"]'
    )


def test_stylize_with_a_model_of_one_style_takes_none(velatura, models, photo, tmp_path):
    words = ("stylize", photo, "-o", tmp_path / "o.png", "--model", models / "johnson.safetensors")
    assert velatura(*words).status == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--plot", "p.png"], "plot is of the steps of an optimisation"),
        (["--history", "h.json"], "history is of the steps of an optimisation"),
        (["--checkpoint", "c"], "checkpoint is of the steps of an optimisation"),
        (["--resume", "c"], "resume is of the steps of an optimisation"),
        (["--save-every", "2"], "save_every is of the steps of an optimisation"),
        (["--optimizer", "adam"], "optimizer.name is a setting of an optimisation"),
        (["--steps", "2"], "pyramid.steps is a setting of an optimisation"),
        (["--backbone", "vgg19"], "backbone.name is a setting of an optimisation"),
        (["--start", "a.png"], "is a setting of an optimisation"),
        (["--strength", "1.5"], "a strength of 1.5 is more than a trained network has"),
        (["--preset", "fast"], "the preset 'fast' optimises the picture"),
    ],
)
def test_what_a_network_cannot_use_is_said(refused, models, photo, tmp_path, words, line):
    assert line in refused("stylize", photo, "-o", tmp_path / "o.png", "--model", "johnson", *words)


def test_stylize_without_a_painting(refused, photo, tmp_path):
    line = refused("stylize", photo, "-o", tmp_path / "o.png")
    assert line == "the preset 'fast' needs a style picture; name a painting at least"


def test_export_says_what_goes_in_and_what_was_checked(velatura, refused, models, tmp_path, monkeypatch):
    def write(model, path, *, alpha):
        assert (model.styles, path, alpha) == ("any", tmp_path / "net.onnx", 0.8)
        return Exported(path=path, inputs={"content": "a", "style": "b"}, largest_difference=4.7e-6)

    # Tracing takes half a minute: tests/jobs/test_export.py does it.
    monkeypatch.setattr("velatura.cli.export.export_onnx", write)
    words = ("export", "adain-slim", "-o", tmp_path / "net.onnx", "--alpha", 0.8)
    answer = velatura(*words)
    assert (answer.status, answer.out) == (0, f"{tmp_path}/net.onnx\n")
    assert answer.err.splitlines() == [
        "input content: a",
        "input style: b",
        "checked with onnxruntime at 128x96, 77x101, 333x250: no pixel differs by more than 5e-06",
    ]
    assert velatura(*words, "-q").err == ""
    assert "unknown format 'onx'; did you mean 'onnx'?" in refused(*words, "--format", "onx")
