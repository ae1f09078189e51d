"""The search for the recipe: that each variant is what its table says, and that each is reported."""

import importlib.util
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from velatura.backbones import build_backbone
from velatura.core.errors import ConfigError
from velatura.engine.method import Optimization
from velatura.engine.objective import Objective
from velatura.presets import Preset

QUALITY = Path(__file__).parents[1] / "benchmarks" / "quality"
NAMES = list(tomllib.loads((QUALITY / "search.toml").read_text(encoding="utf-8")))
AT_256 = {"size": 256, "threads": 1}


@pytest.fixture
def search(monkeypatch):
    monkeypatch.syspath_prepend(QUALITY)
    spec = importlib.util.spec_from_file_location("quality_search", QUALITY / "search.py")
    script = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    monkeypatch.setitem(sys.modules, "quality_search", script)
    spec.loader.exec_module(script)
    return script


def methods_of(search):
    return {
        name: search.how_to_stylize(variant, **AT_256).method
        for name, variant in search.read_variants().items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_builds_on_the_network_of_the_preset(search, name):
    method = search.how_to_stylize(search.read_variants()[name], **AT_256).method
    backbone = build_backbone(method.backbone)
    # Refuses a layer that is not there.
    Objective(backbone, method.terms)
    scales = method.pyramid.scales((192, 256), smallest_input=backbone.smallest_input(["relu5_1"]))
    assert sum(scale.steps for scale in scales) > 0


def test_no_two_variants_are_the_same(search):
    methods = methods_of(search)
    assert methods["default"] == search.stylization("fast").method
    texts = {name: repr(method) for name, method in methods.items()}
    assert len(set(texts.values())) == len(texts)
    # Names become folders, and some file systems do not tell capitals.
    assert len({name.casefold() for name in texts}) == len(texts)


def weight_of(term):
    return term.weight * sum(term.layers.values())


def test_the_style_weighs_the_same_in_every_variant(search):
    methods = methods_of(search)
    whole = weight_of(search.stylization("fast").method.terms["style"])
    for method in methods.values():
        assert weight_of(method.terms["style"]) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("adam-lr-0.06", {"optimizer", "iterates"}),
        ("lbfgs-history-30", {"optimizer"}),
        ("from-content", {"initialization"}),
        ("moments", {"terms"}),
        ("tv-0.3", {"terms"}),
        ("one-scale", {"pyramid"}),
    ],
)
def test_an_axis_leaves_the_others_alone(search, name, changed):
    methods = methods_of(search)
    names = [field.name for field in fields(Optimization)]
    assert changed == {
        each for each in names if getattr(methods[name], each) != getattr(methods["default"], each)
    }


def read_from(search, tmp_path, text):
    (tmp_path / "search.toml").write_text(text, encoding="utf-8")
    return search.read_variants(tmp_path / "search.toml")


def test_a_variant_takes_the_changes_of_the_one_that_it_is_over(search, tmp_path):
    found = read_from(
        search,
        tmp_path,
        """
        [low]
        why = "one"
        change.optimizer = { name = "adam", lr = 0.03 }
        change."pyramid.ratio" = 2.0
        [middle]
        why = "two"
        over = "low"
        change."optimizer.lr" = 0.06
        [high]
        why = "three"
        over = "middle"
        change.optimizer = "lbfgs"
        """,
    )
    middle = {"optimizer": {"name": "adam", "lr": 0.03}, "pyramid.ratio": 2.0, "optimizer.lr": 0.06}
    assert found["middle"].changes == middle
    # A value that is replaced takes with it what was set inside it, but not its neighbours.
    assert found["high"].changes == {"optimizer": "lbfgs", "pyramid.ratio": 2.0}
    assert found["low"].changes == {"optimizer": {"name": "adam", "lr": 0.03}, "pyramid.ratio": 2.0}
    assert search.how_to_stylize(found["low"], **AT_256).method.optimizer.lr == 0.03
    assert search.how_to_stylize(found["middle"], **AT_256).method.optimizer.lr == 0.06
    assert search.how_to_stylize(found["low"], **AT_256).method.optimizer.lr == 0.03


