"""Adam and AdamW: steps of about the same size for every pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from velatura.core.config import Setting
from velatura.optimizers.base import CanvasOptimizer, ImageOptimizer, area_ratio, optimizers, resample

__all__ = ["Adam", "AdamW"]

_StepSize: TypeAlias = Annotated[float, Gt(0), Setting("Step size", unit="of the pixel range [0, 1]")]
_Betas: TypeAlias = Annotated[
    tuple[Annotated[float, Interval(ge=0, lt=1)], Annotated[float, Interval(ge=0, lt=1)]],
    Setting("Decay of the averages of the gradient and of its square"),
]
_Epsilon: TypeAlias = Annotated[
    float, Gt(0), Setting("Gradients well below this are not scaled up to the step size")
]


@optimizers.register("adam")
@dataclass(frozen=True, kw_only=True)
class Adam(ImageOptimizer):
    """Adam (Kingma and Ba 2015), which moves each pixel by about the step size whatever the loss's scale.

    Published step sizes are in the units of the published pixels: 1 and 10 (neural-style) and 2
    (Guillaumin 2017) are of 255.
    """

    lr: _StepSize = 0.03
    betas: _Betas = (0.9, 0.99)
    eps: _Epsilon = 1e-8

    def build(self, canvas: Tensor) -> CanvasOptimizer:
        """Adam on ``canvas``."""
        make = partial(torch.optim.Adam, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
        return _AdamSteps(canvas, make)


@optimizers.register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamW(ImageOptimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), which draws pixels towards black.

    Each step multiplies the canvas by ``1 - lr * weight_decay``; step size as Bisht 2023, decay and
    betas as torch.
    """

    lr: _StepSize = 0.01
    betas: _Betas = (0.9, 0.999)
    eps: _Epsilon = 1e-8
    weight_decay: Annotated[float, Ge(0), Setting("Pull towards black, beside the step size")] = 0.01

    def build(self, canvas: Tensor) -> CanvasOptimizer:
        """AdamW on ``canvas``."""
        make = partial(
            torch.optim.AdamW,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            fused=True,
        )
        return _AdamSteps(canvas, make)


class _AdamSteps(CanvasOptimizer):
    _entries = ("step", "exp_avg", "exp_avg_sq")
    _pixels = frozenset({"exp_avg", "exp_avg_sq"})

    def __init__(self, canvas: Tensor, make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
        self._make = make
        super().__init__(canvas)

    def _on(self, canvas: Tensor) -> torch.optim.Optimizer:
        return self._make([canvas])

    def _memory(self) -> dict[str, Tensor]:
        return dict(self._optimizer.state.get(self._canvas, {}))

    def _remember(self, memory: dict[str, Tensor]) -> None:
        # The fused step reads state and canvas in one order, so both need one memory format.
        self._optimizer.state[self._canvas] = {
            key: torch.empty_like(self._canvas).copy_(value) if key in self._pixels else value
            for key, value in memory.items()
        }

    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        mean, square = memory["exp_avg"], memory["exp_avg_sq"]
        gain = area_ratio(mean, size)
        # Bilinear weights are not negative: the square stays so, and the mean stays below its root.
        return {
            **memory,
            "exp_avg": resample(mean, size, "bilinear") * gain,
            "exp_avg_sq": resample(square, size, "bilinear") * gain**2,
        }
