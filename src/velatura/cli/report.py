"""``velatura report``: a run, a training or a sweep as one page."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from velatura.cli.help import App
from velatura.jobs.report.make import ReportJob, run_report
from velatura.jobs.schema import build, help_of

__all__ = ["register"]


def _of_job(field: str, metavar: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help_of(ReportJob, field))


def report(
    source: Annotated[
        str, typer.Argument(metavar="DIR|RECORD.json|PICTURE", help=help_of(ReportJob, "source"))
    ],
    output: Annotated[str | None, _of_job("output", "FILE", "--output", "-o")] = None,
    title: Annotated[str | None, _of_job("title", "TEXT", "--title")] = None,
    size: Annotated[int | None, _of_job("size", "PIXELS", "--size")] = None,
    quality: Annotated[int | None, _of_job("quality", "N", "--quality")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make one page of what a run, a training or a sweep left behind.

    velatura report out.png -o report.html

    The page is one file that needs no server and loads nothing: pictures to compare, losses, metrics,
    settings, and the command that makes it again. It has the names of files as they were given.
    """
    given = {"output": output, "title": title, "size": size, "quality": quality}
    job = build(
        ReportJob, {"source": source} | {name: value for name, value in given.items() if value is not None}
    )

    def say(name: str) -> None:
        if not quiet:
            typer.echo(name, err=True)

    made = run_report(job, on_section=say)
    for note in made.notes:
        typer.echo(f"velatura: {note}", err=True)
    typer.echo(f"{made.path}: {made.what}, {_weight(made.mib)}")


def _weight(mib: float) -> str:
    return f"{mib:.1f} MiB" if mib >= 1 else f"{mib * 1024:.0f} KiB"


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(report)
