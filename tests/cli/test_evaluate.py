"""``velatura evaluate``: the table, the files, and one line for each wrong request."""

import json
import sys

import numpy as np
import pytest

from velatura.cli import evaluate as command
from velatura.imaging import Picture
from velatura.metrics import metrics


@pytest.fixture
def output(tmp_path):
    """The photograph with grain, of its size."""
    rows, columns = np.mgrid[:32, :40]
    pixels = np.stack([columns / 39, rows / 31, (rows + columns) / 70], axis=2)
    grain = np.random.default_rng(1).normal(0, 0.1, pixels.shape)
    Picture.of(np.clip(pixels + grain, 0, 1).astype(np.float32)).save(tmp_path / "out.png")
    return tmp_path / "out.png"


@pytest.fixture
def evaluate(velatura, photo, painting, output):
    def call(*words, outputs=(output,), content=photo, style=painting):
        return velatura("evaluate", "--content", content, "--style", style, *outputs, *words)

    return call


@pytest.fixture
def evaluate_refused(refused, photo, painting, output):
    def call(*words, outputs=(output,), content=photo, style=painting):
        return refused("evaluate", "--content", content, "--style", style, *outputs, *words)

    return call


def _named(*names):
    return [word for name in names for word in ("--metric", name)]


def test_one_picture_is_a_row_under_metrics_with_arrows(evaluate):
    answer = evaluate(*_named("rmse", "edge-similarity", "high-frequency"))
    assert (answer.status, answer.err) == (0, "")
    header, row = answer.out.splitlines()
    assert header.split() == ["picture", "rmse", "↓", "edge-similarity", "↑", "high-frequency", "→1"]
    assert row.split()[0] == "out.png"
    assert 0.05 < float(row.split()[1]) < 0.12
    assert len(header) == len(row)


def test_by_default_every_metric_is_there_and_no_line_is_too_wide(evaluate):
    pytest.importorskip("torchmetrics")
    answer = evaluate()
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 120
    headers = [line for line in lines if line.startswith("picture")]
    assert len(headers) > 1
    shown = [word for line in headers for word in line.split() if word in set(metrics)]
    assert shown == list(metrics)
    assert sum(line.startswith("out.png") for line in lines) == len(headers)


def test_several_outputs_have_a_mean(evaluate, photo, output):
    answer = evaluate(*_named("rmse"), outputs=(output, photo))
    rows = {line.split()[0]: line.split()[1] for line in answer.out.splitlines()}
    assert list(rows) == ["picture", "out.png", "photo.png", "mean"]
    assert rows["photo.png"] == "0"
    assert float(rows["mean"]) == pytest.approx(float(rows["out.png"]) / 2, rel=1e-3)
    assert [line.split()[0] for line in answer.err.splitlines()] == ["1/2", "2/2"]
    assert evaluate(*_named("rmse"), "--quiet", outputs=(output, photo)).err == ""


def test_what_is_not_defined_is_a_dash(evaluate, painting):
    answer = evaluate(*_named("style-gram"), content=painting, outputs=(painting,))
    assert answer.out.splitlines()[1].split() == ["painting.png", "-"]


