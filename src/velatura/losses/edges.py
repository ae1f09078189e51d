"""Edges: the photograph's steps from pixel to pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums, whole_part
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.color import luma
from velatura.ops.filters import sobel_gradient
from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["Edges"]


@losses.register("edges")
@dataclass(frozen=True, kw_only=True)
class Edges(Loss, Additive):
    r"""Squared error of the gradient of the luma.

    .. math:: E = \tfrac{1}{s} \sum_i \lVert \nabla y_i - \nabla c_i \rVert^2

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features, with the photograph's as target. This is
    the energy of gradient-domain editing guided by the photograph's gradient (Pérez, Gangnet and Blake 2003,
    "Poisson image editing", eq. 3), with Sobel's differences (Sobel and Feldman 1968): every edge stays
    where it was and as strong as it was, while colours, and slow changes of light, are free. It is finer than
    ``laplacian``, whose blocks leave room for strokes.

    Pixels at the border, which lack neighbours, do not count. The divisor is the number of the others for
    ``"mean"``, 1 for ``"sum"``, and :math:`\sum_i \lVert \nabla c_i \rVert^2` for ``"relative"``.
    """

    is_positional: ClassVar[bool] = True
    reads_beyond: ClassVar[int] = 2

    reduction: Annotated[
        Literal["mean", "sum", "relative"], Setting("What the squared error is divided by")
    ] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """The luma: ``luma``, ``(B, 1, h, w)``."""
        found = _luma(features)
        if self.reduction == "relative":
            check_divisor(_squares(found, None)[0])
        return {"luma": found}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; a pixel counts as much as the least of its mask and that of its neighbours."""
        if mask is not None:
            check_mask(mask, features)
        return self.distance(self.sums(whole_part(features, mask), target), target)

    def sums(self, part: Part, target: Target) -> Sums:
        """The squared error around each own pixel and the two to the right of and below it."""
        rows, columns = (
            slice(along.start, along.start + length)
            for along, length in zip(part.at, part.beyond.shape[2:], strict=True)
        )
        found = _luma(part.beyond)
        own = target["luma"][..., rows, columns].to(found.device)
        wanted = statistic({"luma": own}, "luma", like=found)
        error, counted = _squares(found - wanted, part.mask)
        sums = {"error": error, "counted": counted}
        return sums if self.reduction != "relative" else {**sums, "wanted": _squares(wanted, part.mask)[0]}

    def distance(self, sums: Sums, target: Target) -> Tensor:  # noqa: ARG002
        """The squared error."""
        match self.reduction:
            case "mean":
                return sums["error"] / torch.where(sums["counted"] > 0, sums["counted"], 1)
            case "sum":
                return sums["error"]
            case "relative":
                return sums["error"] / sums["wanted"]
        raise ConfigError(f"edges: unknown reduction {self.reduction!r}")


def _luma(image: Tensor) -> Tensor:
    check_features(image)
    if image.shape[1] != 3:
        raise ValueError(
            f"edges are of a picture of 3 channels, not of {image.shape[1]}; name the layer 'image'"
        )
    return luma(at_least_float32(image))


def _squares(difference: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Squared gradients within the map, weighed, ``(B,)``, and the sum of the weights, ``(B or 1,)``."""
    within = tuple(length - 2 for length in difference.shape[2:])
    if min(within) < 1:
        # Nothing has neighbours on all sides.
        nothing = difference.sum(dim=(1, 2, 3)) * 0
        return nothing, nothing.detach()
    across, down = (found[..., 1:-1, 1:-1] for found in sobel_gradient(difference))
    weights = difference.new_ones((1, 1, *within))
    if mask is not None:
        weights = -functional.max_pool2d(-at_least_float32(mask).to(difference.dtype), 3, stride=1)
    squares = (across.square() + down.square()) * weights
    return squares.sum(dim=(1, 2, 3)), weights.sum(dim=(1, 2, 3))
