"""The Python door to experiments: sweeps, surveys, reports."""

import json
from pathlib import Path

import pytest
import torch

import velatura
from velatura.core.errors import ConfigError

SPEC = {
    "title": "Two strengths",
    "base": {"preset": "fast", "size": 32, "pyramid.smallest": 0, "pyramid.steps": (2,)},
    "axes": {"strength": (0.5, 2)},
    "metrics": ["rmse"],
}


@pytest.fixture
def pictures(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for name, size in (("photo", (24, 32)), ("painting", (24, 24))):
        velatura.save_image(torch.rand(3, *size, generator=generator), tmp_path / f"{name}.png")
    return {"content": tmp_path / "photo.png", "style": tmp_path / "painting.png"}


def test_a_sweep_from_a_mapping_is_that_of_the_file(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: None)
    written = tmp_path / "sweep.yaml"
    written.write_text(json.dumps(SPEC), encoding="utf-8")
    seen = []
    result = velatura.sweep(SPEC, tmp_path / "results", **pictures, on_cell=seen.append)
    assert [cell.labels for cell in result.measured] == [{"strength": "0.5"}, {"strength": "2"}]
    assert all(cell.values["rmse"] > 0 and cell.pair == "photo+painting" for cell in result.measured)
    assert (result.made, len(seen), result.files["csv"].exists()) == (2, 2, True)
    again = velatura.sweep(written, tmp_path / "results", **pictures)
    assert (again.made, again.measured) == (0, result.measured)
    assert velatura.report(tmp_path / "results", tmp_path / "report.html").what == "a sweep of 2 cells"


def test_paths_of_a_mapping_are_relative_to_the_current_folder(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    here = {**SPEC, "pairs": [{"content": Path("photo.png"), "style": "painting.png"}], "seeds": [1]}
    result = velatura.sweep(here, "results", settings={"size": 16})
    assert {(cell.pair, cell.seed) for cell in result.measured} == {("photo+painting", 1)}


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ({**SPEC, "axes": {}}, {}, "the sweep: no axis, so that the grid is empty"),
        ({**SPEC, "metrcs": []}, {}, "the sweep: unknown field 'metrcs'; did you mean 'metrics'"),
        ({**SPEC, "axes": {"strenght": [1]}}, {}, "the sweep: .*strenght"),
        (SPEC, {"search": 3}, "search and objective go together"),
        ("bisht2023-optimisers", {}, "did you mean 'bisht2023-optimizers'"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_written(spec, options, message, pictures, tmp_path):
    with pytest.raises(ConfigError, match=message):
        velatura.sweep(spec, tmp_path / "results", **pictures, **options)
    assert not list(tmp_path.glob("results/cells/*"))


def test_a_survey_is_made_and_its_answers_are_looked_for(pictures, tmp_path):
    for method in ("ours", "theirs"):
        for name in ("photo", "other"):
            picture = torch.full((3, 24, 32), 0.25 if method == "ours" else 0.75)
            velatura.save_image(picture, tmp_path / method / f"{name}.png")
    made = velatura.make_survey(
        [tmp_path / "ours", tmp_path / "theirs"], tmp_path / "survey.html", checks=1, style=pictures["style"]
    )
    assert made.definition.methods == ("ours", "theirs")
    assert made.num_trials == 3
    assert (tmp_path / "survey.html").stat().st_size > 1000
    (tmp_path / "answers").mkdir()
    with pytest.raises(ConfigError, match=r"answers holds no \.json file"):
        velatura.analyse_survey(tmp_path / "answers")
    (tmp_path / "answers" / "one.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"one\.json"):
        velatura.analyse_survey(tmp_path / "answers")
    with pytest.raises(ConfigError, match="checks"):
        velatura.make_survey([tmp_path / "ours", tmp_path / "theirs"], tmp_path / "s.html", checks=-1)


def test_a_report_of_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds nothing to report on"):
        velatura.report(tmp_path)
