"""Writes the network of a training run in half precision, as it ships.

python models/ship.py RUN src/velatura/weights/NAME.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

from velatura.core.files import sha256_file
from velatura.jobs.models import load_model
from velatura.networks import write_model


def main(run: str, path: str) -> None:
    model = load_model(Path(run))
    write_model(path, model.network, model.record, dtype="float16")
    print(f"{path}: {Path(path).stat().st_size / 2**20:.2f} MiB, SHA-256 {sha256_file(Path(path))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
