"""Processes beside this one, and how they begin."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import BaseContext

__all__ = ["begin_server", "usual_processes", "worker_context"]

_PRELOADED = "velatura.jobs.sweep.pool"


def usual_processes() -> int:
    """As many as there are cores to run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not every system says.
        return os.cpu_count() or 1


def worker_context() -> BaseContext:
    """How processes begin that compute.

    Never as copies of this one, which would have its threads' locks in whatever state they are in. Where the
    system can, as copies of a server that has imported what they need, once and before it had a thread of its
    own; elsewhere each imports for itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def begin_server() -> None:
    """Has the server import what processes need, while this one does something else."""
    if worker_context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()
