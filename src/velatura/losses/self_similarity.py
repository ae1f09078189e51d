"""Self-similarity: which parts of a picture resemble which, whatever they look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional

from velatura.core.config import Setting
from velatura.losses.base import Loss, Target, losses, statistic
from velatura.ops.positions import check_features, position_weights
from velatura.ops.precision import at_least_float32, without_autocast

__all__ = ["SelfSimilarity"]

_EPSILON = 1e-8


@losses.register("self_similarity")
@dataclass(frozen=True, kw_only=True)
class SelfSimilarity(Loss):
    r"""Difference of the cosine distances between positions, each over the mean of its column.

    .. math:: E = \sum_{ij} w_i w_j \Bigl| \frac{D_{ij}}{\sum_k w_k D_{kj}} -
        \frac{D^*_{ij}}{\sum_k w_k D^*_{kj}} \Bigr|, \quad D_{ij} = 1 - \cos(F_i, F_j)

    The content loss of Kolkin et al. 2019 (STROTSS, eq. 6), times its number of positions, so that it does
    not depend on them: a tree may change its look if all of the tree does. STROTSS draws a thousand
    positions; here larger maps are averaged down to as many, so that memory stays bounded. The weights
    ``w`` are those of the mask, and sum to 1.
    """

    positions: Annotated[
        int, Ge(4), Setting("Most positions compared; larger maps are averaged down", unit="positions")
    ] = 1024

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """The distances over their columns' means: ``distances``, ``(B, N, N)``."""
        return {"distances": self._distances(features, mask)[0]}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The mean difference of the distances."""
        found, weights = self._distances(features, mask)
        wanted = statistic(target, "distances", like=found)
        return (weights[:, :, None] * weights[:, None, :] * (found - wanted).abs()).sum(dim=(1, 2))

    def _distances(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Distances ``(B, N, N)`` over the mean of their column, and weights ``(B or 1, N)``."""
        check_features(features)
        with without_autocast(features):
            pooled, weights = self._pooled(at_least_float32(features), mask)
            unit = functional.normalize(pooled, dim=1, eps=_EPSILON)  # (B, C, N)
            distances = 1 - unit.mT @ unit
            means = weights[:, None, :] @ distances  # (B, 1, N)
            return distances / (means + _EPSILON), weights

    def _pooled(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features ``(B, C, N)`` of at most as many positions, and their weights."""
        height, width = features.shape[2:]
        size = _at_most(self.positions, height, width)
        if mask is None:
            mask = features.new_ones(1, 1, height, width)
        weights = position_weights(mask, features)
        small = functional.adaptive_avg_pool2d(weights, size)
        maps = functional.adaptive_avg_pool2d(features * weights, size) / small.clamp_min(
            torch.finfo(small.dtype).tiny
        )
        flat = small.flatten(1)
        return maps.flatten(2), flat / flat.sum(dim=1, keepdim=True)


def _at_most(positions: int, height: int, width: int) -> tuple[int, int]:
    """A height and width of about the same proportions with at most so many positions."""
    factor = max(1.0, math.sqrt(height * width / positions))
    rows = min(positions, max(1, int(height / factor)))
    return rows, min(positions // rows, max(1, int(width / factor)))
