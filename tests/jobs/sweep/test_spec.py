"""What a sweep's file may say, and how what it may not is answered: with the line."""

import re

import pytest

from velatura.core.errors import ConfigError, WeightsError
from velatura.jobs.sweep import load_sweep

WHOLE = """\
title: All that there is
source: Somebody 2020
note: As they did.
base:
  preset: fast
  size: 64
axes:
  strength: [0.5, 2]
  terms.style.weight: {from: 1, to: 100, num: 3}
  optimizer:
    paired:
      optimizer.name: [lbfgs, adam]
      optimizer.lr: [1, 0.1]
    labels: [L-BFGS, Adam]
pairs:
  - {content: photo.png, style: painting.png}
  - {content: old-town, style: "*.png"}
seeds: 2
metrics:
  style-gram: {judge: vgg19-slim, size: 48}
  rmse:
published:
  - at: {optimizer: Adam, strength: 2}
    values: {rmse: 0.5}
    source: page 3
reduced:
  size: 32
  steps: 3
  axes:
    strength: [0.6, 1.5]
  note: With less.
"""


def test_a_whole_sweep(spec):
    sweep = load_sweep(
        spec(WHOLE.replace("optimizer.history: 4", "strength: 1").replace("  strength: 1\n", ""))
    )
    assert (sweep.title, sweep.source, sweep.notes) == (
        "All that there is",
        "Somebody 2020",
        ("As they did.",),
    )
    assert [axis.labels for axis in sweep.axes] == [("0.5", "2"), ("1", "10", "100"), ("L-BFGS", "Adam")]
    assert [pair.name for pair in sweep.pairs] == ["photo+painting", "old-town+painting", "old-town+photo"]
    assert sweep.seeds == (0, 1)
    assert (sweep.num_points, sweep.num_cells) == (12, 72)
    assert sweep.evaluation.metrics["style-gram"].metric.size == 48
    assert sweep.evaluation.metrics["rmse"].judge is None
    last = list(sweep.points())[-1]
    how = sweep.stylization(last)
    assert (how.strength, how.size, how.threads, how.precision) == (2, 64, 1, "float32")
    assert how.method.terms["style"].weight == 100
    assert (how.method.optimizer.name, how.method.optimizer.lr) == ("adam", 0.1)
    assert [one.values for one in sweep.published_at(last)] == [{"rmse": 0.5}]
    first = next(sweep.points())
    assert sweep.published_at(first) == ()


def test_its_reduced_form(spec):
    sweep = load_sweep(spec(WHOLE), reduced=True)
    last = list(sweep.points())[-1]
    how = sweep.stylization(last)
    assert (how.size, how.method.pyramid.steps, how.strength) == (32, (3,), 1.5)
    # A value in the place of another keeps what was published for that.
    assert [one.source for one in sweep.published_at(last)] == ["page 3"]
    assert sweep.notes[1:] == (
        "With less.",
        "Reduced form: size 32, steps 3; without --reduced the whole form is run.",
    )


def test_changes_are_laid_over_the_base_and_said(spec):
    sweep = load_sweep(spec(), changes={"size": 48, "optimizer.lr": 0.5})
    how = sweep.stylization(next(sweep.points()))
    assert (how.size, how.method.optimizer.lr) == (48, 0.5)
    assert sweep.notes == ("Set by hand: size = 48.", "Set by hand: optimizer.lr = 0.5.")


def test_other_pictures_in_the_place_of_its_own(spec, tmp_path):
    sweep = load_sweep(spec(), contents="mountain-lake", styles=str(tmp_path / "*.png"))
    assert [pair.name for pair in sweep.pairs] == ["mountain-lake+painting", "mountain-lake+photo"]


def test_without_pictures_it_runs_on_samples(spec):
    text = "base: {size: 32}\naxes: {strength: [1]}\n"
    assert [pair.name for pair in load_sweep(spec(text)).pairs] == [
        "mountain-lake+flowing-strokes",
        "old-town+stained-glass",
    ]


