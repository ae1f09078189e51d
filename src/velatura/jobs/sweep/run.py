"""The job of sweeping: a grid of cells, made in several processes, resumed where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from velatura.core.config import Setting
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.progress import never
from velatura.jobs.judging import Evaluation, Evaluator
from velatura.jobs.processes import usual_processes
from velatura.jobs.sweep.cells import Cell, Planner
from velatura.jobs.sweep.grid import Point
from velatura.jobs.sweep.outputs import write_outputs
from velatura.jobs.sweep.pool import in_processes, in_this_process
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, Store
from velatura.jobs.sweep.worker import WorkerSettings

__all__ = ["MANY_CELLS", "OnCell", "SweepJob", "SweepProgress", "SweepResult", "Sweeper", "run_sweep"]

MANY_CELLS = 10_000
"""From so many cells on, somebody has to say that they are meant."""


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """A sweep, and the folder of its results."""

    sweep: Annotated[Sweep, Setting("What is varied")]
    folder: Annotated[str, Setting("Where the results go")]
    jobs: Annotated[int | None, Ge(1), Setting("Processes, one thread each; unset: one a core")] = None
    many: Annotated[bool, Setting("Run however many cells there are")] = False


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """One report of a sweep.

    Args:
        cell: The cell that was finished, in words.
        done: Cells finished, those of earlier runs included.
        total: Cells in all.
        failed: How many of them failed.
        seconds: What this one took.
        seconds_left: What the rest will take, as far as can be told.
        error: Why it failed; None: it did not.
    """

    cell: str
    done: int
    total: int
    failed: int
    seconds: float
    seconds_left: float
    error: str | None = None


OnCell = Callable[[SweepProgress], None]


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep came to.

    Args:
        measured: Every cell that was finished or has failed, in the order of the grid.
        made: How many of them this run made.
        interrupted: Whether it was cancelled; running it again goes on from there.
        files: What was written of them all, by what it is.
        notes: What the user should know, one line each.
    """

    measured: tuple[Measured, ...]
    made: int
    interrupted: bool
    files: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Measured, ...]:
        """The cells that failed."""
        return tuple(one for one in self.measured if one.error is not None)


def run_sweep(
    job: SweepJob,
    *,
    on_cell: OnCell = lambda progress: None,  # noqa: ARG005
    cancelled: Callable[[], bool] = never,
) -> SweepResult:
    """Makes every cell of the grid that the folder does not have yet, and writes what they show.

    Args:
        job: What to do.
        on_cell: Told of every cell that was made.
        cancelled: Asked several times a second, and before every step.

    Raises:
        ConfigError: The settings of a cell are wrong, there are very many cells, or the folder is another
            sweep's. Found before anything runs.
        WeightsError: A network or a judge is not here. Found before anything runs.
        OutputError: The folder cannot be written to.
    """
    sweep = job.sweep
    check_count(sweep.num_cells, many=job.many)
    sweeper = Sweeper(job, on_cell=on_cell, cancelled=cancelled)
    points = list(sweep.points())
    measured = sweeper.measure(points)
    files, notes = sweeper.write_outputs(sweep, points, measured)
    return SweepResult(
        measured=tuple(measured),
        made=sweeper.made,
        interrupted=sweeper.interrupted,
        files=files,
        notes=notes,
    )


def check_count(count: int, *, many: bool) -> None:
    """Refuses very many cells that nobody confirmed."""
    if count >= MANY_CELLS and not many:
        raise ConfigError(f"this sweep has {count} cells; say --yes if that is meant, or give fewer values")


