"""What a sweep costs beside the jobs in it: forty small cells in two processes, and resuming them.

    python benchmarks/sweep.py [FOLDER]

Prints the time of the whole over that of its cells divided by the processes, the part of the cores' time
that was computed in, and how long the finished sweep takes to be looked through again. The measure: at
most 1.1, above 85 %, under 3 s. It takes a minute or two on an idle machine; on one that other work shares
only the first figure holds, roughly, and the last also stands as time of the processor.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
title: Forty small cells
base: {preset: fast, pyramid.smallest: 0, size: 192}
axes:
  strength: {from: 0.2, to: 5, num: 20}
"""
PROCESSES = 2


def velatura(*words: str | Path) -> tuple[float, float]:
    """Seconds on the clock, and seconds of all processors together."""
    began, used = time.monotonic(), _processor_s()
    subprocess.run([sys.executable, "-m", "velatura", *map(str, words)], check=True)
    return time.monotonic() - began, _processor_s() - used


def _processor_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="velatura-sweep-"))
    spec = folder / "forty.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    spec.write_text(SPEC)
    command = ("sweep", spec, "-o", folder / "results", "--jobs", str(PROCESSES), "--quiet")
    whole, busy = velatura(*command)
    again, again_busy = velatura(*command)
    lines = (folder / "results" / "cells.csv").read_text().splitlines()
    place = lines[0].split(",").index("seconds")
    cells = [float(line.split(",")[place]) for line in lines[1:]]
    each = sum(cells) / len(cells)
    print(f"{len(cells)} cells, {each:.2f} s each, in {PROCESSES} processes: {whole:.1f} s")
    print(f"whole over cells / {PROCESSES}: {whole / (sum(cells) / PROCESSES):.3f}")
    print(f"{PROCESSES} cores busy: {100 * busy / PROCESSES / whole:.0f} %")
    print(f"finished, called again: {again:.2f} s ({again_busy:.2f} s of processor)")


if __name__ == "__main__":
    main()
