"""Wasserstein: what it costs to carry one Gaussian of features over to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums, moments_of
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.moments import covariance, moment_sums, raw_moments, raw_moments_in_passing
from velatura.ops.precision import in_float64
from velatura.ops.sqrtm import matrix_sqrt, trace_sqrt_product

__all__ = ["Wasserstein"]


@losses.register("wasserstein")
@dataclass(frozen=True, kw_only=True)
class Wasserstein(Loss, Additive):
    r"""Squared 2-Wasserstein distance between the Gaussians with the features' moments.

    .. math:: W^2 = |m_1 - m_2|^2 +
        \operatorname{tr}\bigl(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\bigr)

    (Dowson and Landau 1982.) The divisor is 1 for ``"sum"``, ``C`` for ``"mean"``
    (style-transfer-pytorch), and the target's mean square :math:`|m_1|^2 + \operatorname{tr} C_1`
    for ``"relative"``.

    Moments come in the features' precision; roots are taken in float64, since the product squares
    the condition number: on the processor where the device has none (mps).
    """

    least_positions: ClassVar[int] = 2

    reduction: Annotated[
        Literal["mean", "sum", "relative"], Setting("What the squared distance is divided by")
    ] = "mean"
    epsilon: Annotated[
        float,
        Gt(0),
        Setting("Variance added in every direction to both", unit="of the target's mean variance"),
    ] = 1e-4

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """Raw moments ``mean`` and ``second``, and what follows from them, in float64.

        ``root`` is that of the covariance, ``(B, C, C)``; ``floor`` what is added to both covariances,
        ``(B, C, C)``; ``spread`` the trace of the covariance with its floor, ``(B,)``.
        """
        return self._checked(*raw_moments(features, mask))

    def _checked(self, mean: Tensor, second: Tensor) -> Target:
        if self.reduction == "relative":
            check_divisor(_trace(second))
        return self._with_constants({"mean": mean, "second": second})

    def sums(self, part: Part, target: Target) -> Sums:  # noqa: ARG002
        """The positions, the features and their products."""
        positions, first, second = moment_sums(part.own, part.own_mask)
        return {"positions": positions, "first": first, "second": second}

    def distance(self, sums: Sums, target: Target) -> Tensor:
        """The squared distance between the Gaussians."""
        return self._distance(*moments_of(sums), target)

    def target_from(self, sums: Sums) -> Target:
        """Raw moments and the root, as :meth:`target`."""
        return self._checked(*moments_of(sums))

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """Blends the raw moments; the root, which does not mix linearly, is that of the mixture."""
        return self._with_constants(super().blend(targets, weights))

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared distance between the Gaussians."""
        return self._distance(*raw_moments(features, mask), target)

    def in_passing(self, features: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """The distance, whose gradient is written together with the one from above."""
        features, mean, second = raw_moments_in_passing(features)
        return features, self._distance(mean, second, target)

    def _distance(self, mean: Tensor, second: Tensor, target: Target) -> Tensor:
        wanted_mean = statistic(target, "mean", like=mean)
        wanted_second = statistic(target, "second", like=second)
        floor = statistic(target, "floor", like=second)
        found = in_float64(covariance(mean, second)) + floor
        # No eigenvalue of a product of two matrices is below the product of their least ones.
        cross = trace_sqrt_product(
            statistic(target, "root", like=second), found, least=floor[:, 0, 0].square()
        )
        carried = target["spread"] + _trace(found) - 2 * cross
        distance = (mean - wanted_mean).square().sum(dim=1) + carried.to(mean)
        match self.reduction:
            case "mean":
                return distance / mean.shape[1]
            case "sum":
                return distance
            case "relative":
                return distance / _trace(wanted_second)
        raise ConfigError(f"wasserstein: unknown reduction {self.reduction!r}")

    def _with_constants(self, target: Target) -> Target:
        """The target with what would else be computed at each step, a dozen small kernels a layer."""
        wanted = in_float64(covariance(target["mean"], target["second"]))
        floor = self._floor(wanted)
        wanted = wanted + floor
        return {**target, "root": matrix_sqrt(wanted), "floor": floor, "spread": _trace(wanted)}

    def _floor(self, wanted: Tensor) -> Tensor:
        """What is added to both covariances, ``(B, C, C)``."""
        channels = wanted.shape[1]
        variance = self.epsilon * _trace(wanted) / channels
        return variance[:, None, None] * torch.eye(channels, dtype=wanted.dtype, device=wanted.device)


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=1, dim2=2).sum(dim=1)
