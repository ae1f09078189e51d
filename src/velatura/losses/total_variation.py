"""Total variation: how rough an image is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from velatura.core.config import Setting
from velatura.losses.additive import Additive, Part, Sums
from velatura.losses.base import Loss, Target, losses
from velatura.ops.positions import check_mask
from velatura.ops.precision import at_least_float32
from velatura.ops.variation import VariationForm, VariationReduction, total_variation, variation_sums

__all__ = ["TotalVariation"]


@losses.register("total_variation")
@dataclass(frozen=True, kw_only=True)
class TotalVariation(Loss, Additive):
    """Differences between neighbouring pixels: a prior on the image itself, compared with nothing.

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features. The flag called total variation means
    two things: ``l2`` with ``sum`` in neural-style (squared differences, as Johnson et al. 2016),
    ``l1`` with ``sum`` in neural-style-pt (absolute ones). Both took pixels in [0, 255], so that
    their weights become 255^2 and 255 times as large here. ``mean`` does not depend on the size.
    """

    reads_beyond: ClassVar[int] = 1

    form: Annotated[VariationForm, Setting("Absolute (l1) or squared (l2) differences")] = "l2"
    reduction: Annotated[VariationReduction, Setting("Mean or sum over the differences")] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """Nothing: an empty target."""
        return {}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The variation of ``features``, which are the image."""
        return total_variation(features, form=self.form, reduction=self.reduction, mask=mask)

    @property
    def is_linear(self) -> bool:
        """Yes: it is one sum over pairs of neighbours."""
        return True

    def sums(self, part: Part, target: Target) -> Sums:  # noqa: ARG002
        """The differences from each own pixel to the next, along both axes, and how many there are."""
        height, width = part.own.shape[2:]
        found = {}
        for name, axis, kept in (("rows", 2, (None, width)), ("columns", 3, (height, None))):
            image = at_least_float32(part.beyond[:, :, : kept[0], : kept[1]])
            mask = None if part.mask is None else at_least_float32(part.mask[:, :, : kept[0], : kept[1]])
            if mask is not None:
                check_mask(mask, image)
            total, counted = variation_sums(image, axis, form=self.form, mask=mask)
            if image.shape[axis] == 1:
                counted = 0
            found[name] = total
            found[f"number_{name}"] = torch.as_tensor(counted).to(total).reshape(-1)
        return found

    def distance(self, sums: Sums, target: Target) -> Tensor:  # noqa: ARG002
        """The variation."""
        if self.reduction == "sum":
            return sums["rows"] + sums["columns"]
        rows, columns = (
            sums[name] / torch.where(sums[f"number_{name}"] > 0, sums[f"number_{name}"], 1)
            for name in ("rows", "columns")
        )
        return rows + columns

    def target_from(self, sums: Sums) -> Target:  # noqa: ARG002
        """Nothing: an empty target."""
        return {}
