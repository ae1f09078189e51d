"""The memory that is foretold beside the memory that is taken, for six jobs.

    python benchmarks/memory.py             # all of them: about two minutes on two cores
    python benchmarks/memory.py --only adam # those with this in their name
    python benchmarks/memory.py --threads 1

Each job is a command in a process of its own, with a few steps at each scale. What it foretold is in its
record; what it took is the most that the system ever had in memory for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

JOBS = {
    "fast, 1024 px": ("--size", "1024", "--steps", "4"),
    "fast, 1536 px in tiles of 512": ("--size", "1536", "--steps", "2", "--tile", "512"),
    "fast with adam, 1024 px": ("--size", "1024", "--steps", "2", "--optimizer", "adam"),
    "fast in bfloat16, 1024 px": ("--size", "1024", "--steps", "2", "--precision", "bfloat16"),
    "gatys2016, random VGG-19, 640 px": (
        *("--preset", "gatys2016", "--size", "640", "--steps", "3", "--weights", "random"),
    ),
    "random ResNet-18, 1280 px": (
        *("--backbone", "resnet18", "--weights", "random", "--size", "1280", "--steps", "2"),
        *("--set", "terms.style.layers={conv1=1,layer1=1,layer2=1,layer3=1}"),
        *("--set", "terms.content.layers={layer2=1}"),
    ),
}


def job(name: str, folder: Path, threads: int) -> tuple[int, int]:
    """Foretold and taken, in MiB."""
    record = folder / "record.json"
    words = ["stylize", str(folder / "old-town.png"), str(folder / "mosaic.png"), *JOBS[name]]
    words += ["-o", str(folder / "out.png"), "--record", str(record), "--threads", str(threads), "--quiet"]
    process = subprocess.Popen([sys.executable, "-m", "velatura", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name}: velatura {' '.join(words)} failed")
    return json.loads(record.read_text())["memory"]["predicted_mib"], usage.ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="part of a job's name")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print("| job | foretold | taken | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [sys.executable, "-m", "velatura", "samples", name], check=True, stdout=subprocess.DEVNULL
        )
        for key in JOBS:
            if options.only in key:
                foretold, taken = job(key, Path(name), options.threads)
                print(f"| {key} | {foretold} MiB | {taken} MiB | {foretold / taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
