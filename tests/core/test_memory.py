"""Memory that is kept: seen by what a process takes from the system for the same array, again and again."""

import gc
import platform
import subprocess
import sys
import types

import pytest

from velatura.core import memory

GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"

PROGRAM = """
import resource, sys
from velatura.core.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
print(pages())
"""


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
def test_what_was_freed_is_not_taken_from_the_system_again():
    def pages(word):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    # 64 MiB are 16,384 pages of 4 KiB, or fewer and larger ones.
    assert pages("keep") < pages("give back") / 4


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("nothing is to be loaded"))
    assert not memory.keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: types.SimpleNamespace())
    assert not memory.keep_freed_memory()


def test_what_linux_says_is_available(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable: 500 kB\n")
    monkeypatch.setattr(memory, "_MEMORY", meminfo)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.available_memory() == 500 * 1024
    (tmp_path / "memory.current").write_text("4096\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() == 500 * 1024
    (tmp_path / "memory.max").write_text("10240\n")
    assert memory.available_memory() == 6144
    (tmp_path / "memory.max").write_text("1024\n")
    assert memory.available_memory() == 0


def test_a_system_that_does_not_tell_has_half_of_its_memory_or_4_gib(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_MEMORY", tmp_path / "none")
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PAGE_SIZE": 8, "SC_PHYS_PAGES": 100}.__getitem__)
    assert memory.available_memory() == 400
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_memory() == 4 * 2**30


def test_what_is_resident_grows_with_what_is_held():
    before = memory.resident_memory()
    held = bytearray(b"x") * (64 * 2**20)
    assert memory.resident_memory() - before > 32 * 2**20
    assert memory.peak_memory() >= memory.resident_memory() > len(held)


@pytest.mark.skipif(not GLIBC, reason="only glibc keeps what was freed")
def test_what_was_freed_and_kept_is_given_back():
    program = """
import os
from velatura.core import memory

def pages():
    return int(open("/proc/self/statm").read().split()[1])

assert memory.keep_freed_memory()
held = [bytearray(b"x") * 2**20 for _ in range(100)]
del held[::2]
kept = pages()
memory.give_back_freed_memory()
print((kept - pages()) * os.sysconf("SC_PAGE_SIZE") // 2**20)
"""
    given = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(given.stdout) > 40


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
@pytest.mark.parametrize("is_mapped", [False, True])
def test_large_blocks_are_given_back_at_once_where_that_was_asked_for(is_mapped):
    program = f"""
import contextlib, os
from velatura.core import memory

def pages():
    return int(open("/proc/self/statm").read().split()[1])

assert memory.keep_freed_memory()
with memory.map_large_blocks() if {is_mapped} else contextlib.nullcontext():
    before, held = pages(), bytearray(b"x") * 2**26
    above = bytearray(2**10)
    del held
    print((pages() - before) * os.sysconf("SC_PAGE_SIZE") // 2**20)
# Kept again: there is no way to ask.
held = bytearray(b"x") * 2**26
del held
print((pages() - before) * os.sysconf("SC_PAGE_SIZE") // 2**20)
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    within, after = map(int, told.stdout.split())
    assert (within < 8) == is_mapped
    assert after > 60


def test_nothing_is_mapped_by_a_program_that_keeps_nothing(monkeypatch):
    monkeypatch.setattr(memory, "_KEEPS", [])
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    with memory.map_large_blocks():
        pass


def test_garbage_is_looked_for_again_after_imports():
    assert gc.isenabled()
    with memory.importing():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_imports_within_imports_leave_garbage_alone():
    with memory.importing():
        with memory.importing():
            assert not gc.isenabled()
        assert not gc.isenabled()
