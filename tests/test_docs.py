"""What the documents say can be done is done here."""

import importlib.util
import inspect
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from velatura.backbones import BackboneConfig
from velatura.cli import app as root
from velatura.jobs.schema import parse_assignment
from velatura.jobs.stylize import stylization
from velatura.jobs.texture import texturing
from velatura.jobs.train import training
from velatura.presets import load_preset, preset_names
from velatura.weights.catalogue import catalogue

DOCUMENTS = Path(__file__).parents[1]
METHODS = sorted(f"docs/methods/{path.name}" for path in (DOCUMENTS / "docs" / "methods").glob("*.md"))
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/reconstructions.md",
    "docs/print-size.md",
    "docs/controls/color.md",
    "docs/controls/regions.md",
    "docs/controls/several-styles.md",
    "docs/controls/start-and-end.md",
    "docs/controls/structure.md",
    "docs/controls/texture.md",
    "docs/experiments/README.md",
    "docs/experiments/networks.md",
    "docs/experiments/saric2020.md",
    "docs/experiments/bisht2023.md",
    "docs/experiments/li2018.md",
    "models/adain-slim/README.md",
    "models/cin-samples/README.md",
    "models/vgg19-slim/README.md",
    "docs/reports.md",
    "docs/surveys.md",
    "docs/sweeps.md",
    "docs/training.md",
    "benchmarks/README.md",
    "benchmarks/quality/README.md",
    "examples/README.md",
    *METHODS,
]


def text_of(page: str) -> str:
    return (DOCUMENTS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text_of(page), flags=re.DOTALL)


def commands() -> list[str]:
    """Those of the blocks, and those in the running text and its tables."""
    lines = [
        line.partition("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    inline = [line for page in PAGES for line in re.findall(r"`(velatura [a-z][^`\n]+)`", text_of(page))]
    return [line for line in (*lines, *inline) if line.startswith("velatura ")]


def whole_commands(name: str) -> list[str]:
    return [line for line in commands() if line.startswith(f"velatura {name} ") and " -o " in line]


def tables() -> list[tuple[str, str, str]]:
    """Page, preset and body of every table of settings."""
    pattern = re.compile(r"<!-- settings of ([\w-]+) -->\n(.*?)<!-- end of settings -->", re.DOTALL)
    return [(page, *found) for page in PAGES for found in pattern.findall(text_of(page))]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Two small pictures under the names that the README uses."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo.jpg", "painting.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("example", blocks("README.md", "python"))
def test_python_examples_of_the_readme_run(example, pictures):
    exec(compile(example, "README.md", "exec"), {})
    assert (pictures / "out.png").stat().st_size > 0


@pytest.mark.parametrize("line", commands())
def test_commands_in_the_documents_exist_with_their_options(line):
    words = line.split()
    app = root._build(words[1])
    command = typer.main.get_command(app).commands[words[1]]
    while hasattr(command, "commands"):
        names = [word for word in words[2:] if word in command.commands]
        if not names:
            break
        command = command.commands[names[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{line}: {sorted(used - known)}"


def settings_in(words: list[str]) -> dict[str, object]:
    """What the options of a command change in its preset."""
    pairs = list(itertools.pairwise(words))
    changes = dict(parse_assignment(value) for option, value in pairs if option == "--set")
    shorthands = {
        "--backbone": "backbone.name",
        "--weights": "backbone.weights",
        "--pooling": "backbone.pooling",
        "--optimizer": "optimizer.name",
        "--init": "initialization.name",
    }
    named = {shorthands[option]: value for option, value in pairs if option in shorthands}
    return {**changes, **named}


def has_weights_of_its_own(backbone: BackboneConfig) -> bool:
    """Whether weights that the catalogue knows are of that architecture."""
    known = catalogue().get(backbone.weights)
    return known is None or known.architecture == backbone.name


@pytest.mark.parametrize("line", whole_commands("train"))
def test_trainings_in_the_documents_can_be_had(line):
    words = shlex.split(line)
    preset, config = training(words[2], changes=settings_in(words))
    assert preset in preset_names("training")
    assert has_weights_of_its_own(config.backbone)
    assert any(term.weight for term in config.terms.values())


@pytest.mark.parametrize("line", whole_commands("stylize"))
def test_stylizations_in_the_documents_can_be_had(line):
    words = shlex.split(line)
    given = dict(itertools.pairwise(words))
    preset = load_preset(given.get("--preset", "instant" if "--model" in words else "fast"))
    if preset.kind == "network":
        assert settings_in(words) == {}
    else:
        method = stylization(preset.name, changes=settings_in(words)).method
        assert has_weights_of_its_own(method.backbone)


@pytest.mark.parametrize("line", whole_commands("texture"))
def test_textures_in_the_documents_can_be_had(line):
    words = shlex.split(line)
    given = dict(itertools.pairwise(words))
    how = texturing(
        given.get("--preset", "texture"),
        changes=settings_in(words),
        tileable=given.get("--tileable", "none"),
    )
    assert has_weights_of_its_own(how.method.backbone)


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_documents_lead_somewhere(page):
    for target, part in re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", text_of(page)):
        if target.startswith("http"):
            continue
        path = (DOCUMENTS / page).parent / target
        assert path.exists(), target
        if part:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert part in slugs, f"{target}#{part}"


@pytest.mark.parametrize(("page", "name", "table"), tables(), ids=[name for _, name, _ in tables()])
def test_a_table_of_settings_is_that_of_its_preset(page, name, table):
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.strip().splitlines()[2:]
    ]
    expected = [
        (f"`{path}`", f"`{value if isinstance(value, str) else json.dumps(value)}`", source)
        for path, value, source in load_preset(name).rows()
    ]
    assert rows == expected, f"{page} is not as the preset is: run 'python docs/tables.py'"


def test_every_preset_has_its_table_once():
    assert sorted(name for _, name, _ in tables()) == list(preset_names())


@pytest.mark.parametrize("page", [page for page in METHODS if not page.endswith("README.md")])
def test_a_page_of_a_method_is_whole_and_in_the_index(page):
    headings = re.findall(r"^## (.*)$", text_of(page), flags=re.MULTILINE)
    assert headings[0].startswith("Settings")
    assert headings[-3:] == ["What to expect", "Commands", "Sources"]
    assert f"({Path(page).name})" in text_of("docs/methods/README.md")


def test_the_tables_are_written_anew_and_nothing_else():
    spec = importlib.util.spec_from_file_location("docs_tables", DOCUMENTS / "docs" / "tables.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = text_of("docs/methods/gatys2016.md")
    stale = page.replace("| `vgg19` |", "| `vgg16` |")
    assert stale != page
    assert script.with_tables(stale) == page


def test_every_command_is_named_in_the_help_with_a_module_that_registers_it():
    for module, _, line in root._COMMANDS.values():
        register = __import__(module, fromlist=["register"]).register
        assert len(inspect.signature(register).parameters) == 3
        assert line.endswith(".")
