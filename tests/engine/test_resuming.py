"""A run that goes on from its checkpoint: to the pixels of an unbroken one, or not at all."""

import itertools
import math
import signal
import subprocess
import sys

import pytest
from torch.testing import assert_close

from velatura.core.errors import ConfigError, OutputError
from velatura.engine.checkpoint import Checkpoints, write_checkpoint
from velatura.engine.objective import Objective

STEPS = 7


def _resumed(small, optimizer, path, **options):
    return small.paint(small.stylizer(optimizer), checkpoints=Checkpoints(resume_from=path), **options)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "lbfgs"])
@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_resumed_at_any_step_equals_an_unbroken_run(small, tmp_path, optimizer, steps, cancelled_after):
    path = tmp_path / "run.safetensors"
    whole = small.paint(small.stylizer(optimizer))
    small.paint(small.stylizer(optimizer), checkpoints=Checkpoints(save_to=path), **cancelled_after(steps))
    reports = []
    resumed = _resumed(small, optimizer, path, on_progress=reports.append)
    assert [report.step for report in reports] == list(range(steps + 1, STEPS + 1))
    assert_close(resumed.pixels, whole.pixels, rtol=0, atol=0)
    assert resumed.history == whole.history
    assert not resumed.interrupted


def test_interrupted_again_and_again_equals_an_unbroken_run(small, tmp_path, cancelled_after):
    path = tmp_path / "run.safetensors"
    whole = small.paint(small.stylizer("lbfgs", initialization="uniform"))
    checkpoints, outcome = Checkpoints(save_to=path), None
    while outcome is None or outcome.interrupted:
        outcome = small.paint(
            small.stylizer("lbfgs", initialization="uniform"), checkpoints=checkpoints, **cancelled_after(1)
        )
        checkpoints = Checkpoints(save_to=path, resume_from=path)
    assert_close(outcome.pixels, whole.pixels, rtol=0, atol=0)
    assert outcome.history == whole.history


@pytest.mark.parametrize("steps", [2, 4])
def test_resumed_after_a_step_was_taken_back(small, tmp_path, monkeypatch, steps, cancelled_after):
    """Not finite at the third evaluation: the halved step is part of the state."""
    path, plain = tmp_path / "run.safetensors", Objective.__call__

    def break_at(number):
        count = itertools.count(1)

        def broken(objective, canvas):
            terms = plain(objective, canvas)
            return {**terms, "style": terms["style"] * math.nan} if next(count) == number else terms

        monkeypatch.setattr(Objective, "__call__", broken)

    break_at(3)
    whole = small.paint(small.stylizer())
    break_at(3)
    small.paint(small.stylizer(), checkpoints=Checkpoints(save_to=path), **cancelled_after(steps))
    break_at(3 - steps)
    resumed = _resumed(small, "adam", path)
    assert_close(resumed.pixels, whole.pixels, rtol=0, atol=0)


def test_resumed_after_a_kill_equals_an_unbroken_run(small, tmp_path):
    path, optimizer, steps = tmp_path / "run.safetensors", "lbfgs", 5
    killed = subprocess.run(
        [sys.executable, small.__file__, str(path), optimizer, str(steps)], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    whole, reports = small.paint(small.stylizer(optimizer)), []
    resumed = _resumed(small, optimizer, path, on_progress=reports.append)
    assert reports[0].step == steps + 1
    assert_close(resumed.pixels, whole.pixels, rtol=0, atol=0)
    assert resumed.history == whole.history


@pytest.mark.parametrize(("every_s", "expected"), [(0, STEPS + 1), (1e6, 1)])
def test_how_often_a_run_is_saved(small, tmp_path, monkeypatch, every_s, expected):
    saved = []
    write = "velatura.engine.optimization.write_checkpoint"
    monkeypatch.setattr(write, lambda path, *_, **__: saved.append(path))
    small.paint(small.stylizer(), checkpoints=Checkpoints(save_to=tmp_path / "run", every_s=every_s))
    assert saved == expected * [tmp_path / "run"]


def test_a_checkpoint_of_another_run_names_what_differs(small, tmp_path, cancelled_after):
    path = tmp_path / "run.safetensors"
    settings = {"seed": 0, "method": {"optimizer": {"name": "adam", "lr": 0.03}}}
    small.paint(
        small.stylizer(),
        checkpoints=Checkpoints(save_to=path, fingerprint=settings),
        **cancelled_after(2),
    )
    other = {"seed": 1, "method": {"optimizer": {"name": "adam", "lr": 0.05}}}
    checkpoints = Checkpoints(resume_from=path, fingerprint=other)
    with pytest.raises(
        ConfigError, match=r"of a run with another seed, method.optimizer.lr; give the settings"
    ):
        small.paint(small.stylizer(), checkpoints=checkpoints)


def test_a_checkpoint_of_another_size_is_refused(small, tmp_path, cancelled_after):
    path = tmp_path / "run.safetensors"
    small.paint(small.stylizer(), checkpoints=Checkpoints(save_to=path), **cancelled_after(2))
    content, style = small.pictures()
    with pytest.raises(ConfigError, match="of a run with another list of scales"):
        small.stylizer()(
            content, [style], blend=[1.0], size=(27, 36), checkpoints=Checkpoints(resume_from=path)
        )


def test_a_broken_checkpoint_is_refused(small, tmp_path, cancelled_after):
    path = tmp_path / "run.safetensors"
    small.paint(small.stylizer(), checkpoints=Checkpoints(save_to=path), **cancelled_after(2))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"cannot resume: .*run.safetensors is not a whole checkpoint"):
        _resumed(small, "adam", path)


@pytest.mark.parametrize("fails_at", [{2, 3}, {STEPS + 1}])
def test_a_checkpoint_that_cannot_be_written_ends_nothing(small, tmp_path, monkeypatch, fails_at):
    path, calls, seen = tmp_path / "run.safetensors", itertools.count(1), []

    def write(*args, **options):
        if next(calls) in fails_at:
            raise OutputError(f"cannot write '{path}': the disk is full")
        write_checkpoint(*args, **options)

    monkeypatch.setattr("velatura.engine.optimization.write_checkpoint", write)
    checkpoints = Checkpoints(save_to=path, every_s=0)
    outcome = small.paint(small.stylizer(), checkpoints=checkpoints, on_progress=seen.append)
    assert len(outcome.history) == STEPS
    told = [progress.message for progress in seen if progress.message]
    note = f"cannot write '{path}': the disk is full; what was saved before stays"
    assert (told, outcome.notes) == (([], (note,)) if STEPS + 1 in fails_at else ([note], ()))
    assert_close(_resumed(small, "adam", path).pixels, outcome.pixels, rtol=0, atol=0)
