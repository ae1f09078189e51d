"""Processes begin as copies of a server that has imported what they need."""

import subprocess
import sys

import pytest

from velatura.jobs import processes

PROGRAM = """
import sys
from velatura.jobs.processes import begin_server, worker_context

def modules():
    return sorted(sys.modules)

if __name__ == "__main__":
    begin_server()
    assert "torch" not in sys.modules
    with worker_context().Pool(1) as pool:
        print("torch" in pool.apply(modules))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no server of processes")
def test_the_server_imports_what_this_process_has_not(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True"]


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
