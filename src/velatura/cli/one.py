"""One job on the command line: its progress, its notes, and where its picture is."""

from __future__ import annotations

import time
from typing import Any

import typer

from velatura.cli.progress import cancelled_by_interrupt, progress_on_stderr
from velatura.runners import run

__all__ = ["run_one"]


def run_one(job: Any, *, quiet: bool, **given: Any) -> int:
    """Runs a job that writes one picture.

    Args:
        job: One that :func:`velatura.runners.run` takes, with its ``output``.
        quiet: No progress, and no line about the picture.
        given: What the runner is given beside it, such as a model that is loaded.

    Returns:
        The exit status: 0, or 130 where it was interrupted and the best so far was written.
    """
    began = time.monotonic()
    with cancelled_by_interrupt() as cancelled, progress_on_stderr(quiet=quiet) as on_progress:
        result = run(job, on_progress=on_progress, cancelled=cancelled, **given)
    for note in result.notes:
        typer.echo(f"velatura: {note}", err=True)
    if not quiet:
        ending = "interrupted: the best so far" if result.interrupted else f"{time.monotonic() - began:.1f} s"
        typer.echo(f"{result.picture.width}x{result.picture.height} pixels, {ending}", err=True)
    typer.echo(job.output)
    return 130 if result.interrupted else 0
