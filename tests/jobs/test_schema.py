import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Len
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.core.config import Idle, PartOf, Setting, to_mapping
from velatura.core.errors import ConfigError
from velatura.core.registry import Registry
from velatura.engine.method import Optimization
from velatura.jobs.schema import assign, build, help_of, parse_assignment
from velatura.jobs.stylize import StylizeJob, stylization
from velatura.losses import losses
from velatura.optimizers import optimizers
from velatura.presets import load_preset, preset_names

brushes = Registry("brush", home="json")


@brushes.register("round")
@dataclass(frozen=True, kw_only=True)
class Round:
    width: Annotated[float, Gt(0), Setting("How wide", unit="pixels")] = 2.0


@brushes.register("flat")
@dataclass(frozen=True, kw_only=True)
class Flat:
    width: Annotated[float, Gt(0), Setting("How wide", unit="pixels")] = 3.0
    angle: Annotated[int, Interval(ge=0, lt=180), Setting("Direction")] = 0
    stroke: Annotated[Literal["dab", "pull"], Setting("How it moves")] = "pull"
    length: Annotated[float, Gt(0), Setting("How far", unit="pixels"), Idle("stroke", ("dab",))] = 9.0


@dataclass(frozen=True, kw_only=True)
class Layer:
    opacity: Annotated[float, Interval(ge=0, le=1), Setting("How much covers")]
    colors: Annotated[tuple[int, ...], Len(1), Setting("Colours")] = (1,)


@dataclass(frozen=True, kw_only=True)
class Painting:
    title: Annotated[str, Setting("What it is called")]
    brush: Annotated[object, PartOf(brushes), Setting("What with")]
    layers: Annotated[Mapping[str, Layer], Setting("Glazes by name")] = field(default_factory=dict)
    ground: Annotated[Layer, Setting("The first layer")] = field(default_factory=lambda: Layer(opacity=1))
    size: Annotated[int | None, Ge(1), Setting("Longer edge")] = None
    shares: Annotated[Mapping[str, Annotated[float, Ge(0)]], Setting("Pigments")] = field(
        default_factory=dict
    )
    finish: Annotated[Literal["matt", "gloss"], Setting("Varnish")] = "matt"
    coats: Annotated[
        tuple[int, ...], Setting("Layers of it"), Idle("finish", ("matt",), first_counts=True)
    ] = (1, 2)


PLAIN = {"title": "Sea", "brush": {"name": "flat", "angle": 45}}


# build: what fits


def test_a_mapping_becomes_the_config_with_its_defaults():
    assert build(Painting, PLAIN) == Painting(title="Sea", brush=Flat(width=3.0, angle=45))


def test_a_part_is_named_alone_where_its_defaults_will_do():
    assert build(Painting, {**PLAIN, "brush": "round"}).brush == Round()


def test_groups_and_mappings_of_groups_become_configs():
    made = build(
        Painting, {**PLAIN, "ground": {"opacity": 0.5}, "layers": {"sky": {"opacity": 1, "colors": [1, 2]}}}
    )
    assert made.ground == Layer(opacity=0.5)
    assert made.layers == {"sky": Layer(opacity=1.0, colors=(1, 2))}


def test_a_new_group_may_have_a_name_like_another_s():
    made = build(Painting, {**PLAIN, "layers": {"sky": {"opacity": 1}, "sky2": {"opacity": 0.5}}})
    assert list(made.layers) == ["sky", "sky2"]


def test_finished_configs_are_taken_as_they_are():
    ground, sky, brush = Layer(opacity=0.1), Layer(opacity=0.2), Flat(angle=7)
    made = build(Painting, {"title": "Sea", "brush": brush, "ground": ground, "layers": {"sky": sky}})
    assert (made.ground, made.layers["sky"], made.brush) == (ground, sky, brush)


def test_a_whole_number_serves_as_a_float_and_none_where_it_is_allowed():
    made = build(Painting, {**PLAIN, "shares": {"ochre": 2}, "size": None})
    assert (made.shares, made.size) == ({"ochre": 2.0}, None)
    assert isinstance(made.shares["ochre"], float)


