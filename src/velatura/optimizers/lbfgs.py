"""L-BFGS: steps that follow the curvature of the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from velatura.core.config import Setting
from velatura.ops.distance import in_memory_order
from velatura.optimizers.base import CanvasOptimizer, ImageOptimizer, area_ratio, optimizers, resample
from velatura.optimizers.line_search import Point, strong_wolfe

__all__ = ["LBFGS"]

_LINE_SEARCH_EVALUATIONS = 25
_LEAST_CURVATURE = 1e-10  # Flatter pairs say nothing that rounding does not.


@optimizers.register("lbfgs")
@dataclass(frozen=True, kw_only=True)
class LBFGS(ImageOptimizer):
    """Limited-memory BFGS (Liu and Nocedal 1989), the choice of Gatys et al. 2016.

    One step is one iteration: without a line search one evaluation of the loss, equal to
    ``torch.optim.LBFGS`` with ``max_iter`` iterations and its tolerances at 0. ``strong_wolfe``
    evaluates up to 26 times. Published counts are of iterations or of evaluations: 15 steps of
    torch's default are up to 300 iterations (Li and Zhao 2018).

    Clamp the canvas at the end, never in the closure: it would hide the curvature.
    """

    lr: Annotated[float, Gt(0), Setting("Part of the quasi-Newton step that is taken")] = 1.0
    history: Annotated[
        int, Ge(1), Setting("Steps remembered; each takes the memory of two canvases", unit="steps")
    ] = 10
    line_search: Annotated[Literal["none", "strong_wolfe"], Setting("How far to go along a direction")] = (
        "none"
    )

    def build(self, canvas: Tensor) -> CanvasOptimizer:
        """L-BFGS on ``canvas``."""
        return _LBFGSSteps(canvas, self)

    def remembered(self, steps: int) -> int:
        """The last gradient and step, and a pair for each step before that is remembered."""
        return 2 + 2 * min(self.history, max(0, steps - 1))

    @property
    def worked_on(self) -> int:
        """The direction and the change of the gradient; a line search begins where the canvas was."""
        return 2 if self.line_search == "none" else 4


class _LBFGSSteps(CanvasOptimizer):
    r"""Nocedal and Wright 2006, algorithm 7.5: each step is :math:`x \leftarrow x - t H g`.

    The inverse Hessian :math:`H` is the one that the last pairs of a step :math:`s` and the change
    of the gradient :math:`y` over it agree with, from :math:`H_0 = \gamma I` with
    :math:`\gamma = s^\top y / y^\top y` of the last pair.
    """

    _entries = ("gradient", "last_step", "steps", "changes", "curvatures", "gamma")
    _pixels = frozenset({"gradient", "last_step", "steps", "changes"})

    def __init__(self, canvas: Tensor, settings: LBFGS) -> None:
        self._settings = settings
        super().__init__(canvas, step_size=settings.lr)

    def _forget(self) -> None:
        self._gradient: Tensor | None = None
        self._last_step: Tensor | None = None
        self._steps: list[Tensor] = []
        self._changes: list[Tensor] = []
        self._curvatures: list[Tensor] = []
        self._gamma = torch.ones((), dtype=self._canvas.dtype, device=self._canvas.device)

    def _move(self, evaluate: Callable[[], Tensor]) -> Tensor:
        loss = evaluate()
        gradient = self._gradient_like_canvas()
        length = self.step_size
        if self._gradient is None or self._last_step is None:
            # Nothing is known of the curvature: a step as long as one pixel's whole range, at most.
            length /= max(1.0, float(gradient.abs().sum()))
        else:
            self._learn(self._last_step, gradient - self._gradient)
        direction = self._direction(gradient)
        if self._settings.line_search == "strong_wolfe":
            length = self._searched(evaluate, direction, gradient, float(loss), length)
        self._gradient = gradient
        self._last_step = direction.mul_(length)
        self._canvas.add_(self._last_step)
        return loss

    def _gradient_like_canvas(self) -> Tensor:
        """The gradient at the canvas, in the canvas's memory format, for the optimiser to keep."""
        gradient, self._canvas.grad = self._canvas.grad, None
        assert gradient is not None, "a closure leaves a gradient at the canvas"
        if gradient.stride() == self._canvas.stride():
            return gradient
        return torch.empty_like(self._canvas, requires_grad=False).copy_(gradient)

    def _learn(self, step: Tensor, change: Tensor) -> None:
        curvature = _dot(step, change)
        if not bool(curvature > _LEAST_CURVATURE):
            return
        self._steps.append(step)
        self._changes.append(change)
        self._curvatures.append(curvature)
        self._gamma = curvature / _dot(change, change)
        for kept in (self._steps, self._changes, self._curvatures):
            del kept[: -self._settings.history]

    def _direction(self, gradient: Tensor) -> Tensor:
        """``-H g`` by two passes over the pairs (Nocedal and Wright 2006, algorithm 7.4)."""
        direction = -gradient
        pairs = list(zip(self._steps, self._changes, self._curvatures, strict=True))
        shares = []
        for step, change, curvature in reversed(pairs):
            shares.append(_dot(step, direction) / curvature)
            direction.addcmul_(change, shares[-1], value=-1)
        direction.mul_(self._gamma)
        for (step, change, curvature), share in zip(pairs, reversed(shares), strict=True):
            direction.addcmul_(step, share - _dot(change, direction) / curvature)
        return direction

    def _searched(
        self, evaluate: Callable[[], Tensor], direction: Tensor, gradient: Tensor, loss: float, length: float
    ) -> float:
        """The length of the step that a line search finds; the canvas is left where it was."""
        start = self._canvas.detach().clone()

        def probe(length: float) -> Point:
            self._canvas.copy_(start).add_(direction, alpha=length)
            loss = float(evaluate())
            return Point(length, loss, float(_dot(self._gradient_like_canvas(), direction)))

        slope = float(_dot(gradient, direction))
        found = strong_wolfe(probe, Point(0.0, loss, slope), length, evaluations=_LINE_SEARCH_EVALUATIONS)
        self._canvas.copy_(start)
        return found.at

    def _memory(self) -> dict[str, Tensor]:
        if self._gradient is None or self._last_step is None:
            return {}
        none = self._gradient.new_zeros(0, *self._gradient.shape)
        return {
            "gradient": self._gradient,
            "last_step": self._last_step,
            "steps": torch.stack(self._steps) if self._steps else none,
            "changes": torch.stack(self._changes) if self._changes else none,
            "curvatures": torch.stack(self._curvatures) if self._curvatures else none.new_zeros(0),
            "gamma": self._gamma,
        }

    def _remember(self, memory: dict[str, Tensor]) -> None:
        def owned(pixels: Tensor) -> Tensor:
            # Each pair owns its memory, which is free once the pair is the oldest.
            return torch.empty_like(self._canvas, requires_grad=False).copy_(pixels)

        self._gradient, self._last_step = owned(memory["gradient"]), owned(memory["last_step"])
        self._steps, self._changes = (
            [owned(pixels) for pixels in memory[key]] for key in ("steps", "changes")
        )
        self._curvatures, self._gamma = list(memory["curvatures"]), memory["gamma"]

    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        if not len(memory["curvatures"]):
            return {}
        rows = memory["gradient"].shape[:2]  # batch, channels
        gain = area_ratio(memory["gradient"], size)
        steps, changes = (
            resample(memory[key].flatten(0, 1), size, "bicubic").view(-1, *rows, *size) * factor
            for key, factor in (("steps", 1.0), ("changes", gain))
        )
        curvatures = (steps * changes).flatten(1).sum(dim=1)
        kept = curvatures > _LEAST_CURVATURE
        if not bool(kept.any()):
            return {}
        steps, changes, curvatures = steps[kept], changes[kept], curvatures[kept]
        still = torch.zeros_like(steps[0])
        return {
            # As if the last step had been zero: the gradients before and after a change of size are no pair.
            "gradient": still,
            "last_step": still.clone(),
            "steps": steps,
            "changes": changes,
            "curvatures": curvatures,
            "gamma": curvatures[-1] / changes[-1].square().sum(),
        }


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner product of two tensors of one shape and memory format, a scalar."""
    return torch.dot(in_memory_order(one).flatten(), in_memory_order(other).flatten())
