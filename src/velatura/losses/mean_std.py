"""Mean and standard deviation: how bright and how varied each channel is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums
from velatura.losses.base import Loss, Target, losses, statistic
from velatura.ops.moments import channel_moments, deviation
from velatura.ops.positions import check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["MeanStd"]


@losses.register("mean_std")
@dataclass(frozen=True, kw_only=True)
class MeanStd(Loss, Additive):
    r"""Squared error of each channel's mean and standard deviation (Huang and Belongie 2017).

    .. math:: E = \tfrac1s \sum_i (\mu_i - \mu^*_i)^2 + \tfrac1s \sum_i (\sigma_i - \sigma^*_i)^2

    The divisor ``s`` is 1 for ``"sum"`` (the authors' Torch code) and ``C`` for ``"mean"``
    (naoto0804's PyTorch code, whose variance is the unbiased one; here it is divided by ``HW``).
    """

    least_positions: ClassVar[int] = 2

    reduction: Annotated[Literal["mean", "sum"], Setting("Mean or sum over the channels")] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """Raw moments of each channel: ``mean`` and ``square``, both ``(B, C)``."""
        mean, square = channel_moments(features, mask)
        return {"mean": mean, "square": square}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared errors of means and deviations, added."""
        return self._error(*channel_moments(features, mask), target)

    def sums(self, part: Part, target: Target) -> Sums:  # noqa: ARG002
        """The features and their squares, ``(B, C)``, and the positions."""
        wide, mask = at_least_float32(part.own), part.own_mask
        weighed = wide
        if mask is not None:
            check_mask(mask, wide)
            weighed = wide * at_least_float32(mask)
        return {
            "first": weighed.sum(dim=(2, 3)),
            "square": (weighed * wide).sum(dim=(2, 3)),
            "positions": part.positions(),
        }

    def distance(self, sums: Sums, target: Target) -> Tensor:
        """The squared errors of means and deviations, added."""
        return self._error(*self._moments(sums), target)

    def target_from(self, sums: Sums) -> Target:
        """Raw moments, as :meth:`target`."""
        mean, square = self._moments(sums)
        return {"mean": mean, "square": square}

    @staticmethod
    def _moments(sums: Sums) -> tuple[Tensor, Tensor]:
        positions = sums["positions"][:, None]
        return sums["first"] / positions, sums["square"] / positions

    def _error(self, mean: Tensor, square: Tensor, target: Target) -> Tensor:
        wanted_mean = statistic(target, "mean", like=mean)
        wanted = deviation(wanted_mean, statistic(target, "square", like=square))
        error = (mean - wanted_mean).square() + (deviation(mean, square) - wanted).square()
        match self.reduction:
            case "mean":
                return error.mean(dim=1)
            case "sum":
                return error.sum(dim=1)
        raise ConfigError(f"mean_std: unknown reduction {self.reduction!r}")
