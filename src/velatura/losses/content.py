"""Content: what is where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.distance import squared_distance, squared_distance_in_passing, squared_norm
from velatura.ops.moments import channel_moments, deviation
from velatura.ops.positions import position_weights
from velatura.ops.precision import at_least_float32

__all__ = ["Content"]


@losses.register("content")
@dataclass(frozen=True, kw_only=True)
class Content(Loss):
    r"""Squared error of feature maps, position by position.

    .. math:: E = \tfrac{1}{s} \sum_{ik} (F_{ik} - P_{ik})^2

    The divisor ``s`` is ``CHW`` for ``"mean"`` (Johnson et al. 2016, eq. 2; Guillaumin 2017; Li and
    Zhao 2018; Gatys' PyTorch code), 2 for ``"half_sum"`` (Gatys et al. 2016, eq. 1; Shats and Aharon
    2021), 1 for ``"sum"`` (one reading of the L2 loss of Saric 2020), and :math:`\sum P_{ik}^2` for
    ``"relative"``, which makes layers and networks comparable.

    The features themselves are the target: :meth:`forward` needs them at the same size, and only
    its mask says where to compare. A mask of :meth:`target` weighs the standardisation alone.
    """

    reduction: Annotated[
        Literal["mean", "sum", "half_sum", "relative"], Setting("What the squared error is divided by")
    ] = "mean"
    standardize: Annotated[
        bool, Setting("Compare channels of mean 0 and deviation 1, which leaves colour and contrast free")
    ] = False

    def __post_init__(self) -> None:
        if self.standardize and self.reduction == "relative":
            raise ConfigError(
                "content: the mean square of standardized features is 1 already; use reduction 'mean'"
            )

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """The features: ``features``, ``(B, C, h, w)``."""
        compared = self._compared(features, mask)
        if self.reduction == "relative":
            check_divisor(squared_norm(compared))
        return {"features": compared}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; ``mask`` weighs the positions."""
        compared = self._compared(features, mask)
        wanted = statistic(target, "features", like=compared)
        if mask is None:
            return self._reduced(squared_distance(compared, wanted), wanted)
        error = _position_mean((compared - wanted).square(), mask)
        match self.reduction:
            case "mean":
                return error / features.shape[1]
            case "sum":
                return error * _positions(mask)
            case "half_sum":
                return error * _positions(mask) / 2
            case "relative":
                return error / _position_mean(wanted.square(), mask)
        raise ConfigError(f"content: unknown reduction {self.reduction!r}")

    def in_passing(self, features: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """The error, whose gradient is written together with the one from above."""
        if self.standardize or at_least_float32(features) is not features:
            return super().in_passing(features, target)
        wanted = statistic(target, "features", like=features)
        features, squared = squared_distance_in_passing(features, wanted)
        return features, self._reduced(squared, wanted)

    def _reduced(self, squared: Tensor, wanted: Tensor) -> Tensor:
        """The error from the sum of the squared differences of all positions, ``(B,)``."""
        match self.reduction:
            case "mean":
                return squared / wanted[0].numel()
            case "sum":
                return squared
            case "half_sum":
                return squared / 2
            case "relative":
                return squared / squared_norm(wanted)
        raise ConfigError(f"content: unknown reduction {self.reduction!r}")

    def _compared(self, features: Tensor, mask: Tensor | None) -> Tensor:
        wide = at_least_float32(features)
        if not self.standardize:
            return wide
        mean, square = channel_moments(wide, mask)
        return (wide - mean[:, :, None, None]) / deviation(mean, square)[:, :, None, None]


def _positions(mask: Tensor) -> Tensor:
    return at_least_float32(mask).sum(dim=(1, 2, 3))


def _position_mean(squares: Tensor, mask: Tensor) -> Tensor:
    """Mean over positions of the sum over channels, ``(B,)``."""
    return (squares * position_weights(mask, squares)).sum(dim=(1, 2, 3))
