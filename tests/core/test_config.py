"""Configs: to plain values and back."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from annotated_types import Gt

from velatura.core.config import (
    Idle,
    PartOf,
    Setting,
    annotations_of,
    idle_settings,
    marks_of,
    to_mapping,
    without_idle,
)
from velatura.core.registry import Registry
from velatura.engine.descent import Iterates
from velatura.engine.distill import DistillationConfig
from velatura.engine.pyramid import Pyramid
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build
from velatura.jobs.stylize import Stylization, StylizeJob, stylization
from velatura.presets import preset_names

brushes: Registry = Registry("brush", home="velatura.core.config")


@brushes.register("flat")
@dataclass(frozen=True, kw_only=True)
class Flat:
    width: Annotated[float, Gt(0), Setting("Width", unit="pixels")] = 2.0


@brushes.register("round")
@dataclass(frozen=True, kw_only=True)
class Round:
    radii: Annotated[tuple[int, ...], Setting("Radii")] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Layer:
    brush: Annotated[object, PartOf(brushes), Setting("What paints")]
    opacity: Annotated[float, Setting("Opacity")] = 0.5


@dataclass(frozen=True, kw_only=True)
class Painting:
    name: Annotated[str, Setting("A name of its own")]
    layers: Annotated[Mapping[str, Layer], Setting("Layers")]
    title: Annotated[str | None, Setting("Title")] = None
    sizes: Annotated[tuple[int, int], Setting("Sizes")] = (3, 4)
    base: Annotated[Layer, Setting("Base")] = field(default_factory=lambda: Layer(brush=Flat()))


PAINTING = Painting(
    name="sea",
    layers={"waves": Layer(brush=Round(radii=(5,))), "sky": Layer(brush=Flat(width=0.1), opacity=1.0)},
)
MAPPING = {
    "name": "sea",
    "layers": {
        "waves": {"brush": {"name": "round", "radii": [5]}, "opacity": 0.5},
        "sky": {"brush": {"name": "flat", "width": 0.1}, "opacity": 1.0},
    },
    "title": None,
    "sizes": [3, 4],
    "base": {"brush": {"name": "flat", "width": 2.0}, "opacity": 0.5},
}


def test_a_config_by_hand():
    assert to_mapping(PAINTING) == MAPPING
    assert build(Painting, MAPPING) == PAINTING


@pytest.mark.parametrize("value", [3, 0.1, "text", None, True, [1, [2]], {"a": {"b": 1}}])
def test_plain_values_stay_as_they_are(value):
    assert to_mapping(value) == value


def test_a_class_is_no_config():
    assert to_mapping(Flat) is Flat


@pytest.mark.parametrize("preset", preset_names("method"))
def test_every_preset_goes_to_json_and_back(preset):
    how = stylization(preset, seed=3, blend=[0.25, 0.75], size=64)
    assert build(Stylization, json.loads(json.dumps(to_mapping(how)))) == how


def test_a_whole_job_goes_to_json_and_back():
    job = StylizeJob(
        content="a.jpg",
        styles=("b.jpg", "c.jpg"),
        output="d.png",
        stylization=stylization("fast", changes={"optimizer.name": "lbfgs", "iterates.clamp": "end"}),
        saving=Saving(bits=16, save_every=5, save_pattern="{step}.png"),
    )
    assert build(StylizeJob, json.loads(json.dumps(to_mapping(job)))) == job


def test_a_distillation_goes_to_json_and_back():
    config = dataclasses.replace(DistillationConfig(), widths=(1, 2, 3, 4, 5), lr=1e-4)
    assert build(DistillationConfig, json.loads(json.dumps(to_mapping(config)))) == config


# Settings that do nothing beside others


@dataclass(frozen=True, kw_only=True)
class Varnish:
    finish: Annotated[str, Setting("Matt, gloss or none")] = "none"
    thickness: Annotated[float, Setting("How thick", unit="mm"), Idle("finish", ("none", "wax"))] = 0.1
    coats: Annotated[tuple[int, ...], Setting("Coats"), Idle("finish", ("wax",), first_counts=True)] = (1, 2)
    over: Annotated[str | None, Setting("What it goes over")] = None
    drying: Annotated[float, Setting("Hours"), Idle("over", (None,))] = 2.0


def idle_marks(config_class):
    """Field and mark, for each."""
    annotated = [(name, mark) for name, of in annotations_of(config_class).items() for mark in marks_of(of)]
    return [(name, mark) for name, mark in annotated if isinstance(mark, Idle)]


@pytest.mark.parametrize(
    ("values", "counting"),
    [
        ({}, {}),
        ({"finish": "gloss", "thickness": 1, "coats": [3, 4]},) * 2,
        ({"finish": "wax", "thickness": 1, "coats": [3, 4]}, {"finish": "wax", "coats": [3]}),
        ({"finish": "wax", "coats": (3,)}, {"finish": "wax", "coats": (3,)}),
        ({"thickness": 1, "drying": 3}, {}),
        ({"over": "gold", "drying": 3},) * 2,
        ({"drying": None},) * 2,
    ],
)
def test_what_is_idle_goes_and_defaults_decide_where_nothing_is_said(values, counting):
    assert without_idle(Varnish, values) == counting
    assert {name for name, _, _ in idle_settings(Varnish, values)} == {
        name for name in values if values[name] != counting.get(name)
    }


def test_what_is_to_be_kept_stays():
    assert without_idle(Varnish, {"thickness": 1, "drying": 3}, kept=["drying"]) == {"drying": 3}


def test_a_mapping_leaves_out_what_is_idle_and_builds_again():
    assert to_mapping(Varnish(finish="wax")) == {"finish": "wax", "coats": [1], "over": None}
    assert build(Varnish, to_mapping(Varnish())) == Varnish()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("thickness", "no effect where finish is none or wax"),
        ("coats", "no effect beyond the first where finish is wax"),
        ("drying", "no effect where over is unset"),
    ],
)
def test_a_mark_says_when(field, text):
    assert str(dict(idle_marks(Varnish))[field]) == text


@pytest.mark.parametrize("config_class", [Iterates, Pyramid, Saving, DistillationConfig])
def test_marks_name_another_field_and_values_that_it_takes(config_class):
    found = idle_marks(config_class)
    assert found
    for name, idle in found:
        assert idle.beside != name
        for value in idle.values:
            build(config_class, {idle.beside: value})
