"""What a result says of the machine and the versions that it was made with."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch

from velatura._version import __version__
from velatura.engine.precision import Precision

__all__ = ["machine_record", "versions"]


def versions() -> dict[str, str]:
    """Of Velatura and of what it computes and writes with."""
    return {
        "velatura": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "pillow")},
    }


def machine_record(device: torch.device, precision: Precision) -> dict[str, Any]:
    """Versions, the processor and what it computed in, as far as they may change a pixel."""
    return {
        "versions": versions(),
        "machine": {
            "device": str(device),
            "processor": torch.cpu.get_capabilities().get("cpu_name", platform.machine()),
            "threads": torch.get_num_threads(),
            "precision": precision.name,
        },
    }
