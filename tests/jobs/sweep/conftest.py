"""A sweep of two strengths on one small pair, two steps a cell."""

import textwrap

import numpy as np
import pytest

from velatura.imaging import Picture
from velatura.jobs.sweep import SweepJob, load_sweep, run_sweep

SPEC = """
title: Two strengths
base:
  preset: fast
  size: 32
  pyramid.smallest: 0
  pyramid.steps: [2]
axes:
  strength: [0.5, 2]
pairs:
  - {content: photo.png, style: painting.png}
metrics: [rmse]
"""


@pytest.fixture
def spec(tmp_path):
    """Writes a sweep beside two small pictures; gives its file."""
    rows, columns = np.mgrid[:24, :32]
    Picture.of(np.stack([columns / 31, rows / 23, rows * 0 + 0.4], axis=2).astype(np.float32)).save(
        tmp_path / "photo.png"
    )
    Picture.of(np.random.default_rng(0).random((24, 24, 3), np.float32)).save(tmp_path / "painting.png")

    def write(text=SPEC):
        path = tmp_path / "sweep.yaml"
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        return path

    return write


@pytest.fixture
def sweeping(spec, tmp_path, monkeypatch):
    """Runs a sweep in this process; gives its result. Plots, which take seconds, only where asked for."""

    def run(text=SPEC, *, folder="results", reports=None, changes=None, plots=False, **options):
        if not plots:
            monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: None)
        sweep = load_sweep(spec(text), changes=changes)
        job = SweepJob(sweep=sweep, folder=str(tmp_path / folder), jobs=options.pop("jobs", 1))
        return run_sweep(job, on_cell=(reports if reports is not None else []).append, **options)

    return run
