"""The job that makes a report."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from velatura._version import __version__
from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path, check_writable
from velatura.jobs.report import blocks
from velatura.jobs.report.album import Album, sensible_edge
from velatura.jobs.report.files import Folder
from velatura.jobs.report.markup import Markup, joined
from velatura.jobs.report.runs import Run, run_of_file, runs_in
from velatura.jobs.report.sections import overview, run_section, sweep_section, training_section
from velatura.jobs.report.sweep import CELLS, Sweep, sweep_in
from velatura.jobs.report.training import LOG, TrainingRun, training_in
from velatura.jobs.standalone import standalone

__all__ = ["Made", "ReportJob", "run_report"]

_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, kw_only=True)
class ReportJob:
    """What is reported on, and where to."""

    source: Annotated[str, Setting("A folder, a record of a run, or a picture that carries one")]
    output: Annotated[str | None, Setting("The page, an HTML file; unset: report.html beside")] = None
    title: Annotated[
        str | None, Setting("Heading of the page; unset: the folder's or the picture's name")
    ] = None
    size: Annotated[
        int | None,
        Interval(ge=16, le=8192),
        Setting(
            "Longer edge of the pictures in the page, at most; unset: 1024, less for many", unit="pixels"
        ),
    ] = None
    quality: Annotated[int, Interval(ge=1, le=100), Setting("WebP quality of the pictures in the page")] = 85

    @property
    def target(self) -> Path:
        """Where the page goes."""
        if self.output is not None:
            return Path(self.output)
        source = Path(self.source)
        return (source if source.is_dir() else source.parent) / "report.html"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A report.

    Args:
        path: The page.
        what: What is in it, in words.
        mib: How large it is.
        notes: What the user should know, a line each.
    """

    path: Path
    what: str
    mib: float
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What there is to report on."""

    runs: Sequence[Run] = ()
    training: TrainingRun | None = None
    sweep: Sweep | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_pictures(self) -> int:
        """About how many pictures the page will have."""
        of_runs = sum(3 + len(run.on_the_way) for run in self.runs)
        of_training = 0 if self.training is None else len(self.training.validations)
        of_sweep = 0 if self.sweep is None else len(self.sweep.pictures) + len(self.sweep.figures)
        return of_runs + of_training + of_sweep

    @property
    def what(self) -> str:
        """What it is, in words."""
        runs = [f"{len(self.runs)} run{'s' * (len(self.runs) > 1)}"] if self.runs else []
        training = ["a training"] if self.training is not None else []
        cells = [] if self.sweep is None else [f"a sweep of {len(self.sweep.rows)} cells"]
        return " and ".join([*runs, *training, *cells])


def run_report(job: ReportJob, *, on_section: Callable[[str], None] = lambda _: None) -> Made:
    """Looks for what there is, and writes the page.

    Args:
        job: What and where to.
        on_section: Told the name of each part before it is made.

    Raises:
        ConfigError: There is nothing to report on, or the output is no HTML file.
        OutputError: The page cannot be written.
    """
    target = job.target
    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"expected an HTML file for the page, such as report.html, not {str(target)!r}")
    found = _found(Path(job.source))
    check_writable(target)
    edge = sensible_edge(found.num_pictures) if job.size is None else job.size
    album = Album(edge=edge, quality=job.quality)
    sections: list[Markup] = []
    if found.sweep is not None:
        on_section(found.sweep.name)
        sections.append(sweep_section(found.sweep, album))
    if found.training is not None:
        on_section(found.training.name)
        sections.append(training_section(found.training, album))
    is_alone = len(found.runs) == 1 and not sections
    if not is_alone and found.runs:
        sections.append(overview(found.runs, album))
    for place, run in enumerate(found.runs, start=1):
        on_section(run.name)
        sections.append(run_section(run, album, place=None if is_alone else place))
    notes = (*found.notes, *album.notes)
    text = standalone(
        "velatura.jobs.report",
        "report",
        title=html.escape(job.title or _title(job, found)),
        what=html.escape(found.what),
        notes=blocks.notes(notes),
        sections=joined(*sections),
        version=html.escape(__version__),
    )
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Made(path=target, what=found.what, mib=len(text.encode()) / 2**20, notes=notes)


def _title(job: ReportJob, found: _Found) -> str:
    if found.sweep is not None:
        return found.sweep.name
    if os.path.isdir(job.source) and (found.training or found.sweep or len(found.runs) > 1):  # noqa: PTH112
        return Path(job.source).resolve().name or job.source
    return found.runs[0].name


def _found(source: Path) -> _Found:
    # Not Path.is_dir: that raises where a name is too long.
    if not os.path.isdir(source):  # noqa: PTH112
        if not os.path.lexists(source):
            raise ConfigError(f"there is no {source}; name a folder, a record, or a picture of a run")
        run = run_of_file(source)
        return _Found(runs=[run])
    try:
        folder = Folder.of(source)
        sweep = sweep_in(source)
        # The pictures beside a table of cells are its cells.
        runs = runs_in(folder) if sweep is None else []
        found = _Found(runs=runs, training=training_in(source), sweep=sweep, notes=folder.notes)
    except OSError as error:
        raise ConfigError(f"cannot look into folder {source}: {error.strerror}") from error
    if not found.what:
        raise ConfigError(
            f"folder {source} holds nothing to report on: expected a picture of 'velatura stylize' or "
            f"'velatura reconstruct', its record, the {LOG} of a training, or the {CELLS} of a sweep"
            f"{_hint(folder)}"
        )
    return found


def _hint(folder: Folder) -> str:
    return f" ({folder.notes[0]})" if folder.notes else ""