def test_folders_are_matched_by_name(evaluate, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("outs", "photos", "paintings"):
        for name in ("a", "b"):
            Picture.of(rng.random((20, 24, 3), np.float32)).save(tmp_path / folder / f"{name}.png")
    answer = evaluate(
        *_named("rmse"),
        "--json",
        tmp_path / "v.json",
        "-q",
        outputs=(tmp_path / "outs",),
        content=tmp_path / "photos",
        style=tmp_path / "paintings",
    )
    assert answer.status == 0
    pictures = json.loads((tmp_path / "v.json").read_text())["pictures"]
    assert [picture["content"] for picture in pictures] == [
        str(tmp_path / "photos" / f"{n}.png") for n in "ab"
    ]
    answer = evaluate(*_named("rmse"), "-q", outputs=(f"{tmp_path}/outs/*.png",), content=tmp_path / "photos")
    assert [line.split()[0] for line in answer.out.splitlines()] == ["picture", "a.png", "b.png", "mean"]


def test_outputs_of_one_name_are_shown_with_their_folders(evaluate, output, tmp_path):
    again = tmp_path / "again" / "out.png"
    Picture.of(output).save(again)
    lines = evaluate(*_named("rmse"), "-q", outputs=(output, again)).out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == [str(output), str(again)]


def test_a_judge_for_all_and_another_for_one(evaluate, tmp_path):
    answer = evaluate(
        *_named("sifid", "cfsd"),
        *("--backbone", "resnet18", "--weights", "random", "--judge", "cfsd=vgg11:random"),
        *("--set", "cfsd.layers=['relu2_1']", "--size", "32", "--json", tmp_path / "v.json"),
    )
    assert answer.status == 0, answer
    about = json.loads((tmp_path / "v.json").read_text())
    assert about["metrics"]["sifid"]["layers"] == ["layer1"]
    assert about["metrics"]["cfsd"]["layers"] == ["relu2_1"]
    assert about["evaluation"]["size"] == 32
    assert about["evaluation"]["metrics"]["cfsd"]["judge"]["name"] == "vgg11"


def test_a_reference_takes_the_photographs_place(evaluate, output):
    answer = evaluate(*_named("rmse"), "--reference", output)
    assert answer.out.splitlines()[1].split() == ["out.png", "0"]


def test_what_cannot_be_had_is_left_out_by_default_and_said(evaluate):
    answer = evaluate("--backbone", "vgg11", "--weights", "random", "--set", "sifid.layers=['relu7_1']")
    assert answer.status == 0
    assert answer.err.startswith("velatura: left out sifid: metric 'sifid': unknown layer 'relu7_1'")
    assert "sifid" not in answer.out
    assert "cfsd" in answer.out


def test_without_the_package_its_metrics_are_left_out_or_refused(evaluate, evaluate_refused, monkeypatch):
    monkeypatch.setattr("velatura.jobs.judging.find_spec", lambda name: None)
    answer = evaluate()
    assert "ssim ↑" not in answer.out
    assert (
        "velatura: left out ssim: metric 'ssim' needs torchmetrics: pip install 'velatura[eval]'"
        in answer.err
    )
    assert (
        evaluate_refused(*_named("ssim")) == "metric 'ssim' needs torchmetrics: pip install 'velatura[eval]'"
    )


def test_a_narrow_character_set_gets_words(monkeypatch):
    class Narrow:
        encoding = "ascii"

    monkeypatch.setattr(sys, "stdout", Narrow())
    assert not command._can_be_written("↓")
    assert command._can_be_written("(low)")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (_named("cfds"), "unknown metric 'cfds'; did you mean 'cfsd'?"),
        ([*_named("rmse"), "--backbone", "vgg19"], "rmse: no network is asked for these metrics"),
        ([*_named("rmse"), "--weights", "random"], "rmse: no network is asked for these metrics"),
        (["--backbone", "vgg91"], "unknown backbone 'vgg91'; did you mean 'vgg19"),
        (["--judge", "cfsd"], "--judge: expected METRIC=NAME[:WEIGHTS], such as cfsd=vgg19, not 'cfsd'"),
        (["--judge", "cfds=vgg19"], "unknown metric of this evaluation 'cfds'; did you mean 'cfsd'?"),
        (["--set", "cfsd"], "expected KEY=VALUE"),
        (["--size", "0"], "size: input should be greater than or equal to 1"),
        ([*_named("cfsd"), "--weights", "no/file.safetensors"], "no weights file no/file.safetensors"),
        ([*_named("cfsd"), "--backbone", "vgg19"], "weights vgg19 are not here (VELATURA_OFFLINE is set)"),
        ([*_named("cfsd"), "--set", "cfsd.layers=['relu9']"], "metric 'cfsd': unknown layer 'relu9'"),
        ([*_named("cfsd"), "--reference", "nowhere.png"], "cannot read 'nowhere.png': there is no such file"),
    ],
)
def test_a_wrong_request_is_one_line(evaluate_refused, words, line):
    assert line in evaluate_refused(*words)


def test_missing_files_and_names_are_one_line(evaluate_refused, tmp_path, photo):
    nowhere = tmp_path / "nowhere.png"
    for given in ({"outputs": (nowhere,)}, {"content": nowhere}, {"style": nowhere}):
        assert evaluate_refused(*_named("rmse"), **given).endswith("nowhere.png': there is no such file")
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "holds no picture" in evaluate_refused(*_named("rmse"), style=folder)
    Picture.of(photo).save(folder / "other.png")
    assert "no painting is called 'out' (there are other)" in evaluate_refused(*_named("rmse"), style=folder)


def test_a_broken_picture_is_one_line(evaluate_refused, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "broken.png" in evaluate_refused(*_named("rmse"), outputs=(tmp_path / "broken.png",))


def test_a_picture_too_small_for_the_layer_is_one_line(evaluate_refused, tmp_path):
    Picture.of(np.zeros((4, 5, 3), np.float32)).save(tmp_path / "tiny.png")
    line = evaluate_refused(*_named("style-gram"), outputs=(tmp_path / "tiny.png",))
    assert "tiny.png: a picture of 5x4 pixels is too small for layer 'relu5_1', which needs 16x16" in line
