"""Where each style goes: masks, and the photograph where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from velatura.networks import Network, Style
from velatura.ops.resize import resize

__all__ = ["Regions", "regions"]


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Styles, and how much of each is at every pixel.

    Args:
        styles: One a region, as the network takes them.
        weights: ``(1, N, H, W)``, >= 0, which sum to 1 over N.
        cover: How much of the pixel is painted, ``(1, 1, H, W)`` in [0, 1]; the rest is the photograph.
    """

    styles: tuple[Style | None, ...]
    weights: Tensor
    cover: Tensor

    def part(self, rows: slice, columns: slice) -> Regions:
        """Those of a part of the picture."""
        return replace(self, weights=self.weights[..., rows, columns], cover=self.cover[..., rows, columns])

    def sized(self, size: tuple[int, int]) -> Regions:
        """Those of the picture at another size; the weights sum to 1 again."""
        weights = resize(self.weights, size).clamp_min(0)
        total = weights.sum(dim=1, keepdim=True)
        return replace(self, weights=weights / total, cover=resize(self.cover, size).clamp(0, 1))

    def painted(self, network: Network, content: Tensor, *, alpha: float) -> Tensor:
        """What the network paints, before the photograph is laid beside it.

        Args:
            network: In evaluation.
            content: ``(1, 3, H, W)`` in [0, 1], on the network's device.
            alpha: How much of the styles.
        """
        return network.in_regions(content, self.styles, self.weights.to(content), alpha=alpha)

    def with_photograph(self, painted: Tensor, photograph: Tensor) -> Tensor:
        """The painted pixels, and the photograph's own as far as no mask covers them; all on one device."""
        return torch.lerp(photograph, painted, self.cover.to(painted))


def regions(styles: Sequence[Style | None], masks: Tensor) -> Regions:
    """Masks as shares of the pixels.

    Where masks sum to more than 1 they are scaled to 1; where they sum to less, the photograph has the rest.

    Args:
        styles: One a mask.
        masks: ``(N, H, W)`` in [0, 1]; 1 is all of the style.
    """
    assert len(styles) == len(masks)
    total = masks.sum(dim=0, keepdim=True)[None]  # (1, 1, H, W)
    # Nothing of it is seen where there is no mask, but the weights must sum to 1 there too.
    even = torch.full_like(masks, 1 / len(masks))[None]
    weights = torch.where(total > 0, masks[None] / total.clamp_min(torch.finfo(masks.dtype).tiny), even)
    return Regions(styles=tuple(styles), weights=weights, cover=total.clamp(max=1))
