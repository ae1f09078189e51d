"""Numbers that sums are taken in."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["at_least_float32", "without_autocast"]


def at_least_float32(values: Tensor) -> Tensor:
    """Half-precision values as float32, others as they are.

    A sum over a hundred thousand positions keeps two or three digits in bfloat16.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def without_autocast(values: Tensor) -> torch.autocast:
    """Context in which matrix products on the device of ``values`` keep their inputs' precision."""
    return torch.autocast(values.device.type, enabled=False)
