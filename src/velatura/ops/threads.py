"""How many processor threads compute.

Torch's number is three: the calling thread's, the one that threads yet to begin will take, and the matrix
library's. Setting it sets all of them. So where several threads of one process change it for a while, one of
them may take the number of another for its own, and leave that behind for good.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

__all__ = ["computing_threads"]


class _Changes:
    """Who has changed the number for a while: as much of a process as the number itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._usual = 1
        self._own = threading.local()

    def begin(self, count: int | None) -> int:
        """Sets the number, and returns the one to set in the end."""
        with self._lock:
            if self._open == 0:
                self._usual = torch.get_num_threads()
            depth = getattr(self._own, "depth", 0)
            # What a thread finds that has set nothing itself may be another's, for a while.
            before = torch.get_num_threads() if depth else self._usual
            self._set(before if count is None else count)
            self._own.depth = depth + 1
            self._open += 1
            return before

    def end(self, before: int) -> None:
        """Sets the number that was before."""
        with self._lock:
            self._set(before)
            self._own.depth -= 1
            self._open -= 1

    @staticmethod
    def _set(count: int) -> None:
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)


_CHANGES = _Changes()


@contextlib.contextmanager
def computing_threads(count: int | None) -> Iterator[None]:
    """Runs with ``count`` processor threads, and restores what was; ``None`` leaves the number as it is.

    It can be nested, and several threads can be in it at once: each computes with its own number, but for
    products of large matrices, which may take that of another.
    """
    before = _CHANGES.begin(count)
    try:
        yield
    finally:
        _CHANGES.end(before)