# build: what does not


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sise": 3}, r"^unknown setting 'sise'; did you mean 'size'\? \(known: brush, coats, "),
        ({"mask": "face.png"}, r"^unknown setting 'mask'"),
        ({"ground": {"opcity": 1}}, r"^ground: unknown setting 'opcity'; did you mean 'opacity'\?"),
        ({"brush": {"name": "flat", "angel": 1}}, r"^brush: unknown setting 'angel'; did you mean 'angle'\?"),
        ({"brush": {"name": "round", "angle": 1}}, r"^brush: unknown setting 'angle' \(known: width\)$"),
        (
            {"layers": {"sky": {"opacity": 1, "colour": 1}}},
            r"^layers.sky: unknown setting 'colour'; did you mean 'colors'\?",
        ),
        ({"brush": "flatt"}, r"^unknown brush 'flatt'; did you mean 'flat'\? \(known: flat, round\)$"),
        ({"brush": {"angle": 3}}, r"^brush names no brush; set brush.name$"),
        ({"brush": 3}, r"^brush is a group of settings; set one of its fields, not 3$"),
        ({"brush": Layer(opacity=1)}, r"^brush is a group of settings"),
        ({"ground": 3}, r"^ground is a group of settings; set one of its fields, not 3$"),
        ({"ground": {}}, r"^setting 'ground.opacity' is missing$"),
        ({"layers": {"sky": {}}}, r"^setting 'layers.sky.opacity' is missing$"),
        ({"layers": [1]}, r"^layers is a group of settings"),
        ({"title": 3}, r"^title: input should be a valid string, not 3$"),
        ({"size": "large"}, r"^size: input should be a valid integer.*, not 'large'$"),
        ({"size": 2.5}, r"^size: input should be a valid integer.*, not 2.5$"),
        ({"size": 0}, r"^size: input should be greater than or equal to 1, not 0$"),
        ({"ground": {"opacity": 1.5}}, r"^ground.opacity: input should be less than or equal to 1, not 1.5$"),
        ({"ground": {"opacity": 1, "colors": []}}, r"^ground.colors: tuple should have at least 1 item"),
        (
            {"ground": {"opacity": 1, "colors": [1, "x"]}},
            r"^ground.colors.1: input should be a valid integer",
        ),
        ({"shares": {"ochre": -1}}, r"^shares.ochre: input should be greater than or equal to 0, not -1$"),
        ({"finish": "satin"}, r"^finish: input should be 'matt' or 'gloss', not 'satin'$"),
        ({"finish": "glos"}, r"^finish: input should be .*, not 'glos'; did you mean 'gloss'\?$"),
        (
            {"layers": {"sky": {"opacity": 1}, "sk": {"colors": [2]}}},
            r"^layers has no 'sk' yet; did you mean 'sky'\? \(a new one needs opacity\)$",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_path(change, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        build(Painting, {**PLAIN, **change})
    assert "\n" not in str(caught.value)


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError, match=r"^setting 'brush' is missing$"):
        build(Painting, {"title": "Sea"})


def test_paths_begin_where_the_caller_says():
    with pytest.raises(ConfigError, match=r"^work.ground.opacity: "):
        build(Painting, {**PLAIN, "ground": {"opacity": -1}}, at="work")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"ground": {"opacity": value}},
        lambda value: {"brush": {"name": "flat", "width": value}},
        lambda value: {"shares": {"ochre": value}},
    ],
)
def test_numbers_are_finite(place, value):
    with pytest.raises(ConfigError, match="input should be"):
        build(Painting, {**PLAIN, **place(value)})


# assign


def test_values_are_set_at_dotted_paths_and_the_rest_stays():
    base = {"title": "Sea", "brush": {"name": "flat", "angle": 45}, "layers": {"sky": {"opacity": 1}}}
    changed = assign(Painting, base, {"brush.width": 5, "layers.sky.opacity": 0.5, "shares.ochre": 2})
    assert changed == {
        "title": "Sea",
        "brush": {"name": "flat", "angle": 45, "width": 5},
        "layers": {"sky": {"opacity": 0.5}},
        "shares": {"ochre": 2},
    }
    assert base["layers"] == {"sky": {"opacity": 1}}


def test_a_table_replaces_a_table():
    base = {"shares": {"ochre": 1, "umber": 2}}
    assert assign(Painting, base, {"shares": {"azurite": 3}}) == {"shares": {"azurite": 3}}


def test_another_name_drops_the_settings_of_the_part_before():
    base = {"brush": {"name": "flat", "angle": 45}}
    assert assign(Painting, base, {"brush.name": "round"}) == {"brush": {"name": "round"}}
    assert assign(Painting, base, {"brush": "round"}) == {"brush": "round"}


