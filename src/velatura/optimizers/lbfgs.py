"""L-BFGS: steps that follow the curvature of the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from velatura.core.config import Setting
from velatura.optimizers.base import CanvasOptimizer, ImageOptimizer, area_ratio, optimizers, resample

__all__ = ["LBFGS"]

_LINE_SEARCH_EVALUATIONS = 25
_LEAST_CURVATURE = 1e-10  # torch.optim.LBFGS keeps no flatter pair


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


class _LBFGSSteps(CanvasOptimizer):
    _entries = ("n_iter", "t", "d", "prev_flat_grad", "old_dirs", "old_stps", "ro", "H_diag")
    _pixels = frozenset({"d", "prev_flat_grad", "old_dirs", "old_stps"})

    _optimizer: torch.optim.LBFGS

    def __init__(self, canvas: Tensor, settings: LBFGS) -> None:
        self._settings = settings
        super().__init__(canvas, step_size=settings.lr)

    def _forget(self) -> None:
        searches = self._settings.line_search == "strong_wolfe"
        # No tolerances: gradients of a mean over a million pixels are small long before the end.
        self._optimizer = torch.optim.LBFGS(
            [self._canvas],
            lr=self.step_size,
            max_iter=1,
            max_eval=1 + _LINE_SEARCH_EVALUATIONS if searches else 1,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=self._settings.history,
            line_search_fn="strong_wolfe" if searches else None,
        )

    def _move(self, evaluate: Callable[[], Tensor]) -> Tensor:
        def evaluate_flat() -> Tensor:
            loss = evaluate()
            if self._canvas.grad is not None:
                # torch.optim.LBFGS flattens the gradient by a view, which needs contiguous memory.
                self._canvas.grad = self._canvas.grad.contiguous()
            return loss

        return torch.as_tensor(self._optimizer.step(evaluate_flat))  # type: ignore[no-untyped-call]

    def _memory(self) -> dict[str, Tensor]:
        held: dict[str, Any] = self._optimizer.state.get(self._canvas, {})
        if held.get("n_iter", 0) == 0:
            return {}
        canvas = self._canvas.detach()
        none = canvas.new_zeros(0, *canvas.shape)
        return {
            "n_iter": torch.tensor(held["n_iter"]),
            "t": torch.tensor(float(held["t"]), dtype=torch.float64),
            "d": held["d"].view(canvas.shape),
            "prev_flat_grad": held["prev_flat_grad"].view(canvas.shape),
            **{
                key: torch.stack(held[key]).view(-1, *canvas.shape) if held[key] else none
                for key in ("old_dirs", "old_stps")
            },
            "ro": torch.stack(held["ro"]) if held["ro"] else canvas.new_zeros(0),
            "H_diag": torch.as_tensor(held["H_diag"], dtype=canvas.dtype, device=canvas.device),
        }

    def _remember(self, memory: dict[str, Tensor]) -> None:
        self._optimizer.state[self._canvas] = {
            "func_evals": 0,
            "n_iter": int(memory["n_iter"]),
            "t": float(memory["t"]),
            "d": memory["d"].reshape(-1),
            "prev_flat_grad": memory["prev_flat_grad"].reshape(-1),
            # Each pair owns its memory, which is free once the pair is the oldest.
            **{key: [row.flatten().clone() for row in memory[key]] for key in ("old_dirs", "old_stps")},
            "ro": list(memory["ro"]),
            "H_diag": memory["H_diag"],
        }

    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        if not len(memory["ro"]):
            return {}
        rows = memory["d"].shape[:2]  # batch, channels
        gain = area_ratio(memory["d"], size)
        steps, changes = (
            resample(memory[key].flatten(0, 1), size, "bicubic").view(-1, *rows, *size) * factor
            for key, factor in (("old_stps", 1.0), ("old_dirs", gain))
        )
        curvature = (steps * changes).flatten(1).sum(dim=1)
        kept = curvature > _LEAST_CURVATURE
        if not bool(kept.any()):
            return {}
        steps, changes, curvature = steps[kept], changes[kept], curvature[kept]
        still = torch.zeros_like(steps[0])
        return {
            **memory,
            # As if the last step had been zero: the gradients before and after a change of size are no pair.
            "d": still,
            "prev_flat_grad": still.clone(),
            "old_dirs": changes,
            "old_stps": steps,
            "ro": 1 / curvature,
            "H_diag": curvature[-1] / changes[-1].square().sum(),
        }
