"""One process at a time: a lock on a file, which the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from velatura.core.errors import WeightsError

__all__ = ["locked"]

_POLL_S: Final = 0.1


@contextlib.contextmanager
def locked(path: Path, *, timeout_s: float, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the lock at ``path`` during the block; the file is removed behind it.

    A file that a killed process has left is no lock: only a living one holds it.

    Args:
        path: The lock's file; its folder must exist.
        timeout_s: How long to wait for another process.
        on_wait: Called once when there is another process to wait for.

    Raises:
        WeightsError: Another process still holds the lock when the time is over.
        OSError: The file cannot be made.
    """
    descriptor = _acquire(path, time.monotonic() + timeout_s, on_wait)
    if descriptor is None:
        raise WeightsError(f"another process has held {path} for {timeout_s:.0f} s; wait for it, or end it")
    try:
        yield
    finally:
        # Removed while it is held, so that nobody can lock a file that no longer has a name unnoticed.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path, deadline: float, on_wait: Callable[[], None] | None) -> int | None:
    waiting = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if _try_lock(descriptor) and _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)
        if not waiting and on_wait is not None:
            on_wait()
        waiting = True
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_S)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
