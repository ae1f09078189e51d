"""Processes begin as copies of a server that has imported what they need."""

import os
import subprocess
import sys
from functools import partial

import pytest

from velatura.jobs import processes
from velatura.jobs.processes import in_parallel

PROGRAM = """
import sys
from velatura.jobs.processes import begin_server, worker_context

def modules():
    return sorted(sys.modules)

if __name__ == "__main__":
    begin_server("wave")
    assert "torch" not in sys.modules
    with worker_context().Pool(1) as pool:
        print(*[name in pool.apply(modules) for name in ("torch", "matplotlib.figure", "wave")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no server of processes")
def test_the_server_imports_what_this_process_has_not(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 3


@pytest.mark.parametrize("processes", [1, 2])
def test_calls_return_in_their_order(processes):
    calls = [partial(pow, 2, exponent) for exponent in range(3)]
    assert in_parallel(calls, processes=processes) == [1, 2, 4]
    assert in_parallel([], processes=processes) == []


def test_calls_are_made_in_other_processes():
    here = os.getpid()
    assert in_parallel([os.getpid], processes=2) == [here], "one call needs no process"
    assert here not in in_parallel([os.getpid] * 2, processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_call_raises_is_raised(processes):
    with pytest.raises(ZeroDivisionError):
        in_parallel([partial(pow, 0, -1), partial(pow, 2, 1)], processes=processes)


def test_each_imports_for_itself_where_there_is_no_server(monkeypatch):
    monkeypatch.setattr(processes.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert processes.worker_context().get_start_method() == "spawn"
    processes.begin_server()


def test_as_many_as_cores(monkeypatch):
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert processes.usual_processes() == 3
    monkeypatch.delattr(processes.os, "sched_getaffinity")
    monkeypatch.setattr(processes.os, "cpu_count", lambda: None)
    assert processes.usual_processes() == 1
