import io
import os
import re
import signal
import sys

import pytest

from velatura.cli import progress as module
from velatura.cli.progress import cancelled_by_interrupt, duration, progress_on_stderr
from velatura.core.progress import Progress


def at(step, *, steps=10, scale=1, message="", **more):
    return Progress(
        step=step, steps=steps, scale=scale, scales=2, size=(30, 40), loss=0.12345, message=message, **more
    )


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes only where it is told to."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_line_at_each_scale_every_few_seconds_and_at_the_end(capsys, clock):
    with progress_on_stderr(quiet=False) as report:
        for step in range(1, 11):
            report(at(step, scale=1 if step < 5 else 2))
            clock[0] += 2.0 if step > 5 else 0.5
    steps = [re.search(r"step (\d+)/10", line)[1] for line in capsys.readouterr().err.splitlines()]
    assert steps == ["1", "5", "9", "10"]


def test_a_line_says_scale_size_step_loss_and_time_left(capsys, clock):
    with progress_on_stderr(quiet=False, title="2/3 b.png") as report:
        report(at(1))
        clock[0] += 6.0
        report(at(4))
    assert capsys.readouterr().err.splitlines() == [
        "2/3 b.png: scale 1/2 40x30, step 1/10, loss 0.1235",
        "2/3 b.png: scale 1/2 40x30, step 4/10, loss 0.1235, about 12 s left",
    ]


def test_a_resumed_run_counts_its_own_steps_for_the_time_left(capsys, clock):
    with progress_on_stderr(quiet=False) as report:
        report(at(5))
        clock[0] += 6.0
        report(at(7))
    assert capsys.readouterr().err.endswith("step 7/10, loss 0.1235, about 9 s left\n")


def test_the_time_left_is_told_by_the_work_that_is_left(capsys, clock):
    with progress_on_stderr(quiet=False) as report:
        report(at(1, work=0.01))
        clock[0] += 6.0
        report(at(5, work=0.03))
    assert capsys.readouterr().err.endswith("step 5/10, loss 0.1235, about 5 min left\n")


@pytest.mark.parametrize(("seconds", "text"), [(4.2, "4 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("quiet", [True, False])
def test_messages_are_always_told(capsys, quiet):
    with progress_on_stderr(quiet=quiet) as report:
        report(at(1, message="went back"))
        report(at(2))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "velatura: went back"
    assert len(lines) == (1 if quiet else 2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_that_is_cleared(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_on_stderr(quiet=False, title="1/2 a.png") as report:
        for step in range(1, 11):
            report(at(step, message="went back" if step == 3 else ""))
    shown = terminal.getvalue()
    assert "1/2 a.png: " in shown
    assert "scale 1/2 40x30, step 2/10, loss 0.1235" in shown
    assert "velatura: went back\n" in shown
    assert shown.endswith("\r")


def test_a_bar_of_a_resumed_run_begins_where_the_run_does(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    with progress_on_stderr(quiet=False) as report:
        for work in (0.50, 0.52, 0.54):
            report(at(round(10 * work), work=work))
            clock[0] += 4.0
    assert "54%" in terminal.getvalue()
    # 8 s for two fiftieths: 23 of them are left.
    assert "00:08<01:31" in terminal.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(capfd, number):
    with cancelled_by_interrupt() as cancelled:
        assert not cancelled()
        os.kill(os.getpid(), number)
        assert cancelled()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    line = "\nvelatura: stopping after this step (Ctrl-C again to stop at once)\n"
    assert capfd.readouterr().err == line


def test_the_handlers_that_were_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with cancelled_by_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("quiet", "lines"), [(True, 0), (False, 1)])
def test_what_is_said_before_the_first_step_is_a_line_of_its_own(capsys, quiet, lines):
    with progress_on_stderr(quiet=quiet) as report:
        report(Progress(step=0, steps=3, message="about 1.0 GiB of memory"))
    assert capsys.readouterr().err.count("velatura: about 1.0 GiB of memory\n") == lines
