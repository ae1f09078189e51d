"""Edges: the photograph's steps from pixel to pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums, whole_part
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.color import luma
from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32
from velatura.ops.variation import variation_sums

__all__ = ["Edges"]


@losses.register("edges")
@dataclass(frozen=True, kw_only=True)
class Edges(Loss, Additive):
    r"""Squared error of the luma's steps from each pixel to the next.

    .. math:: E = \tfrac{1}{s} \sum_{i \sim j} \bigl( (y_j - y_i) - (c_j - c_i) \bigr)^2

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features, with the photograph's as target. This is
    the energy of gradient-domain editing guided by the photograph's gradient (Pérez, Gangnet and Blake 2003,
    "Poisson image editing", eq. 3, discrete as in eq. 6): every edge stays where it was and as strong as it
    was, while colours, and slow changes of light, are free. It is finer than ``laplacian``, whose blocks
    leave room for strokes.

    The sum is over horizontal and over vertical neighbours. Each of the two is divided by its number for
    ``"mean"``; ``"sum"`` divides by nothing, and ``"relative"`` by :math:`\sum_{i \sim j} (c_j - c_i)^2`.
    """

    is_positional: ClassVar[bool] = True
    reads_beyond: ClassVar[int] = 1

    reduction: Annotated[
        Literal["mean", "sum", "relative"], Setting("What the squared error is divided by")
    ] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """The luma: ``luma``, ``(B, 1, h, w)``."""
        found = _luma(features)
        if self.reduction == "relative":
            check_divisor(_squared(_sums(found, None, own=found.shape[2:])))
        return {"luma": found}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error; a step counts the product of its two pixels' weights."""
        if mask is not None:
            check_mask(mask, features)
        return self.distance(self.sums(whole_part(features, mask), target), target)

    def sums(self, part: Part, target: Target) -> Sums:
        """The squared errors of the steps from each own pixel to the next, along both axes."""
        rows, columns = (
            slice(along.start, along.start + length)
            for along, length in zip(part.at, part.beyond.shape[2:], strict=True)
        )
        found = _luma(part.beyond)
        there = target["luma"][..., rows, columns].to(found.device)
        wanted = statistic({"luma": there}, "luma", like=found)
        own, mask = part.own.shape[2:], part.mask
        sums = _sums(found - wanted, mask, own=own)
        if self.reduction != "relative":
            return sums
        return {**sums, "wanted": _squared(_sums(wanted, mask, own=own))}

    def distance(self, sums: Sums, target: Target) -> Tensor:  # noqa: ARG002
        """The squared error."""
        match self.reduction:
            case "mean":
                rows, columns = (
                    sums[name] / torch.where(sums[f"number_{name}"] > 0, sums[f"number_{name}"], 1)
                    for name in ("rows", "columns")
                )
                return rows + columns
            case "sum":
                return _squared(sums)
            case "relative":
                return _squared(sums) / sums["wanted"]
        raise ConfigError(f"edges: unknown reduction {self.reduction!r}")


def _luma(image: Tensor) -> Tensor:
    check_features(image)
    if image.shape[1] != 3:
        raise ValueError(
            f"edges are of a picture of 3 channels, not of {image.shape[1]}; name the layer 'image'"
        )
    return luma(at_least_float32(image))


def _sums(maps: Tensor, mask: Tensor | None, *, own: Sequence[int]) -> Sums:
    """Squared steps from each own position to the next, which may lie beyond, and how many they are."""
    found: Sums = {}
    for name, axis, kept in (("rows", 2, (None, own[1])), ("columns", 3, (own[0], None))):
        along = maps[..., : kept[0], : kept[1]]
        weights = None if mask is None else at_least_float32(mask[..., : kept[0], : kept[1]]).to(maps.dtype)
        total, counted = variation_sums(along, axis, form="l2", mask=weights)
        number = torch.as_tensor(0 if along.shape[axis] == 1 else counted)
        found[name], found[f"number_{name}"] = total, number.to(total).reshape(-1)
    return found


def _squared(sums: Sums) -> Tensor:
    return sums["rows"] + sums["columns"]
