"""Many photographs in one call: names kept, a failure reported, the rest done."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import typer

from velatura.cli.progress import cancelled_by_interrupt, progress_on_stderr
from velatura.core.errors import Cancelled, ConfigError, VelaturaError
from velatura.jobs.stylize import StylizeJob
from velatura.runners import run

__all__ = ["contents_of", "output_for", "run_batch"]

_WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif")
_READ = (*_WRITTEN, ".gif", ".bmp")
_FOR_ONE_PICTURE = ("record", "history", "plot", "checkpoint", "resume")


def contents_of(content: str) -> tuple[list[Path], bool]:
    """The photographs that an argument names, and whether it may name several.

    Args:
        content: A file; a folder, for every picture in it; or a glob pattern.

    Raises:
        ConfigError: A folder or a pattern without a picture.
    """
    path = Path(content)
    if path.is_dir():
        photos = sorted(file for file in path.iterdir() if file.suffix.lower() in _READ)
        if not photos:
            raise ConfigError(f"folder {content} holds no picture (expected {', '.join(_READ)})")
        return photos, True
    if not path.exists() and glob.has_magic(content):
        photos = sorted(file for name in glob.glob(content) if (file := Path(name)).is_file())  # noqa: PTH207 - absolute patterns
        if not photos:
            raise ConfigError(f"no file matches {content}")
        return photos, True
    return [path], False


def output_for(photo: Path, folder: Path) -> Path:
    """Where one of many goes: its own name, as PNG if its format cannot be written."""
    return folder / (photo.name if photo.suffix.lower() in _WRITTEN else f"{photo.stem}.png")


def run_batch(jobs: Sequence[StylizeJob], *, quiet: bool) -> int:
    """Runs every job, says which failed, and returns the exit status.

    Returns:
        0; 1 if any failed; 130 if interrupted, with the jobs not yet begun left out.

    Raises:
        ConfigError: The output is a file, two photographs would have the same name, or an option
            names one file for several pictures. Found before anything runs.
    """
    _check_batch(jobs)
    failed = done = 0
    for number, job in enumerate(jobs, start=1):
        title = f"{number}/{len(jobs)} {Path(job.content).name}"
        try:
            with (
                cancelled_by_interrupt() as cancelled,
                progress_on_stderr(quiet=quiet, title=title) as on_progress,
            ):
                result = run(job, on_progress=on_progress, cancelled=cancelled)
        except Cancelled:
            return _interrupted(done, jobs)
        except VelaturaError as error:
            failed += 1
            typer.echo(f"velatura: {job.content}: {' '.join(str(error).split())}", err=True)
            continue
        for note in result.notes:
            typer.echo(f"velatura: {note}", err=True)
        typer.echo(job.output)
        done += 1
        if result.interrupted:
            return _interrupted(done, jobs)
    if failed:
        typer.echo(f"velatura: {failed} of {len(jobs)} pictures failed, {done} written", err=True)
    return 1 if failed else 0


def _interrupted(done: int, jobs: Sequence[StylizeJob]) -> int:
    typer.echo(f"velatura: interrupted, {done} of {len(jobs)} pictures written", err=True)
    return 130


def _check_batch(jobs: Sequence[StylizeJob]) -> None:
    folder = Path(jobs[0].output).parent
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; several photographs need a folder to go to")
    for name in _FOR_ONE_PICTURE:
        if getattr(jobs[0].saving, name) is not None:
            raise ConfigError(f"--{name} names one file and cannot go with several photographs")
    seen: dict[Path, str] = {}
    for job in jobs:
        output = Path(job.output).resolve()
        if output in seen:
            raise ConfigError(f"{seen[output]} and {job.content} would both be written to {job.output}")
        seen[output] = job.content
