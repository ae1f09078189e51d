"""Cells in several processes: the same results, and a process that dies takes one cell with it."""

import multiprocessing
import os
from pathlib import Path

import pytest

from velatura.jobs.judging import Evaluation
from velatura.jobs.sweep import pool, worker

from .conftest import SPEC


def test_two_processes_make_what_one_makes(sweeping):
    reports = []
    several = sweeping(folder="several", jobs=2, reports=reports)
    alone = sweeping(folder="alone", jobs=1)
    assert several.made == len(reports) == 2
    assert [one.key for one in several.measured] == [one.key for one in alone.measured]
    assert [one.values for one in several.measured] == [one.values for one in alone.measured]


class Deadly(worker.Worker):
    """A worker whose process ends in the middle of the cell of strength 2."""

    def __call__(self, cell):
        if cell.how.strength == 2:
            os._exit(1)
        return super().__call__(cell)


def begin_deadly(settings, stop, environment):
    pool._WORKERS[:] = [Deadly(settings, stop.is_set)]


@pytest.fixture
def deadly(monkeypatch):
    # By its name, so that a process that is spawned finds it: tests are no package.
    monkeypatch.setattr(pool, "_begin", begin_deadly)
    monkeypatch.setattr(pool, "worker_context", lambda: multiprocessing.get_context("fork"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_dies_fails_its_cell_alone(sweeping, deadly):
    result = sweeping(SPEC.replace("[0.5, 2]", "[0.5, 2, 3]"), jobs=2)
    errors = {one.labels["strength"]: one.error for one in result.measured}
    assert errors["0.5"] is None
    assert errors["3"] is None
    assert errors["2"].startswith("the process that made it ended without an answer")


@pytest.mark.parametrize("value", ["early", "late"])
def test_processes_have_the_variables_of_now(monkeypatch, value):
    """The server that begins them keeps those of when it began itself, which is before the second value."""
    monkeypatch.setenv("VELATURA_TEST_OF_THE_POOL", value)
    settings = worker.WorkerSettings(folder=Path(), evaluation=Evaluation(metrics={}))
    with pool._Pool(1, settings) as processes:
        assert processes._executor.submit(os.getenv, "VELATURA_TEST_OF_THE_POOL").result() == value
