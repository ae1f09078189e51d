"""The notebooks run, are in step with their sources, and are small enough to be looked at."""

import base64
import importlib.util
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_SPEC = importlib.util.spec_from_file_location("build_examples", EXAMPLES / "build.py")
build = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(build)

NAMES = [source.stem for source in build.SOURCES]
MOST_BYTES = 600 * 1024


def read(name):
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(notebook):
    """Each as type, and Pillow's."""
    for output in outputs(notebook):
        for kind, text in output.get("data", {}).items():
            if kind.startswith("image/"):
                yield kind, Image.open(io.BytesIO(base64.b64decode(text)))


def test_there_is_a_notebook_for_each_document():
    assert NAMES == ["bisht2023", "guillaumin2017", "li2018", "saric2020"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name, monkeypatch):
    monkeypatch.setenv("VELATURA_REDUCED", "1")
    notebook = read(name)
    wanted = [kind for kind, _ in pictures(notebook)]
    build.execute(notebook, timeout_s=240)
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert len(list(pictures(notebook))) == len(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_in_step_with_its_source(name):
    made, kept = build.notebook_of(EXAMPLES / f"{name}.py"), read(name)
    cells = [[(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (made, kept)]
    assert cells[0] == cells[1], f"run: python examples/build.py {name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_what_it_gives(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (EXAMPLES / f"{name}.ipynb").stat().st_size < MOST_BYTES
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    found = list(pictures(notebook))
    assert len(found) >= 6
    for kind, picture in found:
        picture.load()
        assert picture.format == kind.removeprefix("image/").upper()
        assert min(picture.size) >= 80


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_names_author_title_and_year(name):
    author, year = re.fullmatch(r"([a-z]+)(\d{4})", name).groups()
    first = read(name).cells[0].source
    assert author in first.lower().replace("š", "s").replace("ć", "c")
    assert year in first


def test_text_is_renewed_without_a_run_and_code_is_not(tmp_path):
    source = tmp_path / "small.py"
    text, code = "# %% [markdown]\n# One\n\n", "# %%\nprint(6 * 7)\n"
    source.write_text(text + code)
    build.build(source)
    source.write_text(text.replace("One", "Two") + code)
    notebook = nbformat.read(build.build(source, text_only=True), as_version=4)
    assert [cell.source for cell in notebook.cells] == ["Two", "print(6 * 7)"]
    assert outputs(notebook)[0].text == "42\n"
    source.write_text(text + code.replace("7", "8"))
    with pytest.raises(ValueError, match="the code has changed"):
        build.build(source, text_only=True)


def test_warnings_of_a_cell_are_errors(tmp_path):
    source = tmp_path / "warning.py"
    source.write_text("# %%\nimport warnings\n\nwarnings.warn('old', DeprecationWarning)\n")
    with pytest.raises(Exception, match=r"(?s)DeprecationWarning.*: old"):
        build.execute(build.notebook_of(source))


def test_pictures_shrink_and_curves_stay_sharp():
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype="uint8"))
    plain = Image.new("RGB", (64, 64), "white")
    kinds = []
    for picture in (noisy, plain):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        kinds.append(build._smaller(buffer.getvalue())[0])
    assert kinds == ["image/jpeg", "image/png"]
