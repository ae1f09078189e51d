"""What a loss is: a target taken once, and a distance to it taken at every step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import ClassVar, TypeAlias

from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.core.registry import Registry

__all__ = ["Loss", "Target", "check_divisor", "losses", "statistic"]

Target: TypeAlias = dict[str, Tensor]
"""Statistics of one layer of the picture to match, each ``(B, ...)`` or ``(1, ...)``."""


class Loss(ABC):
    """A distance between one layer's features and a target.

    Losses hold their settings and nothing else: the pyramid, training and video share one. A loss
    is a frozen dataclass registered under its name::

        @losses.register("gram")
        @dataclass(frozen=True, kw_only=True)
        class Gram(Loss): ...

    Statistics and distances are at least float32, whatever the features are, so autocast may
    stay on. Masks weigh positions: ``(B, 1, h, w)`` or ``(1, 1, h, w)``, weights >= 0.
    """

    name: ClassVar[str]
    compares_batch: ClassVar[bool] = False
    """Whether the pictures of a batch are compared with one another, and not each with a target.

    Such a loss has an empty target, may be negative, and is for training networks: it needs two pictures.
    """

    least_positions: ClassVar[int] = 1
    """How many positions its statistic needs: 2 where it is of how features vary."""

    @abstractmethod
    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """What is to be matched in the features of the painting or the photograph.

        Args:
            features: ``(B, C, h, w)``.
            mask: How much each position counts; None: all the same.

        Returns:
            Statistics that mix linearly, so that :meth:`blend` can mix them. Empty for a loss that
            compares with nothing.

        Raises:
            ValueError: The loss is not defined for these features or this mask.
        """

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """One target between several: the weighted mean of each statistic.

        Args:
            targets: What :meth:`target` gave for each picture.
            weights: >= 0, one a target; they sum to 1.

        Raises:
            ConfigError: The weights do not fit.
        """
        if len(targets) != len(weights) or not targets:
            raise ConfigError(f"expected one weight for each target, not {len(weights)} for {len(targets)}")
        if not (all(weight >= 0 for weight in weights) and math.isclose(sum(weights), 1, abs_tol=1e-6)):
            raise ConfigError(f"weights of a blend must be >= 0 and sum to 1, not {list(weights)}")
        return {
            key: reduce(add, (w * t[key] for w, t in zip(weights, targets, strict=True)))
            for key in targets[0]
        }

    @abstractmethod
    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The distance of features from a target.

        Args:
            features: ``(B, C, h, w)``.
            target: From :meth:`target` or :meth:`blend` of this loss.
            mask: How much each position of ``features`` counts; None: all the same.

        Returns:
            ``(B,)``; zero at the features that the target was taken from, but where :attr:`compares_batch`.

        Raises:
            ValueError: The target does not fit the features.
        """

    def in_passing(self, features: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """The distance of features that go on to other layers.

        Args:
            features: ``(B, C, h, w)``.
            target: As for :meth:`forward`.

        Returns:
            Features to go on with, equal to those given, and the distance, ``(B,)``. A loss that can join
            its gradient with the one from above, in less time than adding it afterwards, does so here; for
            others autograd adds.

        Raises:
            ValueError: The target does not fit the features.
        """
        return features, self.forward(features, target)


losses: Registry[type[Loss]] = Registry("loss", home="velatura.losses")


def statistic(target: Target, key: str, *, like: Tensor) -> Tensor:
    """One entry of a target, checked to fit the same statistic of the features.

    Args:
        target: What the loss was given.
        key: Name of the statistic.
        like: The features' own, ``(B, ...)``.

    Raises:
        ValueError: The entry is missing or of another shape.
    """
    if key not in target:
        held = ", ".join(sorted(target)) or "nothing"
        raise ValueError(f"the target holds {held} but no {key!r}; take it with the same loss")
    value = target[key]
    if value.shape[1:] != like.shape[1:] or value.shape[0] not in (1, like.shape[0]):
        raise ValueError(
            f"the target's {key} is {tuple(value.shape)} where the features give {tuple(like.shape)}; "
            "take the target at the same layer and, for content, at the same size"
        )
    return value


def check_divisor(squared_norm: Tensor) -> None:
    """Raises ``ConfigError`` where a target is zero, to which no error is relative.

    Args:
        squared_norm: Of each sample's target, ``(B,)``.
    """
    if not bool((squared_norm > 0).all()):
        raise ConfigError(
            "an error relative to a target of zeros is not defined: nothing is active at this layer; "
            "choose another layer, or a reduction other than 'relative'"
        )
