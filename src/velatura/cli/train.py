"""``velatura train``: a network of one's own, from photographs and paintings."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from velatura.cli.help import App
from velatura.cli.options import given, merged
from velatura.cli.progress import cancelled_by_interrupt
from velatura.engine.train import Report, Training
from velatura.jobs.schema import build, help_of, parse_assignment
from velatura.jobs.train import TrainJob, run_train, training

__all__ = ["register"]

_SAY_EVERY_S = 5.0


def _of_job(field: str, metavar: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help_of(TrainJob, field))


def _of_training(field: str, metavar: str) -> Any:
    return typer.Option(metavar=metavar, help=help_of(Training, field))


def train(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A training preset, or a network, which stands for its paper's; see: velatura presets",
        ),
    ],
    content: Annotated[str, _of_job("contents", "FOLDER|TAR", "--content")],
    styles: Annotated[list[str], _of_job("styles", "FILE|FOLDER", "--styles", "--style")],
    output: Annotated[str, _of_job("output", "FOLDER", "--output", "-o")],
    start: Annotated[str | None, _of_job("start", "MODEL", "--from")] = None,
    resume: Annotated[bool, typer.Option("--resume", help=help_of(TrainJob, "resume"))] = False,
    steps: Annotated[int | None, _of_training("steps", "N")] = None,
    batch: Annotated[int | None, _of_training("batch", "N")] = None,
    precision: Annotated[str | None, _of_training("precision", "NAME")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting of the preset, such as batch=8; see: velatura presets show NAME",
        ),
    ] = None,
    seed: Annotated[int | None, _of_training("seed", "N")] = None,
    device: Annotated[str | None, _of_job("device", "NAME", "--device")] = None,
    workers: Annotated[int | None, _of_job("workers", "N", "--workers")] = None,
    threads: Annotated[int | None, _of_job("threads", "N", "--threads")] = None,
    report_every: Annotated[int | None, _of_job("report_every", "STEPS", "--report-every")] = None,
    validate_every: Annotated[int | None, _of_job("validate_every", "STEPS", "--validate-every")] = None,
    save_every: Annotated[float | None, _of_job("save_every", "SECONDS", "--save-every")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Train a network that stylises in one pass.

    velatura train johnson --content PHOTOS --styles painting.jpg -o RUN

    On Ctrl-C the run is saved, with a model that can be used; --resume goes on from there. Several processes
    train together when torchrun starts them: torchrun --nproc-per-node 2 -m velatura train ...
    """
    options = {"steps": steps, "batch": batch, "precision": precision, "seed": seed}
    preset, config = training(
        name,
        changes=merged(given(options), dict(parse_assignment(text) for text in settings or ())),
        start=start,
    )
    others = {
        "start": start,
        "device": device,
        "workers": workers,
        "threads": threads,
        "report_every": report_every,
        "validate_every": validate_every,
        "save_every": save_every,
    }
    job = build(
        TrainJob,
        {
            "preset": preset,
            "training": config,
            "contents": content,
            "styles": tuple(styles),
            "output": output,
            "resume": resume,
            **given(others),
        },
    )
    with cancelled_by_interrupt() as cancelled:
        trained = run_train(job, on_report=(lambda _: None) if quiet else _teller(), cancelled=cancelled)
    if trained.is_first:
        for note in trained.notes:
            typer.echo(f"velatura: {note}", err=True)
        typer.echo(trained.path)
    return 130 if trained.interrupted else 0


def _teller() -> Callable[[Report], None]:
    """Says every validation, and what is learnt every few seconds."""
    said = -_SAY_EVERY_S

    def tell(report: Report) -> None:
        nonlocal said
        now = time.monotonic()
        if report.held_out or now - said >= _SAY_EVERY_S:
            said = said if report.held_out else now
            typer.echo(_describe(report), err=True)

    return tell


def _describe(report: Report) -> str:
    terms = " ".join(f"{name} {value:.4g}" for name, value in report.terms.items())
    loss = (
        f"step {report.step}/{report.steps}, {'held out: ' if report.held_out else ''}loss {report.loss:.4g}"
    )
    if report.held_out:
        return f"{loss} ({terms})"
    wait = f", waiting for pictures {report.data_wait:.0%}" if report.data_wait >= 0.1 else ""
    return (
        f"{loss} ({terms}), {report.images_per_second:.3g} images/s{wait}, "
        f"about {_duration(report.seconds_left)} left"
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(train)
