"""Processes beside this one, and how they begin."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from typing import TypeVar

__all__ = ["begin_server", "ignore_interrupts", "in_parallel", "usual_processes", "worker_context"]

T = TypeVar("T")

_PRELOADED = "velatura.jobs.sweep.served"


def usual_processes() -> int:
    """As many as there are cores to run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not every system says.
        return os.cpu_count() or 1


def worker_context(*modules: str) -> BaseContext:
    """How processes begin that compute.

    Never as copies of this one, which would have its threads' locks in whatever state they are in. Where the
    system can, as copies of a server that has imported what they need, once and before it had a thread of its
    own; elsewhere each imports for itself.

    Args:
        modules: What the server imports beside, if this begins it: each process imports the main module too.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED, *modules])
    return context


def begin_server(*modules: str) -> None:
    """Has the server import what processes need, and these modules, while this one does something else."""
    if worker_context(*modules).get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def in_parallel(calls: Sequence[Callable[[], T]], *, processes: int) -> list[T]:
    """Makes calls in some processes at once, or one after another in this one.

    Args:
        calls: What is called; in other processes it is pickled, and so is what it returns.
        processes: How many at most; 1: this one.

    Returns:
        What each call returned, in their order.

    Raises:
        Exception: What the first call that failed has raised.
    """
    processes = min(processes, len(calls))
    if processes < 2:
        return [call() for call in calls]
    with ProcessPoolExecutor(processes, worker_context(), initializer=ignore_interrupts) as executor:
        return [future.result() for future in [executor.submit(call) for call in calls]]


def ignore_interrupts() -> None:
    """Leaves Ctrl-C, which goes to the whole group of processes, to the first: it tells the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