BASE = "base: {preset: fast, size: 32}\naxes:\n  strength: [1, 2]\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("titel: x\n" + BASE, 1, "unknown field 'titel'; did you mean 'title'?"),
        (BASE + "reduced:\n  stepps: 3\n", 5, "unknown field 'stepps'; did you mean 'steps'?"),
        ("base: {size: 32}\naxes: {}\n", 2, "no axis, so that the grid is empty"),
        ("base: {size: 32}\n", 1, "no axis, so that the grid is empty"),
        ("axes:\n  strength: []\n", 2, "this axis has no values, so that the grid is empty"),
        ("axes:\n  strength: {from: 1, to: 2, num: 0}\n", 2, "leaves the grid empty"),
        ("axes:\n  strength: {from: 0, to: 2, num: 3}\n", 2, "from: expected a number above 0"),
        ("axes:\n  strength: {from: 1, to: 2, num: 100001}\n", 2, "num: expected 100000 values at most"),
        ("axes:\n  strength: 3\n", 2, "expected a list of values or from, to and num"),
        ("axes:\n  strength: {form: 1}\n", 2, "unknown field 'form'; did you mean 'from'?"),
        ("axes:\n  strength: [1, 1]\n", 2, "two values are called '1'"),
        (
            "axes:\n  a:\n    paired:\n      strength: [1]\n      size: [1, 2]\n",
            3,
            "strength has 1, size has 2",
        ),
        ("axes:\n  a: {paired: {strength: [1]}, labels: [x, y]}\n", 2, "expected a list of 1 labels"),
        ("axes:\n  strength: [1]\n  a: {paired: {strength: [2]}}\n", 3, "varied by 'strength' already"),
        ("combine: paired\naxes:\n  strength: [1]\n  size: [32, 64]\n", 1, "as many values each"),
        ("combine: mixed\n" + BASE, 1, "expected crossed or paired, not 'mixed'"),
        (BASE + "seeds: []\n", 4, "no seed is left"),
        (BASE + "seeds: 0\n", 4, "no seed is left"),
        (BASE + "seeds: [a]\n", 4, "expected how many seeds"),
        (BASE + "metrics: [style-grm]\n", 4, "unknown metric 'style-grm'; did you mean 'style-gram'?"),
        (BASE + "metrics:\n  rmse: {judge: vgg19}\n", 4, "compares pixels and asks no network"),
        (BASE + "metrics: [rmse]\nreference: {folder: none}\n", 5, "there is no folder"),
        (BASE + "metrics:\n  style-gram: {jugde: x}\n", 5, "unknown setting 'jugde'; did you mean 'judge'?"),
        (BASE + "seeds: -1\n", 4, "expected how many seeds or a list of them"),
        (BASE + "metrics: [rmse]\nreference: {preset: fsat}\n", 5, "unknown preset 'fsat'"),
        (
            BASE + "metrics: [rmse]\nreference: {settings: {}}\n",
            5,
            "expected a preset that makes",
        ),
        (BASE + "metrics: [style-gram]\nreference: {preset: fast}\n", 5, "none of these metrics compares"),
        (BASE + "pairs:\n  - {content: mountain-lak, style: mosaic}\n", 5, "did you mean 'mountain-lake'?"),
        (BASE + "pairs:\n  - {content: none/*.png, style: mosaic}\n", 5, "no picture is found"),
        (BASE + "pairs:\n  - {content: mosaic}\n", 5, "expected a picture's file"),
        (BASE + "pairs: []\n", 4, "there is no pair of pictures"),
        (
            BASE + "published:\n  - {at: {strength: 3}, values: {}, source: x}\n",
            5,
            "value of strength '3'",
        ),
        (BASE + "published:\n  - {at: {strength: 1}, values: {}}\n", 5, "need their source"),
        (BASE + "published:\n  - {at: {}, values: {ssim: 1}, source: x}\n", 4, "metric of this sweep 'ssim'"),
        ("base: {seed: 3}\naxes: {strength: [1]}\n", 1, "seeds stand in its field 'seeds'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(spec, text, line, message):
    path = spec("a: b\n")
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_sweep(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("base:\n  preset: fast\n  optimizer.lrr: 1\naxes:\n  strength: [1]\n", 3, "did you mean 'lr'?"),
        (
            "base:\n  optimizer.lr: -1\naxes:\n  strength: [1]\n",
            2,
            "input should be greater than 0",
        ),
        ("base:\n  preset: fsat\naxes:\n  strength: [1]\n", 2, "unknown preset 'fsat'; did you mean 'fast'?"),
        ("base: {}\naxes:\n  strength: [1]\n  optimizer.histry: [1, 2]\n", 4, "did you mean 'history'?"),
        ("base: {}\naxes:\n  strenth: [1]\n", 3, "unknown setting 'strenth'; did you mean 'strength'?"),
        ("base:\n  siez: 64\naxes:\n  strength: [1]\n", 2, "unknown setting 'siez'; did you mean 'size'?"),
        (
            "base:\n  color.nam: luminance\naxes:\n  strength: [1]\n",
            2,
            "color: unknown setting 'nam'; did you mean 'name'?",
        ),
        (
            "axes:\n  strength: [1]\nbase:\n  terms.smoothness:\n    of: nothing\n    loss:\n"
            "      name: total_variation\n      reductoin: mean\n    layers: {image: 1}\n",
            8,
            "unknown setting 'reductoin'; did you mean 'reduction'?",
        ),
        ("base: {}\naxes:\n  strength: [1, 1000]\n", 3, "less than or equal to 100"),
    ],
)
def test_a_setting_that_is_wrong_is_said_with_its_line(spec, text, line, message):
    path = spec("a: b\n")
    path.write_text(text)
    sweep = load_sweep(path)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        list(map(sweep.stylization, sweep.points()))
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_change_of_what_is_varied_is_refused(spec):
    with pytest.raises(ConfigError, match=r"^--set strength: this sweep varies it"):
        load_sweep(spec(), changes={"strength": 1})


