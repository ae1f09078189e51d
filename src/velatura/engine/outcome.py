"""What a stylizer ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an optimisation ends with.

    Args:
        pixels: ``(3, H, W)`` in [0, 1].
        history: One entry a step: ``scale`` and ``step`` (of the scale, from 1), ``size`` (height and
            width), ``loss`` and ``terms`` (before the step).
        interrupted: Whether it was cancelled before its last step.
        notes: What the user should know of it, a line each.
    """

    pixels: Tensor
    history: list[dict[str, Any]]
    interrupted: bool
    notes: tuple[str, ...] = ()
