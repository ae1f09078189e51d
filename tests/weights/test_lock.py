import contextlib
import multiprocessing
import os
import signal
import time

import pytest

from velatura.core.errors import WeightsError
from velatura.weights.lock import locked

# Spawned processes would import torch anew; forked ones have it already.
FORK = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def test_the_lock_is_gone_behind_the_block(tmp_path):
    with locked(tmp_path / "lock", timeout_s=1):
        assert (tmp_path / "lock").exists()
    assert not list(tmp_path.iterdir())


def test_the_lock_is_gone_behind_an_error(tmp_path):
    with contextlib.suppress(ZeroDivisionError), locked(tmp_path / "lock", timeout_s=1):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_second_holder_waits_and_gives_up(tmp_path):
    noticed = []
    with locked(tmp_path / "lock", timeout_s=1):
        complaint = r"another process has held .*lock for 0 s; wait for it, or end it"
        with (
            pytest.raises(WeightsError, match=complaint),
            locked(tmp_path / "lock", timeout_s=0.15, on_wait=lambda: noticed.append(1)),
        ):
            pytest.fail("the lock was held twice")
    assert noticed == [1]


def hold(path, held):
    with locked(path, timeout_s=10):
        held.set()
        time.sleep(60)


def test_the_lock_of_a_killed_process_is_none(tmp_path):
    held = FORK.Event()
    child = FORK.Process(target=hold, args=(tmp_path / "lock", held))
    child.start()
    assert held.wait(10)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock", timeout_s=5):
        pass
    assert not list(tmp_path.iterdir())


def count_up(path, counter, rounds):
    for _ in range(rounds):
        with locked(path, timeout_s=30):
            number = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(number + 1))


def test_only_one_holds_it_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.weights.lock._POLL_S", 0.001)
    counter = tmp_path / "counter"
    counter.write_text("0")
    children = [FORK.Process(target=count_up, args=(tmp_path / "lock", counter, 15)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert counter.read_text() == "60"


def test_a_folder_that_is_a_file_is_an_operating_system_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), locked(tmp_path / "file" / "lock", timeout_s=1):
        pass
