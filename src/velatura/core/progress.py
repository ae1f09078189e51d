"""What a long run says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OnProgress", "Progress", "never", "silent"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report of a run.

    Args:
        step: Steps done in the whole run; 0: a message before the first.
        steps: Steps of the whole run.
        work: Part of the run's work that is done, in [0, 1]; None: as many as its steps.
        scale: Which scale of the pyramid, from 1.
        scales: How many.
        size: Height and width of the canvas, in pixels.
        loss: Sum of the weighted terms, before the step.
        terms: Each weighted term by name.
        message: Something the user should read, such as a step rolled back; usually empty.
        picture: Gives the picture as it is now; costs a copy, so it is only called when wanted.
    """

    step: int
    steps: int
    work: float | None = None
    scale: int = 1
    scales: int = 1
    size: tuple[int, int] = (0, 0)
    loss: float = float("nan")
    terms: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    picture: Callable[[], Any] | None = None

    @property
    def done(self) -> float:
        """Part of the run that is done, in [0, 1]: what time is told by."""
        if self.work is not None:
            return self.work
        return self.step / self.steps if self.steps else 0.0


OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Says nothing."""


def never() -> bool:
    """Is never cancelled."""
    return False
