"""Laplacian: where the outlines are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Len
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.laplacian import pooled_laplacian
from velatura.ops.precision import at_least_float32

__all__ = ["Laplacian"]


@losses.register("laplacian")
@dataclass(frozen=True, kw_only=True)
class Laplacian(Loss):
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

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """The sum of the channels, of which the Laplacian is taken: ``summed``, ``(B, 1, h, w)``."""
        summed = at_least_float32(features).sum(dim=1, keepdim=True)
        if self.reduction == "relative":
            for pool in self.pools:
                check_divisor(pooled_laplacian(summed, pool)[0].square().sum(dim=(1, 2, 3)))
        return {"summed": summed}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; ``mask`` weighs the pixels."""
        summed = at_least_float32(features).sum(dim=1, keepdim=True)
        wanted = statistic(target, "summed", like=summed)
        # The Laplacian is linear, and so is pooling: one of the difference in place of two.
        return torch.stack([self._error(summed - wanted, wanted, pool, mask) for pool in self.pools]).sum(
            dim=0
        )

    def _error(self, difference: Tensor, wanted: Tensor, pool: int, mask: Tensor | None) -> Tensor:
        found, weights = pooled_laplacian(difference, pool, mask)
        error = (found.square() * weights).sum(dim=(1, 2, 3))
        match self.reduction:
            case "mean":
                counted = weights.sum(dim=(1, 2, 3))
                return error / torch.where(counted > 0, counted, 1)
            case "sum":
                return error
            case "relative":
                own, _ = pooled_laplacian(wanted, pool, mask)
                return error / (own.square() * weights).sum(dim=(1, 2, 3))
        raise ConfigError(f"laplacian: unknown reduction {self.reduction!r}")
