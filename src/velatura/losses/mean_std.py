"""Mean and standard deviation: how bright and how varied each channel is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.base import Loss, Target, losses, statistic
from velatura.ops.moments import channel_moments, deviation

__all__ = ["MeanStd"]


@losses.register("mean_std")
@dataclass(frozen=True, kw_only=True)
class MeanStd(Loss):
    r"""Squared error of each channel's mean and standard deviation (Huang and Belongie 2017).

    .. math:: E = \tfrac1s \sum_i (\mu_i - \mu^*_i)^2 + \tfrac1s \sum_i (\sigma_i - \sigma^*_i)^2

    The divisor ``s`` is 1 for ``"sum"`` (the authors' Torch code) and ``C`` for ``"mean"``
    (naoto0804's PyTorch code, whose variance is the unbiased one; here it is divided by ``HW``).
    """

    reduction: Annotated[Literal["mean", "sum"], Setting("Mean or sum over the channels")] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """Raw moments of each channel: ``mean`` and ``square``, both ``(B, C)``."""
        mean, square = channel_moments(features, mask)
        return {"mean": mean, "square": square}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared errors of means and deviations, added."""
        mean, square = channel_moments(features, mask)
        wanted_mean = statistic(target, "mean", like=mean)
        wanted = deviation(wanted_mean, statistic(target, "square", like=square))
        error = (mean - wanted_mean).square() + (deviation(mean, square) - wanted).square()
        match self.reduction:
            case "mean":
                return error.mean(dim=1)
            case "sum":
                return error.sum(dim=1)
        raise ConfigError(f"mean_std: unknown reduction {self.reduction!r}")