def test_a_sweep_without_a_reduced_form(spec):
    with pytest.raises(ConfigError, match="has no reduced form"):
        load_sweep(spec(), reduced=True)


def test_reduced_values_for_published_ones_are_as_many(spec):
    text = WHOLE.replace("[0.6, 1.5]", "[0.6]")
    with pytest.raises(ConfigError, match=r"sweep.yaml:30: 1 values stand for 2 that were published"):
        load_sweep(spec(text), reduced=True)


def test_an_unknown_name_answers_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'li2018-pooling'"):
        load_sweep("li2018-poolin")
    with pytest.raises(ConfigError, match="expected a sweep in YAML"):
        load_sweep("./sweep.toml")


def test_a_reference_whose_network_is_missing_is_said_before_anything_runs(spec, monkeypatch):
    text = BASE + "metrics: [rmse]\nreference: {preset: instant}\n"
    monkeypatch.setattr("velatura.jobs.models.find", lambda name: None)
    with pytest.raises(WeightsError, match=r"^the reference of .*sweep.yaml cannot be made: adain-slim"):
        load_sweep(spec(text))


def test_the_command_that_runs_it_is_kept(spec):
    path = spec(WHOLE)
    changes = {"optimizer.history": 4, "pyramid.steps": [3]}
    sweep = load_sweep(path, reduced=True, changes=changes, contents="old-town", styles="mosaic")
    assert sweep.command == (
        *("velatura", "sweep", str(path), "--reduced"),
        *("--set", "optimizer.history=4", "--set", "pyramid.steps=[3]"),
        *("--content", "old-town", "--style", "mosaic"),
    )
    assert sweep.notes[-2:] == (
        "Chosen by hand: photographs from old-town.",
        "Chosen by hand: paintings from mosaic.",
    )
    assert load_sweep({"axes": {"strength": [1]}}).command == ()


def test_the_last_loss_may_be_published(spec):
    text = WHOLE.replace("values: {rmse: 0.5}", "values: {loss: 0.5}")
    last = list(load_sweep(spec(text)).points())[-1]
    assert load_sweep(spec(text)).published_at(last)[0].values == {"loss": 0.5}
