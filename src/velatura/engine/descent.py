"""Descent at one scale: canvas and optimiser, the average of the iterates, the best of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from velatura.core.config import Idle, Setting
from velatura.core.errors import VelaturaError
from velatura.engine.objective import Objective
from velatura.engine.precision import Precision
from velatura.ops.distance import in_memory_order
from velatura.optimizers import ImageOptimizer

__all__ = ["CANVAS_BYTES", "LARGE_CANVAS", "Descent", "Iterates"]

CANVAS_BYTES = 12
"""Of a pixel of a canvas: three numbers of float32."""
LARGE_CANVAS = 2**28
"""Bytes from which on canvases have pages of their own in tiles: 22 megapixels."""

_MOST_ROLLBACKS = 8
# Times the range of the start, or of pixels. L-BFGS with too long a step goes out to 1e10 and further while
# all is finite, and never comes back.
_REACH = 1e3


@dataclass(frozen=True, kw_only=True)
class Iterates:
    """What becomes of the canvases that the optimiser passes through."""

    result: Annotated[Literal["average", "last", "best"], Setting("Which iterate a scale ends with")] = (
        "average"
    )
    average: Annotated[
        float,
        Interval(ge=0, lt=1),
        Setting("Decay of the exponential average of the iterates"),
        Idle("result", ("last", "best")),
    ] = 0.9
    clamp: Annotated[
        Literal["step", "end"], Setting("When pixels are held to [0, 1]: after each step, or at the end")
    ] = "step"
    stop_below: Annotated[
        float, Ge(0), Setting("Ends a scale once the loss changed by no more than this part; 0: never")
    ] = 0.0
    stop_window: Annotated[
        int, Ge(1), Setting("Over how many steps that change is taken"), Idle("stop_below", (0,))
    ] = 50

    @property
    def canvases(self) -> int:
        """How many a descent holds from step to step: the one that moves, the best, and the average."""
        return 3 if self.result == "average" else 2


class Descent:
    """Steps at one scale after another.

    Args:
        canvas: Where to start, ``(1, 3, H, W)``.
        objective: Aimed at the scale's targets before each step.
        optimizer: Builds what moves the canvas.
        iterates: What to keep of the canvases.
        precision: What the backbone computes in.
    """

    def __init__(
        self,
        canvas: Tensor,
        objective: Objective,
        optimizer: ImageOptimizer,
        *,
        iterates: Iterates,
        precision: Precision,
    ) -> None:
        self.objective, self.iterates, self.precision = objective, iterates, precision
        self.rollbacks = 0
        self._begin_at(canvas)
        self.optimizer = optimizer.build(self.canvas)

    def move_to(self, canvas: Tensor) -> None:
        """Goes on at another size: the optimiser's state is resampled, the iterates start anew."""
        self._begin_at(canvas)
        self.optimizer.rescale(self.canvas)

    def _begin_at(self, canvas: Tensor) -> None:
        self.canvas = canvas.detach().clone(memory_format=self.precision.memory_format).requires_grad_()
        # Nothing is kept that nobody asks for: at print size every canvas counts.
        self.average = (
            torch.zeros_like(self.canvas, requires_grad=False)
            if self.iterates.result == "average"
            else self.canvas.new_zeros(0)
        )
        self.average_weight = 0.0
        self.best = torch.zeros_like(self.canvas, requires_grad=False)
        self.best_loss = math.inf
        self._reach = _REACH * max(1.0, _magnitude(self.canvas.detach()))
        self._terms: dict[str, float] = {}

    def step(self) -> tuple[dict[str, float], bool]:
        """One step of the optimiser.

        Returns:
            The weighted terms before the step, and whether the step was taken back because it led to a
            loss that is not finite or to pixels a thousand times out of range.

        Raises:
            VelaturaError: The loss or its gradient is not finite where the scale starts, or steps lead too
                far again and again however small they are.
        """
        self._terms = {}
        loss = self.optimizer.step(self._closure)
        with torch.no_grad():
            if self.iterates.clamp == "step":
                self.canvas.clamp_(0, 1)
            if not (math.isfinite(loss) and _magnitude(self.canvas) <= self._reach):
                self._roll_back()
                return self._terms, True
            if self.iterates.result == "average":
                self._take_into_average()
        return self._terms, False

    def _take_into_average(self) -> None:
        decay = self.iterates.average
        self.average.mul_(decay).add_(self.canvas, alpha=1 - decay)
        self.average_weight = decay * self.average_weight + 1 - decay

    def _closure(self) -> Tensor:
        size = (self.canvas.shape[2], self.canvas.shape[3])
        # The way back takes more than the way there.
        terms, loss = self.objective.in_memory(size, self._evaluated)
        # A line search evaluates the loss several times a step; the first is before the step.
        self._terms = self._terms or terms
        if (value := float(loss.detach())) < self.best_loss and self._gradient_is_finite():
            self.best_loss = value
            self.best.copy_(self.canvas.detach())
        return loss

    def _evaluated(self) -> tuple[dict[str, float], Tensor]:
        """The terms and their sum, with the gradient laid into the canvas."""
        self.canvas.grad = None
        with self.precision.autocast(self.canvas.device):
            terms = self.objective(self.canvas)
        values = torch.stack(list(terms.values()))
        loss = values.sum()
        torch.autograd.backward(loss)
        return dict(zip(terms, values.tolist(), strict=True)), loss

    def _gradient_is_finite(self) -> bool:
        return self.canvas.grad is not None and math.isfinite(_magnitude(self.canvas.grad))

    def _roll_back(self) -> None:
        self.rollbacks += 1
        if not math.isfinite(self.best_loss):
            height, width = self.canvas.shape[2:]
            culprits = [f"term {name!r}" for name, value in self._terms.items() if not math.isfinite(value)]
            raise VelaturaError(
                f"the loss is not finite at the first step of {width}x{height} pixels (in "
                f"{', '.join(culprits) or 'its gradient'}); the weights or a setting are broken"
            )
        if self.rollbacks > _MOST_ROLLBACKS:
            raise VelaturaError(
                f"a step led too far {self.rollbacks} times, though it was halved each time; "
                "lower the step size"
            )
        self.canvas.copy_(self.best)
        # The iterates on the way there must not weigh on the average.
        self.average.zero_()
        self.average_weight = 0.0
        self.optimizer.shrink(0.5)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """The iterate that counts, ``(1, 3, H, W)`` in [0, 1]."""
        if self.iterates.result == "average" and self.average_weight > 0:
            kept = self.average / self.average_weight
        elif self.iterates.result == "best" and math.isfinite(self.best_loss):
            kept = self.best.clone()
        else:
            kept = self.canvas.detach().clone()
        return kept.clamp_(0, 1)

    @torch.no_grad()
    def picture_so_far(self) -> Tensor:
        """As :meth:`picture`, for a run that was cut short: never one that was not looked at.

        L-BFGS without a line search steps far off and back: of a woodcut, its second step led to 77
        times the loss.
        """
        if self.iterates.result == "last" and math.isfinite(self.best_loss):
            return self.best.clamp(0, 1)
        return self.picture()

    def has_settled(self, losses: Sequence[float]) -> bool:
        """Whether the loss of this scale, one number a step, has stopped changing."""
        window = self.iterates.stop_window
        if self.iterates.stop_below == 0 or len(losses) <= window:
            return False
        before = losses[-1 - window]
        return abs(before - losses[-1]) <= self.iterates.stop_below * abs(before)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as tensors."""
        return {
            "canvas": self.canvas.detach().clone(),
            "average": self.average.clone(),
            "best": self.best.clone(),
            "scalars": torch.tensor(
                [self.average_weight, self.best_loss, float(self.rollbacks)], dtype=torch.float64
            ),
            **{f"optimizer.{key}": value for key, value in self.optimizer.state().items()},
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a :meth:`state` of a canvas of this size."""
        for name, own in (("canvas", self.canvas), ("average", self.average), ("best", self.best)):
            own.copy_(state[name])
        self.average_weight, self.best_loss, rollbacks = state["scalars"].tolist()
        self.rollbacks = int(rollbacks)
        prefix = "optimizer."
        self.optimizer.restore(
            {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        )


def _magnitude(pixels: Tensor) -> float:
    """The largest absolute value; NaN or infinite where anything is not finite."""
    # One pass: the extremes are not finite where anything is not.
    least, most = torch.stack(torch.aminmax(in_memory_order(pixels))).tolist()
    return float(max(-least, most))