def test_the_same_name_keeps_them():
    base = {"brush": {"name": "flat", "angle": 45}}
    assert assign(Painting, base, {"brush.name": "flat"}) == base


def test_a_part_by_its_bare_name_takes_settings():
    assert assign(Painting, {"brush": "flat"}, {"brush.angle": 3}) == {"brush": {"name": "flat", "angle": 3}}


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"brush.name": "flat", "brush.angle": 90}, {"brush": {"name": "flat", "angle": 90}}),
        ({"brush": "flat", "brush.angle": 90}, {"brush": {"name": "flat", "angle": 90}}),
        (
            {"ground": {"opacity": 1, "colors": [2]}, "ground.opacity": 0.5},
            {"brush": "round", "ground": {"opacity": 0.5, "colors": [2]}},
        ),
    ],
)
def test_the_order_of_changes_does_not_matter(changes, result):
    backwards = dict(reversed(changes.items()))
    assert assign(Painting, {"brush": "round"}, changes) == result
    assert assign(Painting, {"brush": "round"}, backwards) == result


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("sise", r"^unknown setting 'sise'; did you mean 'size'\?"),
        ("ground.opcity", r"^ground: unknown setting 'opcity'; did you mean 'opacity'\?"),
        ("brush.angel", r"^brush: unknown setting 'angel'; did you mean 'angle'\?"),
        ("layers.sky.opcity", r"^layers.sky: unknown setting 'opcity'; did you mean 'opacity'\?"),
        ("title.x", r"^title is a single value and has no setting 'x'$"),
        ("brush.angle.x", r"^brush.angle is a single value and has no setting 'x'$"),
        ("title.x.y", r"^title is a single value and has no setting 'x'$"),
    ],
)
def test_a_path_that_leads_nowhere_is_answered(path, complaint):
    base = {"title": "Sea", "brush": {"name": "flat"}}
    with pytest.raises(ConfigError, match=complaint):
        assign(Painting, base, {path: 1})


def test_a_part_without_a_name_takes_no_settings():
    with pytest.raises(ConfigError, match=r"^brush names no brush; set brush.name$"):
        assign(Painting, {}, {"brush.angle": 1})


# Settings without effect


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"brush": {"name": "flat", "stroke": "dab", "length": 9}},
            "^brush.length has no effect where stroke is dab; leave that out, or change brush.stroke$",
        ),
        (
            {"coats": [3, 1]},
            "^coats has no effect beyond the first where finish is matt; leave that out, or change finish$",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(change, complaint):
    with pytest.raises(ConfigError, match=complaint):
        build(Painting, {**PLAIN, **change})


def test_defaults_and_what_has_effect_are_not():
    build(Painting, {**PLAIN, "brush": {"name": "flat", "stroke": "dab"}, "coats": [3]})
    build(Painting, {**PLAIN, "brush": {"name": "flat", "length": 2}, "finish": "gloss", "coats": [3, 1]})


def test_a_change_of_the_wrong_type_is_answered_as_ever():
    with pytest.raises(ConfigError, match=r"^coats: input should be a valid tuple, not 3$"):
        build(Painting, assign(Painting, PLAIN, {"coats": 3}))


DABS = {"brush.stroke": "dab", "finish": "matt"}
LONG = {"title": "Sea", "brush": {"name": "flat", "length": 5}, "finish": "gloss", "coats": [3, 1]}


def test_a_change_drops_what_it_leaves_without_effect():
    changed = assign(Painting, LONG, DABS)
    assert changed == {
        "title": "Sea",
        "brush": {"name": "flat", "stroke": "dab"},
        "finish": "matt",
        "coats": [3],
    }
    build(Painting, changed)


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ({"brush.length": 5}, "^brush.length has no effect"),
        ({"brush": {"name": "flat", "length": 5}}, "^brush.length has no effect"),
        ({"coats": [2, 2]}, "^coats has no effect beyond the first"),
    ],
)
def test_but_not_what_is_changed_itself(own, complaint):
    for changes in ({**DABS, **own}, {**own, **DABS}):
        with pytest.raises(ConfigError, match=complaint):
            build(Painting, assign(Painting, LONG, changes))


