"""``velatura survey``: a page that asks people which of two pictures is better, and what they answered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from velatura.cli.help import App
from velatura.core.errors import ConfigError

__all__ = ["app", "register"]

app = App(
    name="survey",
    help="Blind comparisons by people: make a page that asks, and analyse what they answered.",
    no_args_is_help=True,
)


@app.command()
def make(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER", help="A folder of pictures for each method, two or more; names pair them."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The page, an HTML file.")],
    question: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What is asked of every pair; unset: which is liked better."),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Heading of the page.")] = None,
    content: Annotated[
        str | None,
        typer.Option(metavar="FILE|FOLDER", help="Show the photograph beside; of a folder, the namesake."),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(metavar="FILE|FOLDER", help="Show the painting beside; of a folder, the namesake."),
    ] = None,
    checks: Annotated[
        int | None, typer.Option(metavar="N", help="Times that a rater is told what to choose; unset: 2.")
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pairs that a rater sees again, sides changed; unset: none."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the raters' orders and sides.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Longer edge of the pictures in the page, at most; unset: 768."),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(metavar="N", help="WebP quality of the pictures in the page; unset: 90.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make a page that asks raters, blind, which of two pictures is better.

    velatura survey make ours/ theirs/ -o survey.html

    The page is one file that needs no server and loads nothing. It does not show which folder a
    picture is from. Raters open it on a computer or a phone, and save their answers as a file.
    """
    from velatura.jobs.schema import build
    from velatura.jobs.survey.make import SurveyJob, run_make_survey

    given = {
        "question": question,
        "title": title,
        "content": content,
        "style": style,
        "checks": checks,
        "repeat": repeat,
        "seed": seed,
        "size": size,
        "quality": quality,
    }
    if len(folders) < 2:
        raise ConfigError(f"expected two folders or more, one for each method, got {len(folders)}")
    values = {"folders": tuple(folders), "output": output}
    job = build(SurveyJob, values | {name: value for name, value in given.items() if value is not None})

    def say(number: int, total: int, name: str) -> None:
        if not quiet:
            typer.echo(f"{number}/{total} {name}", err=True)

    made = run_make_survey(job, on_item=say)
    for note in made.notes:
        typer.echo(f"velatura: {note}", err=True)
    typer.echo(
        f"{job.output}: {len(made.definition.pairs)} pairs, {made.num_trials} choices for each rater, "
        f"{made.mib:.1f} MiB, survey {made.definition.id[:12]}"
    )


@app.command()
def analyse(
    answers: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Answers files, or folders of them (every .json file)."),
    ],
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the report too: .json or .md, may be given twice."
        ),
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(metavar="N", help="Times that the raters are drawn anew for intervals; unset: 2000."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of these draws.")] = None,
) -> None:
    """Count the answers to a survey: votes, intervals, tests, Bradley-Terry strengths.

    velatura survey analyse answers/ -o report.md

    Raters that failed an attention check are left out. Files that were edited, that are of another
    survey, or of a rater that is there already, are refused.
    """
    from velatura.core.files import check_writable
    from velatura.jobs.schema import build
    from velatura.jobs.survey.analyse import AnalysisJob, run_analysis
    from velatura.jobs.survey.answers import answers_files
    from velatura.jobs.survey.report import as_json, as_markdown

    files = [str(file) for text in answers for file in answers_files(text)]
    given: dict[str, Any] = {"bootstrap": bootstrap, "seed": seed}
    values = {"answers": tuple(files)} | {name: value for name, value in given.items() if value is not None}
    job = build(AnalysisJob, values)
    kinds = {".json": as_json, ".md": as_markdown}
    for path in output or ():
        if Path(path).suffix.lower() not in kinds:
            raise ConfigError(f"expected a report such as report.json or report.md, not {path!r}")
        if os.path.realpath(path) in map(os.path.realpath, files):
            raise ConfigError(f"{path} is an answers file and will not be overwritten; choose another name")
        check_writable(path)
    analysis = run_analysis(job)
    for path in output or ():
        _write(path, kinds[Path(path).suffix.lower()](analysis))
    typer.echo(as_markdown(analysis), nl=False)


def _write(path: str, text: str) -> None:
    from velatura.core.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def register(root: App, name: str, *, panel: str) -> None:
    """Adds the commands to ``root``, under the heading ``panel`` of its help."""
    root.add_typer(app, name=name, rich_help_panel=panel)
