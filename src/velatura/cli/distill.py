"""``velatura distill``: the command that made the backbone that Velatura ships."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from velatura.cli.help import App
from velatura.cli.progress import cancelled_by_interrupt
from velatura.engine.distill import DistillationConfig, Lesson
from velatura.jobs.distill import DistillJob, run_distill
from velatura.jobs.schema import assign, build, help_of, parse_assignment

__all__ = ["register"]


def _option(field: str, metavar: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help_of(DistillJob, field))


def distill(
    contents: Annotated[str, _option("contents", "FOLDER", "--contents")],
    styles: Annotated[str, _option("styles", "FOLDER", "--styles")],
    teachers: Annotated[list[str], _option("teachers", "NAME|FILE", "--teacher")],
    output: Annotated[str, _option("output", "FOLDER", "--output", "-o")],
    name: Annotated[str | None, _option("name", "NAME", "--name")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help=help_of(DistillationConfig, "steps"))] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the training, such as lr=0.0005"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Train a narrow VGG-19 to see what wide ones see.

    The run is saved every 500 steps and on Ctrl-C; the same command goes on from there.
    """
    changes = dict(parse_assignment(text) for text in settings or ())
    if steps is not None:
        changes["steps"] = steps
    config = build(DistillationConfig, assign(DistillationConfig, {}, changes))
    given = {"name": name} if name is not None else {}
    job = DistillJob(
        contents=contents, styles=styles, teachers=tuple(teachers), output=output, config=config, **given
    )
    with cancelled_by_interrupt() as cancelled:
        path = run_distill(
            job,
            on_lesson=(lambda _: None) if quiet else lambda lesson: _say(lesson, config.steps),
            cancelled=cancelled,
        )
        interrupted = cancelled()
    typer.echo(path)
    return 130 if interrupted else 0


def _say(lesson: Lesson, steps: int) -> None:
    errors = " ".join(f"{layer.removeprefix('relu')} {error:.3f}" for layer, error in lesson.errors.items())
    kind = "held out" if lesson.held_out else "learning"
    typer.echo(f"step {lesson.step}/{steps}, {lesson.seconds:.0f} s, {kind}: {errors}", err=True)


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(distill)