# parse_assignment


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("optimizer.lr=0.05", "optimizer.lr", 0.05),
        ("pyramid.steps = [10, 5]", "pyramid.steps", [10, 5]),
        ("backbone.rescale=true", "backbone.rescale", True),
        ("backbone.name=vgg19", "backbone.name", "vgg19"),
        ('backbone.name="vgg19"', "backbone.name", "vgg19"),
        ("backbone.weights=my files/a=b.pth", "backbone.weights", "my files/a=b.pth"),
        ("terms.style.layers={ relu1_1 = 1 }", "terms.style.layers", {"relu1_1": 1}),
        ("title=", "title", ""),
        ("size=1\nother=2", "size", "1\nother=2"),
    ],
)
def test_an_assignment_is_a_path_and_a_toml_value_or_a_string(text, path, value):
    assert parse_assignment(text) == (path, value)


@pytest.mark.parametrize("text", ["optimizer.lr", "=3", " = 3", ""])
def test_what_is_no_assignment_is_shown_one(text):
    with pytest.raises(ConfigError, match=r"^expected KEY=VALUE, such as optimizer.lr=0.05, not "):
        parse_assignment(text)


def test_nan_can_be_written_and_is_refused():
    path, value = parse_assignment("brush.width=nan")
    with pytest.raises(ConfigError, match=r"^brush.width: input should be a finite number"):
        build(Painting, assign(Painting, PLAIN, {path: value}))


# help_of


@pytest.mark.parametrize(
    ("config", "name", "text"),
    [
        (Flat, "width", "How wide (pixels, above 0)"),
        (Flat, "angle", "Direction (at least 0, below 180)"),
        (Layer, "opacity", "How much covers (at least 0, at most 1)"),
        (Layer, "colors", "Colours"),
        (Painting, "size", "Longer edge (at least 1)"),
        (Flat, "length", "How far (pixels, above 0, no effect where stroke is dab)"),
    ],
)
def test_help_says_what_in_which_unit_and_range(config, name, text):
    assert help_of(config, name) == text


def test_large_bounds_are_powers_of_two_where_they_are():
    @dataclass(frozen=True, kw_only=True)
    class Bounds:
        seed: Annotated[int, Interval(ge=0, lt=2**63), Setting("Seed")] = 0
        count: Annotated[int, Interval(le=3_000_000), Setting("Count")] = 0

    assert help_of(Bounds, "seed") == "Seed (at least 0, below 2^63)"
    assert help_of(Bounds, "count") == "Count (at most 3e+06)"


# Whole configs


@pytest.mark.parametrize("preset", preset_names("method"))
def test_a_preset_survives_the_trip_through_json(preset):
    how = stylization(preset)
    method = json.loads(json.dumps(to_mapping(how.method)))
    assert build(Optimization, method) == how.method


@settings(max_examples=40, deadline=None)
@given(
    preset=st.sampled_from(preset_names("method")),
    optimizer=st.sampled_from(sorted(optimizers)),
    loss=st.sampled_from(sorted(losses)),
    weight=st.floats(0, 1e9),
    layers=st.dictionaries(st.sampled_from(["relu1_1", "relu3_2", "image"]), st.floats(0, 10), min_size=1),
    steps=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    result=st.sampled_from(["average", "last", "best"]),
    blend=st.none() | st.lists(st.floats(0, 5), min_size=1, max_size=3),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_job_survives_the_trip_through_json(
    preset, optimizer, loss, weight, layers, steps, result, blend, seed
):
    changes = {
        "optimizer.name": optimizer,
        "terms.extra": {"of": "style", "loss": loss, "layers": layers},
        "terms.content.weight": weight,
        "pyramid.steps": steps,
        "pyramid.smallest": 0 if len(steps) == 1 else 64,
        "iterates.result": result,
    }
    how = stylization(preset, changes=changes, blend=blend, seed=seed)
    job = StylizeJob(content="a b.png", styles=("c.jpg", "d.jpg"), output="e.png", stylization=how)
    assert build(StylizeJob, json.loads(json.dumps(to_mapping(job)))) == job


def test_the_preset_itself_is_not_changed_by_what_is_laid_over_it():
    before = json.dumps(to_mapping(load_preset("fast").method))
    stylization(changes={"optimizer.lr": 1, "terms.style.layers.relu1_1": 0})
    assert json.dumps(to_mapping(load_preset("fast").method)) == before


def test_nor_are_the_changes_themselves():
    changes = {"optimizer": {"name": "adam", "lr": 0.03}, "optimizer.lr": 0.06}
    changed = assign(Optimization, load_preset("fast").method, changes)
    assert changed["optimizer"] == {"name": "adam", "lr": 0.06}
    assert changes["optimizer"] == {"name": "adam", "lr": 0.03}
