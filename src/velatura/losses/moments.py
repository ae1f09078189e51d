"""Moments: the mean of the features, and how they vary together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from velatura.core.config import Setting
from velatura.losses.additive import Additive, Part, Sums, moments_of
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.moments import covariance, moment_sums, moments_distance, raw_moments
from velatura.ops.positions import check_features

__all__ = ["Moments"]


@losses.register("moments")
@dataclass(frozen=True, kw_only=True)
class Moments(Loss, Additive):
    r"""Squared distance of mean and covariance, relative to the target's.

    .. math:: E = \frac{w |m - m^*|^2 + |C - C^*|_F^2}{w |m^*|^2 + |C^*|_F^2}

    A Gram matrix adds the mean's square to the covariance, so that bright can pass for varied; here
    each is matched on its own. Layers and networks compare: 1 is the loss of features that are zero.
    """

    least_positions: ClassVar[int] = 2

    mean_weight: Annotated[float, Ge(0), Setting("Weight of the mean beside the covariance")] = 1.0

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """Raw moments: ``mean``, ``(B, C)``, and ``second``, ``(B, C, C)``."""
        return self._checked(*raw_moments(features, mask))

    def _checked(self, mean: Tensor, second: Tensor) -> Target:
        check_divisor(self._squared_norm(mean, covariance(mean, second)))
        return {"mean": mean, "second": second}

    def sums(self, part: Part, target: Target) -> Sums:  # noqa: ARG002
        """The positions, the features and their products."""
        positions, first, second = moment_sums(part.own, part.own_mask)
        return {"positions": positions, "first": first, "second": second}

    def distance(self, sums: Sums, target: Target) -> Tensor:
        """The relative squared distance."""
        mean, second = moments_of(sums)
        wanted_mean = statistic(target, "mean", like=mean)
        wanted = covariance(wanted_mean, statistic(target, "second", like=second))
        error = self._squared_norm(mean - wanted_mean, covariance(mean, second) - wanted)
        return error / self._squared_norm(wanted_mean, wanted)

    def target_from(self, sums: Sums) -> Target:
        """Raw moments, as :meth:`target`."""
        return self._checked(*moments_of(sums))

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The relative squared distance."""
        check_features(features)
        wanted_mean, wanted_second = self._wanted(features, target)
        wanted = covariance(wanted_mean, wanted_second)
        if mask is None:
            error = moments_distance(features, wanted_mean, wanted, mean_weight=self.mean_weight)
        else:
            mean, second = raw_moments(features, mask)
            error = self._squared_norm(mean - wanted_mean, covariance(mean, second) - wanted)
        return error / self._squared_norm(wanted_mean, wanted)

    @staticmethod
    def _wanted(features: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        batch, channels = features.shape[:2]
        mean = torch.empty((batch, channels), device="meta")
        second = torch.empty((batch, channels, channels), device="meta")
        return statistic(target, "mean", like=mean), statistic(target, "second", like=second)

    def _squared_norm(self, mean: Tensor, matrix: Tensor) -> Tensor:
        return self.mean_weight * mean.square().sum(dim=1) + matrix.square().sum(dim=(1, 2))