class Sweeper:
    """Measures points of a sweep; what its folder has already is not made again.

    Args:
        job: The sweep and its folder.
        objective: Of a search; None: the whole grid.
        on_cell: Told of every cell that was made.
        cancelled: Asked several times a second, and before every step.

    Raises:
        ConfigError: The folder is another sweep's, or a metric cannot be had.
        WeightsError: A judge is not here.
    """

    def __init__(
        self,
        job: SweepJob,
        *,
        objective: str | None = None,
        on_cell: OnCell = lambda progress: None,  # noqa: ARG005
        cancelled: Callable[[], bool] = never,
    ) -> None:
        self.sweep, self.jobs = job.sweep, job.jobs or usual_processes()
        self.on_cell, self.cancelled = on_cell, cancelled
        self.store = Store(Path(job.folder))
        self.store.claim(job.sweep, objective=objective)
        self.planner = Planner(job.sweep, self.store.folder)
        self.made, self.interrupted = 0, False
        self._has_judges = False

    def measure(self, points: Sequence[Point]) -> list[Measured]:
        """Every cell of some points, in their order; fewer if cancelled."""
        cells = list(self.planner.cells(points))
        known = {cell.key: self.store.measured(cell.key) for cell in cells}
        results = {key: one for key, one in known.items() if one is not None and one.error is None}
        missing = list({cell.key: cell for cell in cells if cell.key not in results}.values())
        if missing:
            self._check_judges()
            for cell, measured in self._make(missing, total=len(cells)):
                results[cell.key] = measured
        self.interrupted = self.interrupted or len(results) < len({cell.key for cell in cells})
        return [_named(results[cell.key], cell) for cell in cells if cell.key in results]

    def write_outputs(
        self, sweep: Sweep, points: Sequence[Point], measured: Sequence[Measured]
    ) -> tuple[dict[str, Path], tuple[str, ...]]:
        """What is written of them all, by what it is, and what there is to say about it."""
        return write_outputs(
            sweep,
            self.store,
            points,
            measured,
            sources=self.planner.sources(),
            is_new=self.made > 0,
            # Where no cell was made, no process has begun.
            processes=self.jobs if self.made > 0 else 1,
        )

    def _check_judges(self) -> None:
        if not self._has_judges:
            check_judges(self.sweep.evaluation)
            self._has_judges = True

    def _make(self, cells: Sequence[Cell], *, total: int) -> Iterator[tuple[Cell, Measured]]:
        reference = None if self.sweep.reference is None else self.sweep.reference.how
        settings = WorkerSettings(
            folder=self.store.folder.absolute(), evaluation=self.sweep.evaluation, reference=reference
        )
        jobs = min(self.jobs, len(cells))
        began, done, failed = time.monotonic(), 0, 0
        for cell, found in (
            in_this_process(iter(cells), settings, cancelled=self.cancelled)
            if jobs == 1
            else in_processes(iter(cells), settings, jobs=jobs, cancelled=self.cancelled)
        ):
            measured = found if isinstance(found, Measured) else self._died(cell, found)
            done, self.made = done + 1, self.made + 1
            failed += measured.error is not None
            left = (time.monotonic() - began) / done * (len(cells) - done)
            self.on_cell(
                SweepProgress(
                    cell=str(cell),
                    done=total - len(cells) + done,
                    total=total,
                    failed=failed,
                    seconds=measured.seconds,
                    seconds_left=left,
                    error=measured.error,
                )
            )
            yield cell, measured

    def _died(self, cell: Cell, reason: str) -> Measured:
        measured = Measured(
            key=cell.key,
            labels=cell.point.labels,
            content=cell.pair.content.name,
            style=cell.pair.style.name,
            seed=cell.seed,
            error=reason,
        )
        self.store.write(measured)
        return measured


def _named(measured: Measured, cell: Cell) -> Measured:
    """What a cell came to, under its names of now: they are no part of the key, and equal files share one."""
    return replace(
        measured,
        labels=cell.point.labels,
        content=cell.pair.content.name,
        style=cell.pair.style.name,
        seed=cell.seed,
    )


def check_judges(how: Evaluation) -> None:
    """Refuses, before anything runs, metrics that cannot be had.

    Raises:
        ConfigError: A package is missing, or a network has no such layer; the metric is named.
        WeightsError: A judge's weights are missing; likewise.
    """
    for name, judged in how.metrics.items():
        try:
            Evaluator(Evaluation(metrics={name: judged}, size=how.size))
        except (ConfigError, WeightsError) as error:
            message = str(error) if repr(name) in str(error) else f"metric {name!r}: {error}"
            raise type(error)(message) from None
