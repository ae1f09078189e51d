"""Processes that take one cell after another, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event

import torch

from velatura.core.memory import keep_freed_memory
from velatura.jobs.processes import ignore_interrupts, worker_context
from velatura.jobs.sweep.cells import Cell
from velatura.jobs.sweep.store import Measured
from velatura.jobs.sweep.worker import Worker, WorkerSettings

__all__ = ["in_processes", "in_this_process"]

_ASK_EVERY_S = 0.2
_WAITING = 2  # Cells for each process: one in work, one at hand.
_DIED = "the process that made it ended without an answer, as where memory runs out"

_WORKERS: list[Worker] = []
"""The worker of this process, where it is one of a pool's."""


def in_this_process(
    cells: Iterator[Cell], settings: WorkerSettings, *, cancelled: Callable[[], bool]
) -> Iterator[tuple[Cell, Measured | str]]:
    """Makes cells one after another, until cancelled."""
    worker = Worker(settings, cancelled)
    for cell in cells:
        measured = None if cancelled() else worker(cell)
        if measured is None:
            return
        yield cell, measured


def in_processes(
    cells: Iterator[Cell], settings: WorkerSettings, *, jobs: int, cancelled: Callable[[], bool]
) -> Iterator[tuple[Cell, Measured | str]]:
    """Makes cells in several processes, until cancelled.

    Cells whose process died are made again, each in a process of its own: the one to blame fails alone.

    Args:
        cells: What to make; taken one by one.
        settings: What they share.
        jobs: How many processes.
        cancelled: Asked several times a second; cells in work then end unfinished.

    Yields:
        Each cell with what it came to, as they are finished; or why its process has none.
    """
    orphans: list[Cell] = []
    while True:
        with _Pool(jobs, settings) as pool:
            for cell, measured in pool.results(cells, cancelled):
                if measured is None:
                    orphans.append(cell)
                else:
                    yield cell, measured
        if not pool.is_broken or cancelled():
            return
        for orphan in orphans:
            yield from _alone(orphan, settings, cancelled)
        orphans.clear()


def _alone(
    cell: Cell, settings: WorkerSettings, cancelled: Callable[[], bool]
) -> Iterator[tuple[Cell, Measured | str]]:
    with _Pool(1, settings) as pool:
        for one, measured in pool.results(iter([cell]), cancelled):
            yield one, _DIED if measured is None else measured


class _Pool:
    """An executor that can be asked to stop."""

    def __init__(self, jobs: int, settings: WorkerSettings) -> None:
        self.jobs, self.is_broken = jobs, False
        context = worker_context()
        self._stop = context.Event()
        self._executor = ProcessPoolExecutor(
            jobs, context, initializer=_begin, initargs=(settings, self._stop, dict(os.environ))
        )

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def results(
        self, cells: Iterator[Cell], cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Cell, Measured | None]]:
        """Each cell with what it came to; None where its process died."""
        running: dict[Future[Measured | None], Cell] = {}
        while not cancelled():
            self._fill(running, cells)
            if not running:
                return
            done, _ = wait(running, timeout=_ASK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                cell = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    self.is_broken = True
                    yield cell, None
                elif error is not None:
                    raise error
                elif (measured := future.result()) is not None:
                    yield cell, measured

    def _fill(self, running: dict[Future[Measured | None], Cell], cells: Iterator[Cell]) -> None:
        while not self.is_broken and len(running) < _WAITING * self.jobs:
            cell = next(cells, None)
            if cell is None:
                return
            try:
                running[self._executor.submit(_make, cell)] = cell
            except BrokenProcessPool:
                self.is_broken = True
                broken: Future[Measured | None] = Future()
                broken.set_exception(BrokenProcessPool())
                running[broken] = cell


def _begin(settings: WorkerSettings, stop: Event, environment: Mapping[str, str]) -> None:
    ignore_interrupts()
    # Where a server began this process, its variables are those of when the server began.
    os.environ.clear()
    os.environ.update(environment)
    keep_freed_memory()
    torch.set_num_threads(1)
    _WORKERS[:] = [Worker(settings, stop.is_set)]


def _make(cell: Cell) -> Measured | None:
    return _WORKERS[0](cell)
