"""Diversity: how far the pictures of a batch keep from one another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.base import Loss, Target, losses
from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["Diversity"]


@losses.register("diversity")
@dataclass(frozen=True, kw_only=True)
class Diversity(Loss):
    r"""Less the logarithm of the distance to the most similar picture of the batch (Ulyanov et al. 2017).

    .. math:: E_i = -\tfrac12 \log \left( \min_{j \ne i} \lVert g_i - g_j \rVert^2 + n \epsilon^2 \right)

    Up to a constant, the mean over the batch is less the entropy of what a network draws, as Kozachenko and
    Leonenko estimate it, over the number ``n`` of values of a picture; the weight of the term is the
    ``lambda`` of the paper. It keeps a network from giving one picture whatever the noise. A batch must
    differ in its noise alone: a texture, or one photograph many times over. Features are the pictures (layer
    ``image``) in the paper; their distance is zero, and the gradient with it, where two are the same.

    Departure: the paper has no ``epsilon``; its code adds 0.1, of pixels from 0 to 255, to the distance that
    it divides by.
    """

    compares_batch: ClassVar[bool] = True

    epsilon: Annotated[
        float, Gt(0), Setting("Root mean square difference below which pictures are hardly pushed apart")
    ] = 1e-3

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """Nothing: an empty target."""
        return {}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """For each picture, less the logarithm of its distance to the nearest other.

        Args:
            features: ``(B, C, h, w)``, B >= 2.
            target: Nothing.
            mask: How much each position counts; of two pictures, that of the one whose loss it is.

        Returns:
            ``(B,)``, of either sign, at most ``-log(epsilon) - log(n) / 2``.

        Raises:
            ConfigError: There are not two pictures.
            ValueError: The features have no positions, or the mask does not fit or is empty.
        """
        check_features(features)
        count = len(features)
        if count < 2:
            raise ConfigError(
                f"loss 'diversity' compares the pictures of a batch and needs 2 or more, not {count}; "
                "it is for training networks that draw noise"
            )
        wide = at_least_float32(features)
        weights = None if mask is None else _checked(mask, wide).expand(count, -1, -1, -1)
        if weights is None:
            values: Tensor | int = wide[0].numel()
        else:
            values = weights.sum(dim=(1, 2, 3)) * wide.shape[1]
        nearest = _nearest(wide.detach(), weights)
        squares = _weighted((wide - wide[nearest]).square(), weights)
        return (squares + values * self.epsilon**2).log() / -2


def _checked(mask: Tensor, features: Tensor) -> Tensor:
    check_mask(mask, features)
    weights = at_least_float32(mask)
    if not bool((weights >= 0).all() & (weights.sum(dim=(1, 2, 3)) > 0).all()):
        raise ValueError("a mask needs weights >= 0 that are not all zero")
    return weights


def _weighted(squares: Tensor, weights: Tensor | None) -> Tensor:
    """The sum over each picture, ``(B,)``."""
    return (squares if weights is None else squares * weights).sum(dim=(1, 2, 3))


def _nearest(features: Tensor, weights: Tensor | None) -> Tensor:
    """For each picture the number of the nearest other, ``(B,)``.

    One picture against all at a time: all pairs at once would take B times the memory of the batch.
    """
    nearest = []
    for number, one in enumerate(features):
        own = None if weights is None else weights[number]
        distances = _weighted((features - one).square(), own)
        # Not by its own value: a copy of the picture has distance 0 too.
        distances[number] = math.inf
        nearest.append(distances.argmin())
    return torch.stack(nearest)
