"""Losses whose distance is a function of sums over positions, so that a picture can be compared in parts.

A Gram matrix, a mean, a squared error is a sum over the positions of a map. The sums of a picture are those
of its parts, added; and the gradient of a part is that of its own sums, weighed by the slope of the distance
at the sums of the whole. So the memory that a step takes is that of a part, and the result that of the whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from velatura.losses.base import Target

__all__ = ["Additive", "Part", "Sums", "moments_of", "whole_part"]

Sums: TypeAlias = dict[str, Tensor]
"""Sums over positions, each ``(B, ...)``; those of two parts that share no position are added."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some positions of a layer's map, with those around them.

    Args:
        own: The features of the positions that this part counts, ``(B, C, h, w)``.
        beyond: The same with up to :attr:`Additive.reads_beyond` further rows below and columns to the right;
            fewer where the map ends.
        at: Rows and columns of ``own`` in the whole map.
        mask: How much each position of ``beyond`` counts, ``(B, 1, h, w)`` or ``(1, 1, h, w)``; None: all
            the same.
    """

    own: Tensor
    beyond: Tensor
    at: tuple[slice, slice]
    mask: Tensor | None = None

    @property
    def own_mask(self) -> Tensor | None:
        """The mask of ``own``."""
        if self.mask is None:
            return None
        height, width = self.own.shape[2:]
        return self.mask[..., :height, :width]

    def of(self, maps: Tensor) -> Tensor:
        """What of a whole map, ``(B, C, H, W)``, lies where ``own`` does."""
        return maps[..., self.at[0], self.at[1]].to(self.own.device)

    def positions(self) -> Tensor:
        """How many positions count, or the sum of the mask, ``(B,)`` or ``(1,)``."""
        mask = self.own_mask
        if mask is None:
            count = self.own.shape[2] * self.own.shape[3]
            dtype = torch.promote_types(self.own.dtype, torch.float32)
            return torch.full((1,), float(count), dtype=dtype, device=self.own.device)
        return mask.to(torch.promote_types(mask.dtype, torch.float32)).sum(dim=(1, 2, 3))


def whole_part(features: Tensor, mask: Tensor | None = None) -> Part:
    """A map as its own only part."""
    rows, columns = slice(0, features.shape[2]), slice(0, features.shape[3])
    return Part(own=features, beyond=features, at=(rows, columns), mask=mask)


class Additive(ABC):
    """What a loss has beside :class:`~velatura.losses.base.Loss` to be computed in parts.

    For features ``F`` in parts, ``distance(sum of sums(part), target)`` is ``forward(F, target)`` but for
    rounding.
    """

    is_positional: ClassVar[bool] = False
    """Whether the target is of one position each, and not of the sums: it then needs the whole map."""
    reads_beyond: ClassVar[int] = 0
    """How many rows and columns after its own a part is to see."""

    @property
    def is_linear(self) -> bool:
        """Whether the slope of the distance in those sums that depend on the features never changes."""
        return False

    @abstractmethod
    def sums(self, part: Part, target: Target) -> Sums:
        """The sums over the positions of a part.

        Args:
            part: At least one position.
            target: Of the whole, from :meth:`~velatura.losses.base.Loss.target`; read by positional losses
                alone, and empty where it is about to be taken.
        """

    @abstractmethod
    def distance(self, sums: Sums, target: Target) -> Tensor:
        """The distance of the whole, ``(B,)``, from its sums.

        Raises:
            ValueError: The target does not fit the sums.
        """

    def target_from(self, sums: Sums) -> Target:
        """What :meth:`~velatura.losses.base.Loss.target` gives for the whole, from its sums.

        Positional losses have none.

        Raises:
            ValueError: The loss is not defined for these sums.
        """
        raise NotImplementedError(f"{type(self).__name__} takes its target from maps, not from {list(sums)}")


def moments_of(sums: Sums) -> tuple[Tensor, Tensor]:
    """Raw moments, ``(B, C)`` and ``(B, C, C)``, from the sums ``first``, ``second`` and ``positions``."""
    positions = sums["positions"]
    return sums["first"] / positions[:, None], sums["second"] / positions[:, None, None]
