"""What a sweep costs beside the jobs in it: forty small cells in two processes, and resuming them.

    python benchmarks/sweep.py [--size PIXELS] [--folder FOLDER]

Prints the time of the whole over that of its cells divided by the processes, the part of the cores' time
that was computed in, and how long the finished sweep takes to be looked through again. The measure: at
most 1.1, above 85 %, under 3 s. To begin and to draw takes some seconds whatever the cells are, so the
first figure is the better the larger they are. It takes a minute or two on an idle Linux machine; on one that
other work shares only the first figure holds, roughly.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
title: Forty small cells
base: {preset: fast, pyramid.smallest: 0, size: SIZE}
axes:
  strength: {from: 0.2, to: 5, num: 20}
"""
PROCESSES = 2


def velatura(*words: str | Path) -> tuple[float, float]:
    """Seconds on the clock, and seconds that the machine's processors worked."""
    began, used = time.monotonic(), _busy_s()
    subprocess.run([sys.executable, "-m", "velatura", *map(str, words)], check=True)
    return time.monotonic() - began, _busy_s() - used


def _busy_s() -> float:
    """Of the whole machine: processes that a server of processes began are nobody's children here."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _, _, *interrupts = map(int, file.readline().split()[1:])
    return (user + nice + system + sum(interrupts[:2])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256, help="long edge of a cell's picture, in pixels")
    parser.add_argument("--folder", type=Path, help="where the results go; unset: a new one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="velatura-sweep-"))
    spec = folder / "forty.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    spec.write_text(SPEC.replace("SIZE", str(options.size)))
    command = ("sweep", spec, "-o", folder / "results", "--jobs", str(PROCESSES), "--quiet")
    whole, busy = velatura(*command)
    again, _ = velatura(*command)
    lines = (folder / "results" / "cells.csv").read_text().splitlines()
    place = lines[0].split(",").index("seconds")
    cells = [float(line.split(",")[place]) for line in lines[1:]]
    each = sum(cells) / len(cells)
    print(f"{len(cells)} cells, {each:.2f} s each, in {PROCESSES} processes: {whole:.1f} s")
    print(f"whole over cells / {PROCESSES}: {whole / (sum(cells) / PROCESSES):.3f}")
    print(f"{PROCESSES} cores busy: {100 * busy / PROCESSES / whole:.0f} %")
    print(f"finished, called again: {again:.2f} s")


if __name__ == "__main__":
    main()
