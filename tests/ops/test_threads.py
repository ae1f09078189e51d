"""The number of threads: restored, whoever else changes it meanwhile."""

import threading

import pytest
import torch

from velatura.ops.sqrtm import matrix_sqrt
from velatura.ops.threads import computing_threads

USUAL = 3


@pytest.fixture(autouse=True)
def usual():
    """A process whose usual number is none that a test sets."""
    before = torch.get_num_threads()
    torch.set_num_threads(USUAL)
    yield
    torch.set_num_threads(before)


def in_threads(*works):
    """What each function returns, all of them called at once in new threads."""
    found = [None] * len(works)

    def call(index):
        found[index] = works[index]()

    threads = [threading.Thread(target=call, args=[index]) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_the_number_holds_for_a_while():
    with computing_threads(2):
        assert torch.get_num_threads() == 2
        with computing_threads(None):
            assert torch.get_num_threads() == 2
        with computing_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == USUAL
    with pytest.raises(RuntimeError, match="stopped"), computing_threads(2):
        raise RuntimeError("stopped")
    assert torch.get_num_threads() == USUAL


@pytest.mark.parametrize("counts", [(1, 1), (1, 2), (1, None), (None, 1)])
@pytest.mark.parametrize("first_out", [0, 1])
def test_threads_that_overlap_leave_nothing_behind(counts, first_out):
    entered = [threading.Event(), threading.Event()]
    left = threading.Event()

    def work(index):
        if index == 1:
            entered[0].wait()
        with computing_threads(counts[index]):
            inside = torch.get_num_threads()
            entered[index].set()
            entered[1 - index].wait()
            if index != first_out:
                left.wait()
        left.set()
        return inside, torch.get_num_threads()

    found = in_threads(lambda: work(0), lambda: work(1))
    assert found == [(USUAL if count is None else count, USUAL) for count in counts]
    assert in_threads(torch.get_num_threads) == [USUAL]


def test_roots_taken_at_once_leave_nothing_behind(monkeypatch):
    meet, eigh = threading.Barrier(2), torch.linalg.eigh

    def slow(matrix):
        meet.wait()
        assert torch.get_num_threads() == 1
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", slow)

    def work():
        root = matrix_sqrt(torch.eye(2, dtype=torch.float64)[None])
        return float(root.sum()), torch.get_num_threads()

    assert in_threads(work, work) == [(2.0, USUAL)] * 2
    assert in_threads(torch.get_num_threads) == [USUAL]
