"""The sets that quality is measured on: that tuning says nothing of the test."""

import importlib.util
import json
import sys
import tomllib
from pathlib import Path

import pytest

from velatura.engine.method import Optimization
from velatura.jobs.schema import assign, build
from velatura.presets import load_preset

QUALITY = Path(__file__).parents[1] / "benchmarks" / "quality"
SETS = tomllib.loads((QUALITY / "pairs.toml").read_text(encoding="utf-8"))


def _split(pairs):
    return tuple(zip(*(pair.split("+") for pair in pairs), strict=True))


def test_the_sets_share_no_photograph_and_no_painting():
    assert (len(SETS["tuning"]), len(SETS["test"])) == (12, 8)
    for tuned, tested in zip(_split(SETS["tuning"]), _split(SETS["test"]), strict=True):
        assert not set(tuned) & set(tested)
        assert len(set(tuned)) == 12
        assert len(set(tested)) == 8


@pytest.mark.data
def test_every_picture_of_the_sets_is_there(data_dir):
    for names in SETS.values():
        for kind, stems in zip(("content", "style"), _split(names), strict=True):
            there = [path.stem for path in (data_dir / "images" / kind).iterdir()]
            assert [there.count(stem) for stem in stems] == [1] * len(stems)


def test_the_baseline_builds_and_replaces_all_that_is_measured():
    recipe = tomllib.loads((QUALITY / "findings.toml").read_text(encoding="utf-8"))
    method = build(Optimization, assign(Optimization, load_preset("fast").method, recipe))
    assert set(recipe) == set(load_preset("fast").method)
    style = method.terms["style"]
    assert len(style.layers) == 13
    assert set(style.layers.values()) == {1}
    assert method.backbone.pooling == "average"


@pytest.fixture
def run(data_dir, tmp_path, monkeypatch, capsys):
    """Calls the script for one pair of the tuning set; gives what it printed."""
    monkeypatch.syspath_prepend(QUALITY)
    spec = importlib.util.spec_from_file_location("quality_run", QUALITY / "run.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def call(*words):
        given = ["--data", str(data_dir), "--set", "tuning", "-o", str(tmp_path), "--size", "64"]
        monkeypatch.setattr(sys, "argv", ["run.py", *given, "--pair", SETS["tuning"][0], *words])
        script.main()
        return capsys.readouterr().out

    return call


@pytest.mark.data
def test_a_pair_is_done_once_for_each_way_of_doing_it(run, tmp_path):
    pair = SETS["tuning"][0]
    picture, result = (tmp_path / f"{pair}{suffix}" for suffix in (".png", ".json"))
    printed = run("--steps", "1")
    assert printed.splitlines()[-1].startswith("| mean |")
    assert set(json.loads(result.read_text())["values"]) == {
        "style-gram",
        "style-moments",
        "cfsd",
        "high-frequency",
    }
    before = picture.stat().st_mtime_ns, result.read_text()
    assert run("--steps", "1") == printed
    assert (picture.stat().st_mtime_ns, result.read_text()) == before
    assert run("--steps", "1", "--change", "optimizer.lr=0.06") != printed
    assert picture.stat().st_mtime_ns > before[0]
    done = picture.stat().st_mtime_ns
    run("--steps", "1", "--recipe", "findings", "--again")
    assert picture.stat().st_mtime_ns > done
    assert json.loads(result.read_text())["job"]["stylization"]["method"]["backbone"]["name"] == "vgg19"