def test_factors_are_on_what_the_preset_has(search, tmp_path, monkeypatch):
    method = {"pyramid": {"steps": [40, 35]}, "terms": {"content": {"weight": 0.25, "of": "content"}}}
    preset = Preset(name="fast", title="", source="", size=512, kind="method", settings=method, sources={})
    monkeypatch.setattr(search, "load_preset", {"fast": preset}.__getitem__)
    text = """
        [one]
        why = "less"
        times."pyramid.steps" = 0.1
        times."terms.content.weight" = 2
        """
    assert read_from(search, tmp_path, text)["one"].changes == {
        "pyramid.steps": [4, 4],
        "terms.content.weight": 0.5,
    }
    for path in ("pyramid.ratio", "terms.content.of", "pyramid.steps.first", "pyramid"):
        with pytest.raises(ConfigError, match=f"no number at '{path}'"):
            read_from(search, tmp_path, f"[one]\nwhy = 'a'\ntimes.'{path}' = 2")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[one]\nwhy = 'a'\nchanges = {}",
            "unknown key of the variant one: 'changes'; did you mean 'change'",
        ),
        ("[one]\nchange = {}", "variant 'one' gives no reason"),
        ("[one]\nwhy = 'a'\nover = 'two'\n[two]\nwhy = 'b'", "unknown variant before one: 'two'"),
        ("[one]\nwhy = 'a'\nover = 'one'", "unknown variant before one: 'one'"),
    ],
)
def test_a_table_that_is_no_variant_is_refused(search, tmp_path, text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        read_from(search, tmp_path, text)


def test_pairs_are_counted_or_named_and_never_of_the_test_set(search):
    sets = tomllib.loads((QUALITY / "pairs.toml").read_text(encoding="utf-8"))
    assert search.chosen_pairs([]) == sets["tuning"]
    assert search.chosen_pairs(["2"]) == ["golden_gate+the_scream", "tubingen+starry_night"]
    assert search.chosen_pairs(["chicago+wave"]) == ["chicago+wave"]
    for words in (["0"], ["13"], [sets["test"][0]], ["chicago+wave", "2"]):
        with pytest.raises(ConfigError):
            search.chosen_pairs(words)


def test_only_the_variants_that_are_named(search):
    assert list(search.chosen_variants([])) == NAMES
    assert list(search.chosen_variants(["moments", "adam"])) == ["adam", "moments"]
    with pytest.raises(ConfigError, match="did you mean 'moments'"):
        search.chosen_variants(["moment"])


def test_a_row_has_means_and_extremes(search):
    results = [
        {
            "values": {"style-gram": 0.2, "style-moments": 0.3, "cfsd": 0.1, "high-frequency": 1.4},
            "processor_seconds": 2.0,
        },
        {
            "values": {"style-gram": 0.4, "style-moments": 0.5, "cfsd": 0.2, "high-frequency": 0.7},
            "processor_seconds": 5.0,
        },
    ]
    assert search.row("x", results) == ["x", "0.300", "0.400", "0.150", "0.700", "1.400", "3.5"]


def test_a_failure_stays_within_its_row(search):
    assert search.failed_row("x", ValueError("a | b\nc"), 4) == ["x", r"failed: a \| b c", "", ""]


@pytest.mark.data
def test_a_failing_variant_is_reported_and_the_rest_go_on(search, data_dir, tmp_path, monkeypatch, capsys):
    quick = {"pyramid.steps": [1]}
    wrong = {**quick, "terms.style.layers": {"relu9_9": 1}}
    variants = {
        "wrong": search.Variant(why="no such layer", changes=wrong),
        "right": search.Variant(why="one step", changes=quick),
    }
    monkeypatch.setattr(search, "read_variants", lambda: variants)
    words = ["--data", str(data_dir), "-o", str(tmp_path), "--size", "64", "--pairs", "1"]
    monkeypatch.setattr(sys, "argv", ["search.py", *words])
    with pytest.raises(SystemExit, match="1 of 2 variants failed: wrong"):
        search.main()
    table = (tmp_path / "search.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(f"\n{table}")
    header, _, failed, done = table.splitlines()
    assert failed.startswith("| wrong | failed: ")
    assert "relu9_9" in failed
    assert done.startswith("| right | ")
    assert [line.count("|") for line in (header, failed, done)] == [8] * 3
    picture = tmp_path / "right" / "golden_gate+the_scream.png"
    before = picture.stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", ["search.py", *words, "--variant", "right"])
    search.main()
    assert picture.stat().st_mtime_ns == before
    monkeypatch.setattr(sys, "argv", ["search.py", *words, "--variant", "right", "--again"])
    search.main()
    assert picture.stat().st_mtime_ns > before
