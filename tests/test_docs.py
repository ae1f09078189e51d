"""What the documents say can be done is done here."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from velatura.cli import app as root

DOCUMENTS = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "models/vgg19-slim/README.md",
    "docs/surveys.md",
    "docs/sweeps.md",
    "benchmarks/README.md",
    "benchmarks/quality/README.md",
]


def blocks(page: str, language: str) -> list[str]:
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [
        line.partition("#")[0].strip()
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if line.startswith("velatura ")]


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


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_documents_lead_somewhere(page):
    text = (DOCUMENTS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert ((DOCUMENTS / page).parent / target).exists(), target


def test_every_command_is_named_in_the_help_with_a_module_that_registers_it():
    for module, _, line in root._COMMANDS.values():
        register = __import__(module, fromlist=["register"]).register
        assert len(inspect.signature(register).parameters) == 3
        assert line.endswith(".")
