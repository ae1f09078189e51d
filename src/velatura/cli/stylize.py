"""``velatura stylize``: one photograph or many, one painting or several."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from velatura.cli.batch import contents_of, output_for, run_batch
from velatura.cli.progress import cancelled_by_interrupt, progress_on_stderr
from velatura.core.errors import ConfigError
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build, help_of, parse_assignment
from velatura.jobs.stylize import Stylization, StylizeJob, stylization
from velatura.runners import run

__all__ = ["register"]

_RESULT, _METHOD, _FILES, _RUN = "The picture", "The method", "Files", "The run"


def _how(field: str, panel: str, *names: str, help: str = "") -> Any:  # noqa: A002
    return typer.Option(*names, help=help or help_of(Stylization, field), rich_help_panel=panel)


def _saved(field: str, *names: str) -> Any:
    return typer.Option(*names, help=help_of(Saving, field), rich_help_panel=_FILES)


def _change(help: str, *names: str) -> Any:  # noqa: A002
    return typer.Option(*names, help=help, rich_help_panel=_METHOD)


def stylize(
    content: Annotated[str, typer.Argument(help="The photograph; a folder or a quoted glob for many.")],
    styles: Annotated[
        list[str], typer.Argument(help="The painting, or several to blend.", metavar="STYLE...")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="Where the picture goes; a folder for many.", rich_help_panel=_RESULT
        ),
    ],
    preset: Annotated[str, _how("preset", _METHOD, help="Named settings; see: velatura presets")] = "fast",
    size: Annotated[int | None, _how("size", _RESULT)] = None,
    upsample: Annotated[bool, _how("upsample", _RESULT, "--upsample")] = False,
    strength: Annotated[float | None, _how("strength", _RESULT)] = None,
    blend: Annotated[
        str | None,
        _how("blend", _RESULT, help="Weight of each painting, such as 0.7,0.3 (default: all the same)"),
    ] = None,
    seed: Annotated[int | None, _how("seed", _RUN)] = None,
    backbone: Annotated[
        str | None, _change("Network whose features are compared; see: velatura backbones")
    ] = None,
    weights: Annotated[str | None, _change("Its weights: a name, a file, native, or random")] = None,
    pooling: Annotated[str | None, _change("Its pooling: native, max, average or l2")] = None,
    optimizer: Annotated[str | None, _change("How the canvas moves; see: velatura optimizers")] = None,
    steps: Annotated[
        str | None, _change("Steps at each scale from the smallest up, such as 200,100,50; the last repeats")
    ] = None,
    initialization: Annotated[
        str | None,
        _change("Where the canvas starts; see: velatura initializations", "--initialization", "--init"),
    ] = None,
    start: Annotated[str | None, _change("Picture to start from (initialisation: picture)")] = None,
    settings: Annotated[
        list[str] | None,
        _change(
            "Any setting of the preset, such as optimizer.lr=0.05; see: velatura presets show NAME", "--set"
        ),
    ] = None,
    device: Annotated[str | None, _how("device", _RUN)] = None,
    precision: Annotated[
        str | None, _how("precision", _RUN, help="What the network computes in: auto, float32 or bfloat16")
    ] = None,
    threads: Annotated[int | None, _how("threads", _RUN)] = None,
    quality: Annotated[int | None, _saved("quality")] = None,
    bits: Annotated[int | None, _saved("bits")] = None,
    icc: Annotated[str | None, _saved("icc")] = None,
    record: Annotated[str | None, _saved("record")] = None,
    history: Annotated[str | None, _saved("history")] = None,
    plot: Annotated[str | None, _saved("plot")] = None,
    checkpoint: Annotated[str | None, _saved("checkpoint")] = None,
    checkpoint_every: Annotated[float | None, _saved("checkpoint_every")] = None,
    resume: Annotated[str | None, _saved("resume")] = None,
    save_every: Annotated[int | None, _saved("save_every")] = None,
    save_pattern: Annotated[str | None, _saved("save_pattern")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)] = False,
) -> int:
    """Give a photograph the style of a painting.

    velatura stylize photo.jpg painting.jpg -o out.png

    The result has the photo's aspect; its longer edge is the photo's, up to 512 pixels for most
    presets, unless --size says otherwise.
    """
    changes = {
        "backbone.name": backbone,
        "backbone.weights": weights,
        "backbone.pooling": pooling,
        "optimizer.name": optimizer,
        "initialization.name": initialization or (start and "picture"),
        "initialization.path": start,
        "pyramid.steps": steps and _numbers("steps", steps),
    }
    how = stylization(
        preset,
        changes={**_given(changes), **dict(parse_assignment(text) for text in settings or ())},
        upsample=upsample,
        **_given(
            {
                "size": size,
                "strength": strength,
                "blend": blend and _numbers("blend", blend),
                "seed": seed,
                "device": device,
                "precision": precision,
                "threads": threads,
            }
        ),
    )
    saving = build(
        Saving,
        _given(
            {
                "quality": quality,
                "bits": bits,
                "icc": icc,
                "record": record,
                "history": history,
                "plot": plot,
                "checkpoint": checkpoint,
                "checkpoint_every": checkpoint_every,
                "resume": resume,
                "save_every": save_every,
                "save_pattern": save_pattern,
            }
        ),
    )
    photos, is_batch = contents_of(content)
    jobs = [
        StylizeJob(
            content=str(photo),
            styles=tuple(styles),
            output=str(output_for(photo, Path(output)) if is_batch else output),
            stylization=how,
            saving=saving,
        )
        for photo in photos
    ]
    return run_batch(jobs, quiet=quiet) if is_batch else _run_one(jobs[0], quiet=quiet)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _numbers(name: str, text: str) -> list[float]:
    """``0.7,0.3`` as numbers.

    Raises:
        ConfigError: A part is no number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name}: expected numbers with commas between them, not {text!r}") from None


def _run_one(job: StylizeJob, *, quiet: bool) -> int:
    began = time.monotonic()
    with cancelled_by_interrupt() as cancelled, progress_on_stderr(quiet=quiet) as on_progress:
        result = run(job, on_progress=on_progress, cancelled=cancelled)
    for note in result.notes:
        typer.echo(f"velatura: {note}", err=True)
    if not quiet:
        seconds = time.monotonic() - began
        ending = "interrupted: the best so far" if result.interrupted else f"{seconds:.1f} s"
        typer.echo(f"{result.picture.width}x{result.picture.height} pixels, {ending}", err=True)
    typer.echo(job.output)
    return 130 if result.interrupted else 0


def register(app: typer.Typer, name: str, **display: str) -> None:
    """Adds the command to ``app``."""
    app.command(name, **display)(stylize)  # type: ignore[arg-type]
