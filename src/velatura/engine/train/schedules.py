"""How the step size goes from the first step to the last: one class a published schedule."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Interval

from velatura.core.config import Setting
from velatura.core.registry import Registry

__all__ = ["Constant", "Cosine", "InverseDecay", "Schedule", "StepDecay", "schedules"]


class Schedule(ABC):
    """What Adam's step size is multiplied by: a function of the step alone, so that a run can be resumed."""

    name: ClassVar[str]

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor of one step.

        Args:
            step: From 0.
            steps: Of the whole run.
        """


schedules: Registry[type[Schedule]] = Registry("schedule", home="velatura.engine.train.schedules")


@schedules.register("constant")
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The same step size throughout (Johnson et al. 2016; Dumoulin et al. 2017)."""

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        """1."""
        return 1.0


@schedules.register("inverse")
@dataclass(frozen=True, kw_only=True)
class InverseDecay(Schedule):
    r"""Divided by :math:`1 + d\,t` at step :math:`t` (Huang and Belongie 2017, their code)."""

    decay: Annotated[float, Ge(0), Setting("What the divisor grows by at each step")] = 5e-5

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        """1 at step 0, a half at step 1 / decay."""
        return 1 / (1 + self.decay * step)


@schedules.register("steps")
@dataclass(frozen=True, kw_only=True)
class StepDecay(Schedule):
    """Multiplied by a factor after some steps, and again every so many (Ulyanov et al. 2016 and 2017)."""

    by: Annotated[float, Interval(gt=0, le=1), Setting("What the step size is multiplied by")] = 0.7
    after: Annotated[int, Ge(1), Setting("Steps before the first time")] = 1000
    every: Annotated[int, Ge(1), Setting("Steps between two times")] = 200

    def factor(self, step: int, steps: int) -> float:  # noqa: ARG002
        """A power of ``by``: 1 at the beginning."""
        times = 0 if step < self.after else 1 + (step - self.after) // self.every
        return self.by**times


@schedules.register("cosine")
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Up in a line over the first steps, then down along half a cosine."""

    warmup: Annotated[int, Ge(0), Setting("First steps, over which the step size rises")] = 100
    end: Annotated[float, Interval(gt=0, le=1), Setting("Step size of the end, over the largest")] = 0.01

    def factor(self, step: int, steps: int) -> float:
        """1 after the rise, ``end`` at the end."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, steps - self.warmup))
        return self.end + (1 - self.end) * 0.5 * (1 + math.cos(math.pi * done))
