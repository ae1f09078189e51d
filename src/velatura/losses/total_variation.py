"""Total variation: how rough an image is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from velatura.core.config import Setting
from velatura.losses.base import Loss, Target, losses
from velatura.ops.variation import VariationForm, VariationReduction, total_variation

__all__ = ["TotalVariation"]


@losses.register("total_variation")
@dataclass(frozen=True, kw_only=True)
class TotalVariation(Loss):
    """Differences between neighbouring pixels: a prior on the image itself, compared with nothing.

    Give it the canvas ``(B, 3, H, W)`` in [0, 1] as features. The flag called total variation means
    two things: ``l2`` with ``sum`` in neural-style (squared differences, as Johnson et al. 2016),
    ``l1`` with ``sum`` in neural-style-pt (absolute ones). Both took pixels in [0, 255], so that
    their weights become 255^2 and 255 times as large here. ``mean`` does not depend on the size.
    """

    form: Annotated[VariationForm, Setting("Absolute (l1) or squared (l2) differences")] = "l2"
    reduction: Annotated[VariationReduction, Setting("Mean or sum over the differences")] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:  # noqa: ARG002
        """Nothing: an empty target."""
        return {}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """The variation of ``features``, which are the image."""
        return total_variation(features, form=self.form, reduction=self.reduction, mask=mask)
