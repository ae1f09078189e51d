"""Laplacian: where the outlines are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Len
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums, whole_part
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.laplacian import block_laplacian, block_sums
from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["Laplacian"]


@losses.register("laplacian")
@dataclass(frozen=True, kw_only=True)
class Laplacian(Loss, Additive):
    r"""Squared error of the Laplacian of the picture, made coarser by average pooling.

    .. math:: E = \sum_p \tfrac{1}{s_p} \sum_i (D_p(x)_i - D_p(c)_i)^2

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features, with the photograph's as target: it keeps
    the outlines of the photograph and leaves the colours free (Li, Xu, Nie and Chua 2017, "Laplacian-steered
    neural style transfer"). ``D`` sums the Laplacians of the three channels, on blocks of ``p`` pixels; the
    divisor is the number of blocks for ``"mean"``, as in the authors' code, 1 for ``"sum"``, and
    :math:`\sum_i D_p(c)_i^2` for ``"relative"``. The authors took pixels in [0, 255], so that their weights
    (100 for blocks of 4) become 255^2 times as large here.

    Departs from them at the border of the picture, which they leave out: a block there is compared with the
    neighbours that it has. Sums over positions: the parts of a picture add up.
    """

    pools: Annotated[
        tuple[Annotated[int, Ge(1)], ...],
        Len(1),
        Setting("Edges of the blocks that are compared, each of which adds its error", unit="pixels"),
    ] = (4, 16)
    reduction: Annotated[
        Literal["mean", "sum", "relative"], Setting("What the squared error is divided by")
    ] = "mean"

    is_positional: ClassVar[bool] = True

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """The sum of the channels, of which the Laplacian is taken: ``summed``, ``(B, 1, h, w)``."""
        check_features(features)
        summed = at_least_float32(features).sum(dim=1, keepdim=True)
        if self.reduction == "relative":
            for pool in self.pools:
                check_divisor(
                    _weighted_squares(*_blocks(whole_part(summed), summed, pool, like=summed), pool)
                )
        return {"summed": summed}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; ``mask`` weighs the pixels."""
        check_features(features)
        if mask is not None:
            check_mask(mask, features)
        return self.distance(self.sums(whole_part(features, mask), target), target)

    def sums(self, part: Part, target: Target) -> Sums:
        """What the part adds to each block: its difference from the photograph, and its number of pixels."""
        summed = at_least_float32(part.own).sum(dim=1, keepdim=True)
        whole = target["summed"]
        wanted = statistic({"summed": part.of(whole)}, "summed", like=summed)
        found = {}
        for pool in self.pools:
            # The Laplacian is linear, and so is a mean: one of the difference in place of two.
            found[f"blocks_{pool}"], counted = _blocks(part, summed - wanted, pool, like=whole)
            found[f"pixels_{pool}"] = counted
            if self.reduction == "relative":
                found[f"wanted_{pool}"], _ = _blocks(part, wanted, pool, like=whole)
        return found

    def distance(self, sums: Sums, target: Target) -> Tensor:  # noqa: ARG002
        """The squared error."""
        return torch.stack([self._error(sums, pool) for pool in self.pools]).sum(dim=0)

    def _error(self, sums: Sums, pool: int) -> Tensor:
        pixels = sums[f"pixels_{pool}"]
        error = _weighted_squares(sums[f"blocks_{pool}"], pixels, pool)
        match self.reduction:
            case "mean":
                counted = pixels.sum(dim=(1, 2, 3)) / pool**2
                return error / torch.where(counted > 0, counted, 1)
            case "sum":
                return error
            case "relative":
                return error / _weighted_squares(sums[f"wanted_{pool}"], pixels, pool)
        raise ConfigError(f"laplacian: unknown reduction {self.reduction!r}")


def _blocks(part: Part, maps: Tensor, pool: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """A part's weighed sums of each block of the whole, and the sums of its weights."""
    at, size = (part.at[0].start, part.at[1].start), (like.shape[2], like.shape[3])
    mask = part.own_mask
    weights = (
        maps.new_ones((1, 1, *maps.shape[2:])) if mask is None else at_least_float32(mask).to(maps.dtype)
    )
    return (
        block_sums(maps * weights, pool, at=at, size=size),
        block_sums(weights, pool, at=at, size=size),
    )


def _weighted_squares(sums: Tensor, pixels: Tensor, pool: int) -> Tensor:
    """Squares of the Laplacian, ``(B,)``; a block cut by the border counts for its part."""
    return (block_laplacian(sums, pixels).square() * pixels).sum(dim=(1, 2, 3)) / pool**2
