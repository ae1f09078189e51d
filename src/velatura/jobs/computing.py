"""What every run that makes a picture is told of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from velatura.core.config import Setting
from velatura.engine.precision import PrecisionName

__all__ = ["Computing"]


@dataclass(frozen=True, kw_only=True)
class Computing:
    """Where a run computes, in what, and from which seed."""

    seed: Annotated[int, Interval(ge=0, lt=2**63), Setting("Seed of everything that is drawn")] = 0
    device: Annotated[str, Setting("auto, cpu, cuda, cuda:N, mps or xpu")] = "auto"
    precision: Annotated[PrecisionName, Setting("What the network computes in")] = "auto"
    # Torch ends the process where the system gives it no more.
    threads: Annotated[int | None, Interval(ge=1, le=1024), Setting("Processor threads; unset: all")] = None
