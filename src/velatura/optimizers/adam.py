"""Adam and AdamW: steps of about the same size for every pixel.

Written here, in a few lines, since whoever makes the first of ``torch.optim``'s waits two seconds for
torch's compiler, which no run has a use for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        return _AdamSteps(canvas, self)


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
        return _AdamSteps(canvas, self, weight_decay=self.weight_decay)


class _AdamSteps(CanvasOptimizer):
    r"""Kingma and Ba 2015, algorithm 1.

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \theta &\leftarrow \theta - \eta \, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
    """

    _entries = ("step", "mean", "square")
    _pixels = frozenset({"mean", "square"})

    def __init__(self, canvas: Tensor, settings: Adam | AdamW, *, weight_decay: float = 0.0) -> None:
        self._betas, self._eps, self._weight_decay = settings.betas, settings.eps, weight_decay
        super().__init__(canvas, step_size=settings.lr)

    def _forget(self) -> None:
        self._steps = 0
        # In the canvas's memory format, so that each operation runs through all of them in one order.
        self._mean = torch.zeros_like(self._canvas, requires_grad=False)
        self._square = torch.zeros_like(self._canvas, requires_grad=False)

    def _move(self, evaluate: Callable[[], Tensor]) -> Tensor:
        loss = evaluate()
        gradient = self._canvas.grad
        assert gradient is not None, "a closure leaves a gradient at the canvas"
        of_mean, of_square = self._betas
        self._steps += 1
        self._canvas.mul_(1 - self.step_size * self._weight_decay)
        self._mean.lerp_(gradient, 1 - of_mean)
        self._square.mul_(of_square).addcmul_(gradient, gradient, value=1 - of_square)
        # Both averages began at zero: what they lack of the weight 1 is made up for.
        root = (self._square / (1 - of_square**self._steps)).sqrt_().add_(self._eps)
        self._canvas.addcdiv_(self._mean, root, value=-self.step_size / (1 - of_mean**self._steps))
        return loss

    def _memory(self) -> dict[str, Tensor]:
        if self._steps == 0:
            return {}
        return {"step": torch.tensor(self._steps), "mean": self._mean, "square": self._square}

    def _remember(self, memory: dict[str, Tensor]) -> None:
        self._steps = int(memory["step"])
        self._mean.copy_(memory["mean"])
        self._square.copy_(memory["square"])

    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        gain = area_ratio(memory["mean"], size)
        # Bilinear weights are not negative: the square stays so, and the mean stays below its root.
        return {
            **memory,
            "mean": resample(memory["mean"], size, "bilinear") * gain,
            "square": resample(memory["square"], size, "bilinear") * gain**2,
        }
