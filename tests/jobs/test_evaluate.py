"""The job of judging: files in, a table out, and what is refused before anything is computed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from velatura.backbones import BackboneConfig
from velatura.core.errors import ConfigError, ImageError, OutputError
from velatura.imaging import Picture
from velatura.jobs.evaluate import Comparison, Evaluated, EvaluateJob, comparisons, run_evaluate
from velatura.jobs.judging import Networks, evaluation


def _draw(path, seed, size=(24, 32)):
    path.parent.mkdir(exist_ok=True)
    Picture.of(np.random.default_rng(seed).random((*size, 3), np.float32)).save(path)
    return path


@pytest.fixture
def files(tmp_path):
    """A photograph, a painting and two outputs."""
    names = ("photo.png", "painting.png", "one.png", "two.png")
    return [_draw(tmp_path / name, seed) for seed, name in enumerate(names)]


@pytest.fixture
def job(files, tmp_path):
    def make(*names, judge=None, changes=None, outputs=files[2:], **fields):
        pairs = comparisons(outputs, content=files[0], style=files[1])
        how = evaluation(names or ["rmse", "high-frequency"], judge=judge, changes=changes)
        fields = {key: str(tmp_path / name) for key, name in fields.items()}
        return EvaluateJob(comparisons=pairs, evaluation=how, **fields)

    return make


def test_one_photograph_and_painting_serve_all(files):
    photo, painting, one, two = files
    assert comparisons([one, two], content=photo, style=painting) == tuple(
        Comparison(output=str(output), content=str(photo), style=str(painting)) for output in (one, two)
    )


def test_namesakes_are_found_in_folders_whatever_their_suffix(tmp_path):
    outputs = [_draw(tmp_path / "out" / name, 1) for name in ("b.png", "a.png")]
    photos = [_draw(tmp_path / "photos" / name, 2) for name in ("a.png", "b.tif", "c.png")]
    paintings = [_draw(tmp_path / "paintings" / name, 2) for name in ("a.png", "b.png")]
    found = comparisons(outputs, content=photos, style=paintings, reference=photos)
    assert [(Path(one.content).name, Path(one.style).name) for one in found] == [
        ("b.tif", "b.png"),
        ("a.png",) * 2,
    ]
    assert [one.reference for one in found] == [one.content for one in found]


def test_an_output_named_after_both_takes_both(tmp_path):
    output = _draw(tmp_path / "a+x.png", 1)
    photos, paintings = ([_draw(tmp_path / f"{name}.png", 2) for name in names] for names in ("ab", "xy"))
    (found,) = comparisons([output], content=photos, style=paintings)
    assert (Path(found.content).stem, Path(found.style).stem) == ("a", "x")
    with pytest.raises(ConfigError, match=r"no reference is called 'a\+x'"):
        comparisons([output], content=photos, style=paintings, reference=photos)


def test_an_output_without_a_namesake_is_named(files, tmp_path):
    photo, painting, one, _ = files
    with pytest.raises(ConfigError, match=r"one\.png: no photograph is called 'one' \(there are photo\)"):
        comparisons([one], content=[photo], style=painting)
    others = [tmp_path / f"{letter}.png" for letter in "abcdef"]
    with pytest.raises(ConfigError, match=r"no painting is called 'one' \(there are a, b, c, d, e, \.\.\.\)"):
        comparisons([one], content=photo, style=others)


def test_two_namesakes_are_one_too_many(files, tmp_path):
    photo, _, one, _ = files
    paintings = [_draw(tmp_path / "p" / name, 1) for name in ("one.png", "one.tif")]
    with pytest.raises(ConfigError, match=r"several paintings are called 'one': .*one\.png, .*one\.tif"):
        comparisons([one], content=photo, style=paintings)


def test_a_missing_file_is_named(files, tmp_path):
    with pytest.raises(ImageError, match=r"cannot read '.*nowhere\.png': there is no such file"):
        comparisons(files[2:], content=tmp_path / "nowhere.png", style=files[1])


def test_values_records_and_means(job, tmp_path):
    told = []
    found = run_evaluate(
        job(
            "rmse",
            "style-gram",
            judge=BackboneConfig(name="vgg11", weights="random"),
            json="new/v.json",
            csv="v.csv",
        ),
        on_picture=lambda number, comparison: told.append((number, Path(comparison.output).name)),
    )
    assert told == [(1, "one.png"), (2, "two.png")]
    first, second = found.values
    assert found.mean == pytest.approx({name: (first[name] + second[name]) / 2 for name in first})
    written = json.loads((tmp_path / "new" / "v.json").read_text())
    assert [picture["values"] for picture in written["pictures"]] == [first, second]
    assert written["pictures"][0]["output"] == str(tmp_path / "one.png")
    assert written["mean"] == found.mean
    about = written["metrics"]["style-gram"]
    assert about["direction"] == "lower"
    assert about["judge"] == {"weights": "random weights", "sha256": None}
    assert about["layers"] == ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    assert "judge" not in written["metrics"]["rmse"]
    assert written["evaluation"]["metrics"]["style-gram"]["judge"]["name"] == "vgg11"
    assert {"velatura", "torch"} <= set(written["versions"])
    with (tmp_path / "v.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["output", "content", "style", "rmse", "style-gram"]
    assert [float(row["rmse"]) for row in rows] == [first["rmse"], second["rmse"]]


def test_what_is_not_finite_is_null_in_json_and_spreads_to_the_mean(job, files, tmp_path):
    pytest.importorskip("torchmetrics")
    found = run_evaluate(job("psnr", outputs=[files[0], files[2]], json="v.json"))
    written = json.loads((tmp_path / "v.json").read_text())
    assert written["pictures"][0]["values"] == {"psnr": None}
    assert written["pictures"][1]["values"] == {"psnr": found.values[1]["psnr"]}
    assert written["mean"] == {"psnr": None}
    nothing = Evaluated(values=({"a": float("nan")}, {"a": 1.0}), record={})
    assert nothing.mean["a"] != nothing.mean["a"]


def test_networks_that_are_given_are_used(job):
    config, networks = BackboneConfig(name="vgg11", weights="random"), Networks()
    run_evaluate(job("cfsd", judge=config), networks=networks)
    assert list(networks) == [config]


def test_the_picture_that_does_not_fit_is_named(job, tmp_path):
    tall = _draw(tmp_path / "tall.png", 1, size=(40, 10))
    with pytest.raises(ConfigError, match=r"tall\.png: the output is 10x40 and the photograph 32x24"):
        run_evaluate(job(outputs=[tall]))


@pytest.mark.parametrize("field", ["json", "csv"])
def test_nothing_that_is_read_is_overwritten(job, files, field):
    before = files[0].read_bytes()
    with pytest.raises(ConfigError, match=r"photo\.png is read by this job and will not be overwritten"):
        run_evaluate(job(**{field: "photo.png"}))
    assert files[0].read_bytes() == before


def test_two_targets_need_two_names(job):
    with pytest.raises(ConfigError, match="JSON and CSV cannot both be written to"):
        run_evaluate(job(json="same", csv="same"))


def test_a_target_that_cannot_be_written_is_found_before_a_picture_is_read(job, tmp_path):
    told = []
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        run_evaluate(job(json="folder"), on_picture=lambda *given: told.append(given))
    assert told == []
