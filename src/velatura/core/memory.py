"""How much memory there is, how the C library hands it out, and when Python looks for garbage."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "available_memory",
    "give_back_freed_memory",
    "importing",
    "keep_freed_memory",
    "map_large_blocks",
    "peak_memory",
    "resident_memory",
]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_MOST = 2**31 - 1
_MAPPINGS = 2**16
_LARGE_BLOCK = 2**25
"""Bytes of the smallest block that is had apart; glibc allows no larger threshold."""

_KEEPS: list[bool] = []
"""Whether freed memory is kept, by the last call that asked for it."""

_UNKNOWN = 4 * 2**30
_MEMORY = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_RESIDENT = Path("/proc/self/statm")


def keep_freed_memory() -> bool:
    """Has glibc keep the memory that the process frees, for what the process needs next.

    By default it gives large blocks back to the system at once. Every step of a descent then takes the same
    feature maps from the system again, which clears each page first: 8 % of a step at 512 pixels and 17 % at
    1024 (``vgg19-slim``, seven layers of moments, one thread). Peak memory stays what it was; what is kept
    is given back when the process ends. It concerns the whole process, so it is for a program to call, not
    for a library.

    Returns:
        Whether it took effect: the C library is glibc.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    _KEEPS[:] = [bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _MOST))]
    return any(_KEEPS)


@contextlib.contextmanager
def map_large_blocks() -> Iterator[None]:
    """Within it, glibc takes large blocks from the system and gives them back, if it was told to keep all.

    What is freed and kept has gaps that fit nothing when blocks of many sizes come and go; blocks that have
    pages of their own leave none. Blocks are large from 32 MiB on. It takes time: each page is cleared first.
    """
    if not any(_KEEPS):
        yield
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
    mallopt(_M_MMAP_MAX, _MAPPINGS)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, 0)


def give_back_freed_memory() -> bool:
    """Has glibc give to the system all that was freed, wherever it lies, if it was told to keep it.

    What canvases of one size leave is in pieces too small for those of the next: without this, a run in
    tiles to 3072 pixels took 3873 MiB in place of 3597.

    Returns:
        Whether anything was given back.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within it, garbage is not looked for: a module that was just imported is none.

    Looking for it takes a tenth of the time that torch takes to import.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def available_memory() -> int:
    """Bytes that this process may still take without pushing others out: 4 GiB where nobody tells.

    Linux tells, and so does the control group that a container runs in; elsewhere it is half of the
    machine's memory.
    """
    return min(_limits(), default=_UNKNOWN)


def _limits() -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
        yield 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
        with contextlib.suppress(OSError, ValueError):
            allowed, taken = (
                int((_GROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current")
            )
            yield max(0, allowed - taken)
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def resident_memory() -> int:
    """Bytes of this process that are in memory now, but for what the C library keeps for later.

    What was freed is used again before more is taken from the system. Where the system does not tell what
    is resident, it is the most that ever was.
    """
    try:
        pages = int(_RESIDENT.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return peak_memory()
    return max(0, pages * os.sysconf("SC_PAGE_SIZE") - _freed_and_kept())


def peak_memory() -> int:
    """Bytes of this process that were in memory at most; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows has no such module.
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


class _Heap(ctypes.Structure):
    """What glibc tells of its heap, ``struct mallinfo2``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _freed_and_kept() -> int:
    """Bytes that were freed and not given back; 0 where the C library does not tell (glibc before 2.33)."""
    if sys.platform != "linux":
        return 0
    try:
        tell = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return 0
    tell.restype = _Heap
    return int(tell().fordblks)
