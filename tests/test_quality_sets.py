"""The sets that quality is measured on: that tuning says nothing of the test."""

import tomllib
from pathlib import Path

import pytest

from velatura.engine.optimization import Optimization
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
    assert sum(style.layers.values()) == pytest.approx(1)
    assert method.backbone.pooling == "average"
