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
_MANY_PIXELS = 2**22
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

    stored: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Setting(
            "What remembered steps are kept in: bfloat16 takes half the memory, and keeps 3 digits; "
            "auto: bfloat16 from 4 megapixels on"
        ),
    ] = "auto"

    def build(self, canvas: Tensor) -> CanvasOptimizer:
        """L-BFGS on ``canvas``."""
        return _LBFGSSteps(canvas, self)

    def remembered(self, steps: int, pixels: int) -> float:
        """The last gradient and step, and a pair for each step before that is remembered."""
        step = 0.5 if self.halves(pixels) else 1.0
        return 1 + step + 2 * step * min(self.history, max(0, steps - 1))

    def halves(self, pixels: int) -> bool:
        """Whether a canvas of so many pixels has its steps remembered in bfloat16."""
        return self.stored == "bfloat16" or (self.stored == "auto" and pixels >= _MANY_PIXELS)

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

    _entries = ("gradient", "last_step", "curvatures", "gamma")
    _pixels = frozenset({"gradient", "last_step", "step", "change"})

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
            # In place: at print size every canvas counts.
            change, self._gradient = self._gradient.neg_().add_(gradient), None
            step, self._last_step = self._last_step, None
            self._learn(step, change)
            del step, change
        direction = self._direction(gradient)
        if self._settings.line_search == "strong_wolfe":
            length = self._searched(evaluate, direction, gradient, float(loss), length)
        self._gradient = gradient
        self._canvas.add_(direction.mul_(length))
        self._last_step = self._stored(direction)
        return loss

    def _gradient_like_canvas(self) -> Tensor:
        """The gradient at the canvas, in the canvas's memory format, for the optimiser to keep."""
        gradient, self._canvas.grad = self._canvas.grad, None
        assert gradient is not None, "a closure leaves a gradient at the canvas"
        if gradient.stride() == self._canvas.stride():
            return gradient
        return torch.empty_like(self._canvas, requires_grad=False).copy_(gradient)

    def _learn(self, step: Tensor, change: Tensor) -> None:
        step, change = self._stored(step), self._stored(change)
        curvature = _dot(step, change)
        if not bool(curvature > _LEAST_CURVATURE):
            return
        self._steps.append(step)
        self._changes.append(change)
        self._curvatures.append(curvature)
        self._gamma = curvature / _dot(change, change)
        for kept in (self._steps, self._changes, self._curvatures):
            del kept[: -self._settings.history]

    def _stored(self, pixels: Tensor) -> Tensor:
        height, width = self._canvas.shape[2:]
        return pixels.bfloat16() if self._settings.halves(height * width) else pixels

    def _direction(self, gradient: Tensor) -> Tensor:
        """``-H g`` by two passes over the pairs (Nocedal and Wright 2006, algorithm 7.4)."""
        direction = -gradient
        pairs = list(zip(self._steps, self._changes, self._curvatures, strict=True))
        shares = []
        for step, change, curvature in reversed(pairs):
            shares.append(_dot(step, direction) / curvature)
            _add(direction, change, -shares[-1])
        direction.mul_(self._gamma)
        for (step, change, curvature), share in zip(pairs, reversed(shares), strict=True):
            _add(direction, step, share - _dot(change, direction) / curvature)
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
        curvatures = torch.stack(self._curvatures) if self._curvatures else self._gamma.new_zeros(0)
        pairs = zip(self._steps, self._changes, strict=True)
        return {
            "gradient": self._gradient,
            "last_step": self._last_step,
            "curvatures": curvatures,
            "gamma": self._gamma,
            **{
                f"{name}.{number}": pixels
                for number, pair in enumerate(pairs)
                for name, pixels in zip(("step", "change"), pair, strict=True)
            },
        }

    def _remember(self, memory: dict[str, Tensor]) -> None:
        def owned(key: str) -> Tensor:
            return memory.pop(key).contiguous(memory_format=_format_of(self._canvas))

        self._gradient, self._last_step = owned("gradient"), owned("last_step")
        self._curvatures, self._gamma = list(memory["curvatures"]), memory["gamma"]
        numbers = range(len(self._curvatures))
        self._steps = [owned(f"step.{number}") for number in numbers]
        self._changes = [owned(f"change.{number}") for number in numbers]

    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        gain = area_ratio(memory["gradient"], size)
        del memory["gradient"], memory["last_step"]
        moved: dict[str, Tensor] = {}
        curvatures: list[Tensor] = []
        for number in range(len(memory["curvatures"])):
            step = resample(memory.pop(f"step.{number}").to(self._canvas.dtype), size, "bicubic")
            change = resample(memory.pop(f"change.{number}").to(self._canvas.dtype), size, "bicubic")
            step, change = self._stored(step), self._stored(change.mul_(gain))
            curvature = _dot(step, change)
            if bool(curvature > _LEAST_CURVATURE):
                moved |= {f"step.{len(curvatures)}": step, f"change.{len(curvatures)}": change}
                curvatures.append(curvature)
        if not curvatures:
            return {}
        last = moved[f"change.{len(curvatures) - 1}"]
        # As if the last step had been zero: the gradients before and after a change of size are no pair.
        still = torch.zeros_like(self._canvas, requires_grad=False)
        return {
            **moved,
            "gradient": still,
            "last_step": still.clone(),
            "curvatures": torch.stack(curvatures),
            "gamma": curvatures[-1] / _dot(last, last),
        }


_AT_ONCE = 2**22
"""Numbers that are widened at a time."""


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner product of two tensors of one shape and memory format, a scalar, at least float32."""
    wide = torch.promote_types(torch.promote_types(one.dtype, other.dtype), torch.float32)
    first, second = in_memory_order(one).flatten(), in_memory_order(other).flatten()
    if one.dtype == other.dtype == wide:
        return torch.dot(first, second)
    pieces = zip(torch.split(first, _AT_ONCE), torch.split(second, _AT_ONCE), strict=True)
    return torch.stack([torch.dot(a.to(wide), b.to(wide)) for a, b in pieces]).sum()


def _add(onto: Tensor, pixels: Tensor, factor: Tensor) -> None:
    """Adds ``factor`` times ``pixels`` in place."""
    if pixels.dtype == onto.dtype:
        onto.addcmul_(pixels, factor)
        return
    flat, others = in_memory_order(onto).flatten(), in_memory_order(pixels).flatten()
    for own, other in zip(torch.split(flat, _AT_ONCE), torch.split(others, _AT_ONCE), strict=True):
        own.addcmul_(other.to(own.dtype), factor)


def _format_of(canvas: Tensor) -> torch.memory_format:
    is_last = canvas.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
