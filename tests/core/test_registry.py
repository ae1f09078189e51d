"""Registries: names to parts, imported on the first look-up, and open to other packages."""

import importlib
import sys
import threading
from types import SimpleNamespace

import pytest

from velatura.core.errors import ConfigError, VelaturaError
from velatura.core.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an importable package ``parts_of_<test>`` that owns the registry ``shapes``."""
    made = []

    def make(name, **modules):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text(
            f"from velatura.core.registry import Registry\nshapes = Registry('shape', home='{name}')\n"
        )
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(f"from {name} import shapes\n{text}\n")
        made.append(name)
        return importlib.import_module(name).shapes

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for module in [module for module in sys.modules if module.partition(".")[0] in made]:
        del sys.modules[module]


@pytest.fixture
def plug_ins(monkeypatch):
    """Pretends that other packages are installed, and tells which groups were asked for."""
    asked, points = [], []

    def entry_points(*, group):
        asked.append(group)
        return points

    monkeypatch.setattr("velatura.core.registry.entry_points", entry_points)
    return SimpleNamespace(asked=asked, points=points)


CIRCLE = "@shapes.register('circle')\nclass Circle: pass"
SQUARE = "@shapes.register('square')\nclass Square: pass"


def test_parts_are_found_by_name(package):
    shapes = package("found", round=CIRCLE, straight=SQUARE)
    assert shapes["circle"].__name__ == "Circle"
    assert list(shapes) == ["circle", "square"]
    assert len(shapes) == 2
    assert "square" in shapes
    assert "triangle" not in shapes


def test_a_class_learns_its_name_and_other_parts_stay_as_they_are(package):
    shapes = package("named", round=CIRCLE, made="@shapes.register('oval')\ndef oval(): return 'an oval'")
    assert shapes["circle"].name == "circle"
    assert shapes["oval"]() == "an oval"


def test_modules_are_imported_on_the_first_look_up(package):
    shapes = package("lazy", round=CIRCLE)
    assert "lazy.round" not in sys.modules
    assert "circle" in shapes
    assert "lazy.round" in sys.modules


def test_a_module_can_be_a_home_too(package):
    package("single", inner="from velatura.core.registry import Registry\n"
            "dots = Registry('dot', home='single.inner')\n"
            "@dots.register('small')\nclass Small: pass")  # fmt: skip
    dots = importlib.import_module("single.inner").dots
    assert list(dots) == ["small"]


def test_a_name_is_taken_once(package):
    shapes = package("twice", round=CIRCLE)
    shapes.register("square")(object())
    with pytest.raises(ValueError, match="shape 'square' is registered twice"):
        shapes.register("square")(object())


def test_a_cell_of_a_notebook_may_be_run_again(package):
    shapes = package("again", round=CIRCLE)

    def define(module, name="Square"):
        return type(name, (), {"__module__": module, "__qualname__": name})

    shapes.register("square")(define("__main__"))
    newer = shapes.register("square")(define("__main__"))
    assert shapes["square"] is newer
    for other in (define("__main__", "Box"), define("elsewhere")):
        with pytest.raises(ValueError, match="shape 'square' is registered twice"):
            shapes.register("square")(other)
    with pytest.raises(ValueError, match="shape 'circle' is registered twice"):
        shapes.register("circle")(define("__main__", "Circle"))


def test_a_name_taken_by_two_modules_is_refused(package):
    shapes = package("double", one=CIRCLE, two=CIRCLE)
    for _ in range(2):
        with pytest.raises(ValueError, match="shape 'circle' is registered twice"):
            shapes["circle"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cirlce", "; did you mean 'circle'?"), ("squares", "; did you mean 'square'?"), ("xyz", ""), ("", "")],
)
def test_an_unknown_name_is_answered_with_the_nearest(package, name, hint):
    shapes = package("nearest", round=CIRCLE, straight=SQUARE)
    with pytest.raises(ConfigError) as caught:
        shapes[name]
    assert str(caught.value) == f"unknown shape '{name}'{hint} (known: circle, square)"


@pytest.mark.parametrize("name", [5, None, ["circle"], {"name": "circle"}, 1.5])
def test_a_name_that_is_no_string_is_unknown_too(package, name):
    shapes = package("typed", round=CIRCLE)
    with pytest.raises(ConfigError, match=r"unknown shape .*\(known: circle\)"):
        shapes[name]


def test_another_package_adds_parts(package, plug_ins):
    shapes = package("extended", round=CIRCLE)
    plug_ins.points.append(SimpleNamespace(load=lambda: shapes.register("star")(object())))
    assert list(shapes) == ["circle", "star"]
    assert plug_ins.asked == ["velatura.extended"]


def test_the_group_is_named_like_the_folder(plug_ins):
    parts = Registry("loss", home="velatura.losses")
    assert list(parts) == []
    assert plug_ins.asked == ["velatura.losses"]


def test_another_package_cannot_take_a_name(package, plug_ins):
    shapes = package("robbed", round=CIRCLE)
    point = SimpleNamespace(
        name="thief", value="thief:parts", load=lambda: shapes.register("circle")(object())
    )
    plug_ins.points.append(point)
    with pytest.raises(
        VelaturaError, match=r"the shape plug-in 'thief' \(thief:parts\) cannot .*registered twice"
    ):
        shapes["circle"]


def test_a_broken_plug_in_is_named_each_time(package, plug_ins):
    def load():
        raise ImportError("No module named 'jax'")

    shapes = package("broken", round=CIRCLE)
    plug_ins.points.append(SimpleNamespace(name="stars", value="stars.parts", load=load))
    for _ in range(2):
        with pytest.raises(
            VelaturaError,
            match=r"the shape plug-in 'stars' \(stars.parts\) cannot be imported: No module named 'jax'",
        ):
            shapes["circle"]


def test_a_part_may_look_up_another_while_it_is_imported(package):
    shapes = package("nested", round=CIRCLE, also="assert 'circle' in shapes\n" + SQUARE)
    assert list(shapes) == ["circle", "square"]


def test_a_second_thread_waits_for_all_parts(package):
    """It used to find half of them."""
    slow = "import time\ntime.sleep(0.2)\n" + CIRCLE
    shapes = package("threads", a_slow=slow, b_fast=SQUARE)
    found = []
    threads = [threading.Thread(target=lambda: found.append(list(shapes))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == 3 * [["circle", "square"]]
