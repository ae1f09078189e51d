"""Content: what is where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.distance import squared_distance, squared_distance_in_passing, squared_norm
from velatura.ops.moments import channel_moments, deviation
from velatura.ops.positions import check_mask, position_weights
from velatura.ops.precision import at_least_float32

__all__ = ["Content"]


@losses.register("content")
@dataclass(frozen=True, kw_only=True)
class Content(Loss, Additive):
    r"""Squared error of feature maps, position by position.

    .. math:: E = \tfrac{1}{s} \sum_{ik} (F_{ik} - P_{ik})^2

    The divisor ``s`` is ``CHW`` for ``"mean"`` (Johnson et al. 2016, eq. 2; Guillaumin 2017; Li and
    Zhao 2018; Gatys' PyTorch code), 2 for ``"half_sum"`` (Gatys et al. 2016, eq. 1; Shats and Aharon
    2021), 1 for ``"sum"`` (one reading of the L2 loss of Saric 2020), and :math:`\sum P_{ik}^2` for
    ``"relative"``, which makes layers and networks comparable.

    The features themselves are the target: :meth:`forward` needs them at the same size, and only
    its mask says where to compare. A mask of :meth:`target` weighs the standardisation alone.
    """

    is_positional: ClassVar[bool] = True

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

    @property
    def is_linear(self) -> bool:
        """Whether the error is a sum over positions: not where all of them settle mean and deviation."""
        return not self.standardize

    def sums(self, part: Part, target: Target) -> Sums:
        """The squared errors, the target's squares and the positions; standardized, those of each channel."""
        wide, mask = at_least_float32(part.own), part.own_mask
        wanted = at_least_float32(part.of(target["features"]))
        if mask is not None:
            check_mask(mask, wide)
        if self.standardize:
            return _channel_sums(wide, wanted, mask) | {"positions": part.positions()}
        if mask is None:
            error = squared_distance(wide, wanted)
        else:
            weights = at_least_float32(mask)
            error = ((wide - wanted).square() * weights).sum(dim=(1, 2, 3))
        sums = {"error": error, "numbers": part.positions() * wide.shape[1]}
        if self.reduction == "relative":
            squares = wanted.square() if mask is None else wanted.square() * at_least_float32(mask)
            sums["norm"] = squares.sum(dim=(1, 2, 3))
        return sums

    def distance(self, sums: Sums, target: Target) -> Tensor:  # noqa: ARG002 - it is in the sums already
        """The squared error."""
        if self.standardize:
            sums = _standardized(sums)
        match self.reduction:
            case "mean":
                return sums["error"] / sums["numbers"]
            case "sum":
                return sums["error"]
            case "half_sum":
                return sums["error"] / 2
            case "relative":
                return sums["error"] / sums["norm"]
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


def _channel_sums(features: Tensor, wanted: Tensor, mask: Tensor | None) -> Sums:
    """What the error of standardized features is made of, each ``(B, C)``."""
    weighed, of_wanted = features, wanted
    if mask is not None:
        weights = at_least_float32(mask)
        weighed, of_wanted = features * weights, wanted * weights
    return {
        "first": weighed.sum(dim=(2, 3)),
        "square": (weighed * features).sum(dim=(2, 3)),
        "both": (weighed * wanted).sum(dim=(2, 3)),
        "wanted": of_wanted.sum(dim=(2, 3)),
        "wanted_square": (of_wanted * wanted).sum(dim=(2, 3)),
    }


def _standardized(sums: Sums) -> Sums:
    r"""The error :math:`\sum ((F - m) / \sigma - P)^2` of each sample, multiplied out."""
    positions = sums["positions"][:, None]
    mean, square = sums["first"] / positions, sums["square"] / positions
    spread = deviation(mean, square)
    own = positions * (square - mean.square()) / spread.square()
    both = (sums["both"] - mean * sums["wanted"]) / spread
    error = (own - 2 * both + sums["wanted_square"]).sum(dim=1)
    return {"error": error, "numbers": sums["positions"] * mean.shape[1]}
