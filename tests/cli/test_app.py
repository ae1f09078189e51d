"""The root command: help, exit statuses, one line for each error."""

import subprocess
import sys

import pytest

from velatura import __version__
from velatura.core.errors import (
    Cancelled,
    ConfigError,
    ImageError,
    OutputError,
    VelaturaError,
    WeightsError,
)


def test_the_help_lists_every_command_under_its_heading(velatura):
    answer = velatura("--help")
    assert (answer.status, answer.err) == (0, "")
    sections = answer.out.split("\n\n")
    assert sections[0] == "Usage: velatura [OPTIONS] COMMAND [ARGS]..."
    commands = {
        section.partition(":")[0]: [line.split()[0] for line in section.splitlines()[1:]]
        for section in sections[3:]
    }
    assert commands == {
        "Options": ["--version", "--debug", "--help"],
        "Pictures": [
            "stylize",
            "apply",
            "texture",
            "evaluate",
            "reconstruct",
            "sweep",
            "survey",
            "report",
            "samples",
        ],
        "Networks": ["train", "distill", "export", "weights"],
        "What there is": [
            "presets",
            "backbones",
            "losses",
            "metrics",
            "networks",
            "optimizers",
            "initializations",
            "colors",
        ],
        "This machine": ["bench"],
    }


def test_without_a_word_the_help_is_shown(velatura):
    assert velatura() == velatura("--help")


def test_the_version_is_the_package_s(velatura):
    assert velatura("--version").out == f"velatura {__version__}\n"


def test_the_help_imports_neither_torch_nor_what_else_takes_time():
    script = (
        "import sys\n"
        "from velatura.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic', 'rich', 'tqdm', 'safetensors', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "velatura", "frobnicate"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "velatura: No such command 'frobnicate' (see velatura --help)\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["stylise", "a"], "No such command 'stylise'. Did you mean 'stylize'? (see velatura --help)"),
        (["--quiet"], "No such option: --quiet (see velatura --help)"),
        (["presets", "shw"], "No such command 'shw'. Did you mean 'show'? (see velatura presets --help)"),
        (["presets", "show"], "Missing argument 'NAME' (see velatura presets show --help)"),
        (["losses", "gram"], "Got unexpected extra argument(s) (gram) (see velatura losses --help)"),
        (["stylize"], "Missing argument 'CONTENT' (see velatura stylize --help)"),
        (["stylize", "-o", "b"], "Missing argument 'CONTENT' (see velatura stylize --help)"),
        (["stylize", "a", "b"], "Missing option '--output' / '-o' (see velatura stylize --help)"),
        (["stylize", "a", "b", "-o"], "Option '-o' requires an argument (see velatura stylize --help)"),
    ],
)
def test_a_slip_is_one_line_that_says_whose_help_to_read(refused, words, line):
    assert refused(*words) == line


def test_a_misspelt_option_is_answered_with_those_that_are_near(refused):
    assert refused("stylize", "a", "b", "--sizes", "3").startswith(
        "No such option: --sizes (Possible options: "
    )


def raising(error, monkeypatch):
    def fail(name):
        raise error

    monkeypatch.setattr("velatura.cli.presets.load_preset", fail)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("c"), 2),
        (ImageError("i"), 2),
        (OutputError("o"), 2),
        (WeightsError("w"), 2),
        (VelaturaError("v"), 1),
        (Cancelled("x"), 130),
    ],
)
def test_each_error_has_its_status(velatura, monkeypatch, error, status):
    raising(error, monkeypatch)
    answer = velatura("presets", "show", "fast")
    text = "interrupted" if status == 130 else str(error)
    assert (answer.status, answer.out, answer.err) == (status, "", f"velatura: {text}\n")


def test_an_error_nobody_thought_of_is_one_line_and_status_1(velatura, monkeypatch):
    raising(RuntimeError("first line\nsecond line"), monkeypatch)
    answer = velatura("presets", "show", "fast")
    line = "velatura: unexpected RuntimeError: first line second line (--debug shows where)\n"
    assert (answer.status, answer.out, answer.err) == (1, "", line)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_a_traceback_and_changes_nothing_else(velatura, place):
    words = ["presets", "show", "fats"]
    plain = velatura(*words)
    words.insert(place, "--debug")
    answer = velatura(*words)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("Traceback (most recent call last):\n")
    assert answer.err.endswith("\n" + plain.err)
    assert "load_preset" in answer.err


def test_ctrl_c_outside_of_a_run_is_status_130(velatura, monkeypatch):
    raising(KeyboardInterrupt(), monkeypatch)
    answer = velatura("presets", "show", "fast")
    assert (answer.status, answer.out) == (130, "")
    assert "Traceback" not in answer.err


def test_a_reader_who_leaves_early_gets_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m velatura presets show fast | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("fast: ")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
