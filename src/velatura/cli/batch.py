"""Many photographs in one call: names kept, a failure reported, the rest done."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

import typer

from velatura.cli.progress import cancelled_by_interrupt, progress_on_stderr
from velatura.core.errors import Cancelled, ConfigError, VelaturaError, WeightsError
from velatura.core.files import check_writable
from velatura.imaging import WRITABLE, read_picture
from velatura.jobs.models import Model
from velatura.jobs.pictures import PICTURE_SUFFIXES, pictures_in
from velatura.jobs.stylize import StylizeJob
from velatura.runners import run

__all__ = ["contents_of", "output_for", "run_batch"]

_FOR_ONE_PICTURE = ("record", "history", "plot", "checkpoint", "resume")


def contents_of(content: str) -> tuple[list[Path], bool]:
    """The photographs that an argument names, and whether it may name several.

    Args:
        content: A file; a folder, for every picture in it; or a glob pattern.

    Raises:
        ConfigError: A folder or a pattern without a picture.
    """
    path = Path(content)
    # Not Path.is_dir: that raises where a name is too long, and an empty Path is the current folder.
    if os.path.isdir(content):  # noqa: PTH112
        try:
            photos = pictures_in(path)
        except OSError as error:
            raise ConfigError(f"cannot look into folder {content}: {error.strerror}") from error
        if not photos:
            raise ConfigError(f"folder {content} holds no picture (expected {', '.join(PICTURE_SUFFIXES)})")
        return photos, True
    if glob.escape(content) != content and not os.path.lexists(content):
        photos = sorted(file for name in glob.glob(content) if (file := Path(name)).is_file())  # noqa: PTH207 - absolute patterns
        if not photos:
            raise ConfigError(f"no file matches {content}")
        return photos, True
    return [path], False


def output_for(photo: Path, folder: Path) -> Path:
    """Where a photograph goes in a folder: its own name, as PNG if its format cannot be written."""
    return folder / (photo.name if photo.suffix.lower() in WRITABLE else f"{photo.stem}.png")


def run_batch(jobs: Sequence[StylizeJob], *, quiet: bool, model: Model | None = None) -> int:
    """Runs every job, says which failed, and returns the exit status.

    Args:
        jobs: At least one; they differ in content and output only.
        quiet: No progress.
        model: The trained network that the jobs name; None: they name none.

    Returns:
        0; 1 if any failed; 2 if all did, since what was asked for was wrong; 130 if interrupted, with the
        jobs not yet begun left out.

    Raises:
        ConfigError: The output is a file, two photographs would have the same name or be
            overwritten, or an option names one file for several pictures. Found before anything
            runs.
        ImageError: A painting or a mask cannot be read. Found before anything runs.
        OutputError: The folder cannot be written to. Found before anything runs.
        WeightsError: The weights are missing or broken, for every job alike.
    """
    _check_batch(jobs)
    failures: list[Exception] = []
    done = 0
    with cancelled_by_interrupt() as cancelled:
        for number, job in enumerate(jobs, start=1):
            title = f"{number}/{len(jobs)} {Path(job.content).name}"
            try:
                with progress_on_stderr(quiet=quiet, title=title) as on_progress:
                    result = run(job, model=model, on_progress=on_progress, cancelled=cancelled)
            except Cancelled:
                return _interrupted(done, jobs)
            except WeightsError:
                raise
            except Exception as error:  # noqa: BLE001 - what is wrong with one picture need not be with the next
                failures.append(error)
                typer.echo(f"velatura: {job.content}: {_reason(error)}", err=True)
                continue
            for note in result.notes:
                typer.echo(f"velatura: {note}", err=True)
            typer.echo(job.output)
            done += 1
            if result.interrupted:
                return _interrupted(done, jobs)
    if not failures:
        return 0
    typer.echo(f"velatura: {len(failures)} of {len(jobs)} pictures failed, {done} written", err=True)
    return 2 if not done and all(isinstance(error, ConfigError) for error in failures) else 1


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, VelaturaError) else f"unexpected {type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"


def _interrupted(done: int, jobs: Sequence[StylizeJob]) -> int:
    typer.echo(f"velatura: interrupted, {done} of {len(jobs)} pictures written", err=True)
    return 130


def _check_batch(jobs: Sequence[StylizeJob]) -> None:
    """Refuses what would make every picture fail, or one picture undo another."""
    saving = jobs[0].saving
    folder = Path(jobs[0].output).parent
    if os.path.isfile(folder):  # noqa: PTH113 - Path.is_file raises where a name is too long
        raise ConfigError(f"{folder} is a file; several photographs need a folder to go to")
    if folder.suffix.lower() in WRITABLE and not os.path.isdir(folder):  # noqa: PTH112 - likewise
        raise ConfigError(f"{folder} names a picture; several photographs need a folder to go to")
    for name in _FOR_ONE_PICTURE:
        if getattr(saving, name) is not None:
            raise ConfigError(f"--{name} names one file and cannot go with several photographs")
    if saving.save_pattern is not None and saving.preview("a", 1, 1) == saving.preview("b", 1, 1):
        raise ConfigError("--save-pattern must have {name} in it, or photographs overwrite each other's")
    _check_names(jobs)
    check_writable(jobs[0].output)
    for path in jobs[0].pictures:
        read_picture(path)


def _check_names(jobs: Sequence[StylizeJob]) -> None:
    read = {os.path.realpath(path) for job in jobs for path in (job.content, *job.pictures)}
    seen: dict[str, str] = {}
    for job in jobs:
        output = os.path.realpath(job.output)
        if output in read:
            raise ConfigError(f"{job.output} is read here and will not be overwritten; choose another folder")
        if output in seen:
            raise ConfigError(f"{seen[output]} and {job.content} would both be written to {job.output}")
        seen[output] = job.content
