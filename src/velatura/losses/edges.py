"""Edges: the photograph's steps from pixel to pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.color import luma
from velatura.ops.filters import sobel_gradient
from velatura.ops.positions import check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["Edges"]


@losses.register("edges")
@dataclass(frozen=True, kw_only=True)
class Edges(Loss):
    r"""Squared error of the gradient of the luma.

    .. math:: E = \tfrac{1}{s} \sum_i \lVert \nabla y_i - \nabla c_i \rVert^2

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features, with the photograph's as target. This is
    the energy of gradient-domain editing guided by the photograph's gradient (Pérez, Gangnet and Blake 2003,
    "Poisson image editing", eq. 3), with Sobel's differences (Sobel and Feldman 1968): every edge stays
    where it was and as strong as it was, while colours, and slow changes of light, are free. It is finer than
    ``laplacian``, whose blocks leave room for strokes.

    The divisor is the number of pixels for ``"mean"``, 1 for ``"sum"``, and :math:`\sum_i \lVert \nabla c_i
    \rVert^2` for ``"relative"``. Sums over positions: the parts of a picture add up.
    """

    reduction: Annotated[
        Literal["mean", "sum", "relative"], Setting("What the squared error is divided by")
    ] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """The gradient: ``gradient``, ``(B, 2, h, w)``, across and down; a mask changes nothing."""
        gradient = _gradient(features)
        if self.reduction == "relative":
            check_divisor(gradient.square().sum(dim=(1, 2, 3)))
        return {"gradient": gradient}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; a pixel counts as much as the least of its mask and that of its neighbours."""
        found = _gradient(features)
        wanted = statistic(target, "gradient", like=found)
        weights = found.new_ones((1, 1, *found.shape[2:])) if mask is None else _least(mask, features)
        error = ((found - wanted).square() * weights).sum(dim=(1, 2, 3))
        match self.reduction:
            case "mean":
                counted = weights.sum(dim=(1, 2, 3))
                return error / torch.where(counted > 0, counted, 1)
            case "sum":
                return error
            case "relative":
                return error / (wanted.square() * weights).sum(dim=(1, 2, 3))
        raise ConfigError(f"edges: unknown reduction {self.reduction!r}")


def _gradient(image: Tensor) -> Tensor:
    if image.ndim == 4 and image.shape[1] != 3:
        raise ValueError(
            f"edges are of a picture of 3 channels, not of {image.shape[1]}; name the layer 'image'"
        )
    return torch.cat(sobel_gradient(luma(at_least_float32(image))), dim=1)


def _least(mask: Tensor, features: Tensor) -> Tensor:
    """The least weight among each pixel and its neighbours: no other pixel is looked at."""
    check_mask(mask, features)
    wide = at_least_float32(mask)
    return -functional.max_pool2d(-wide, 3, stride=1, padding=1)
