"""Sweeps: a job with some of its settings varied, on several pictures, judged and laid side by side."""

from velatura.jobs.sweep.grid import Axis, Point
from velatura.jobs.sweep.load import load_sweep
from velatura.jobs.sweep.run import MANY_CELLS, SweepJob, SweepProgress, SweepResult, run_sweep
from velatura.jobs.sweep.search import SearchJob, run_search
from velatura.jobs.sweep.spec import Sweep

__all__ = [
    "MANY_CELLS",
    "Axis",
    "Point",
    "SearchJob",
    "Sweep",
    "SweepJob",
    "SweepProgress",
    "SweepResult",
    "load_sweep",
    "run_search",
    "run_sweep",
]
