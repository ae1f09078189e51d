"""Numbers that sums are taken in."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

__all__ = ["at_least_float32", "in_float64", "without_autocast"]


def at_least_float32(values: Tensor) -> Tensor:
    """Half-precision values as float32, others as they are.

    A sum over a hundred thousand positions keeps two or three digits in bfloat16.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def in_float64(values: Tensor) -> Tensor:
    """The values as float64: on the processor where their own device has none (mps)."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def without_autocast(values: Tensor) -> contextlib.AbstractContextManager[object]:
    """Context in which matrix products on the device of ``values`` keep their inputs' precision."""
    kind = values.device.type
    # Where there is nothing to switch off, switching costs more than a small product.
    return (
        torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()
    )
