"""Help as text: usage, sections, units, defaults."""

import re
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from velatura.cli.help import App


@pytest.fixture
def page():
    app = App(help="Paint.")

    @app.command()
    def draw(
        scene: Annotated[str, typer.Argument(help="What to draw.")],
        tools: Annotated[list[str], typer.Argument(help="What with.", metavar="TOOL")],
        where: Annotated[str | None, typer.Argument(help="Where.")] = None,
        width: Annotated[int, typer.Option("--width", "-w", help="How wide (cm).")] = 30,
        title: Annotated[str, typer.Option(metavar="TEXT", help="Name.", rich_help_panel="Words")] = "",
        fast: Annotated[bool, typer.Option("--fast", help="Hurry.")] = False,
        secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    ) -> None:
        """Draw something.

        Then frame it.
        """

    @app.command(rich_help_panel="Later")
    def sell() -> None:
        """Sell it. For much."""

    return lambda *words: CliRunner().invoke(app, [*words, "--help"]).stdout


def test_the_usage_line_names_what_is_wanted(page):
    assert page("draw").splitlines()[0].endswith("draw [OPTIONS] SCENE TOOL... [WHERE]")


def test_the_docstring_is_the_text(page):
    assert "\n\n  Draw something.\n\n  Then frame it.\n\n" in page("draw")


def test_every_parameter_stands_in_its_section(page):
    text = re.sub(r" +", " ", page("draw"))
    assert "Arguments:\n SCENE What to draw.\n TOOL... What with.\n [WHERE] Where.\n" in text
    assert "Options:\n -w, --width WIDTH How wide (cm). [default: 30]\n --fast Hurry.\n" in text
    assert "Words:\n --title TEXT Name." in text
    assert "secret" not in text
    assert "[required]" not in text


def test_commands_stand_under_their_headings_with_their_first_line(page):
    text = re.sub(r" +", " ", page())
    assert "Commands:\n draw Draw something.\n" in text
    assert "Later:\n sell Sell it. For much." in text


def test_no_line_is_wider_than_a_narrow_terminal(page, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for text in (page(), page("draw")):
        assert max(map(len, text.splitlines())) <= 60


def test_the_help_of_stylize_is_grouped_and_has_units(velatura):
    answer = velatura("stylize", "--help")
    assert answer.out.startswith("Usage: velatura stylize [OPTIONS] CONTENT [STYLE]...\n")
    headings = [line[:-1] for line in answer.out.splitlines() if re.fullmatch(r"\w[\w ]*:", line)]
    assert headings == ["Arguments", "The picture", "The method", "The run", "Files", "Options"]
    text = " ".join(answer.out.split())
    assert "--size PIXELS|LENGTH Longer edge of the result: pixels, or with --dpi a length such as " in text
    assert "--dpi N How fine the file says it is to print; unset: as the photo says (pixels an inch, " in text
    assert "--checkpoint-every SECONDS" in text
    assert "-o, --output FILE" in text
    assert "[required]" in text
    assert "<" not in text
    assert "velatura stylize photo.jpg painting.jpg -o out.png" in text


@pytest.mark.parametrize(
    "command",
    ["samples", "survey", "report", "train", "distill", "weights", "presets", "backbones", "losses"],
)
def test_every_command_has_help(velatura, command):
    answer = velatura(command, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: velatura {command} [OPTIONS]")
