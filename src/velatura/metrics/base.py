"""What a metric is: one number for an output, its photograph and its painting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

from annotated_types import Ge
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.registry import Registry

__all__ = ["Direction", "FeatureMetric", "Metric", "View", "check_same_size", "metrics", "share"]

Direction: TypeAlias = Literal["lower", "higher", "one"]
"""Which values are better: low ones, high ones, or those near 1."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture as a metric sees it.

    Args:
        pixels: ``(1, 3, H, W)``, sRGB in [0, 1].
        features: Layer to features of these pixels, ``(1, C, h, w)``: the layers that the metric reads.
    """

    pixels: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


class Metric(ABC):
    """One number for an output beside its photograph and its painting.

    Metrics hold their settings and nothing else. A metric is a frozen dataclass registered under
    its name::

        @metrics.register("rmse")
        @dataclass(frozen=True, kw_only=True)
        class RootMeanSquareError(Metric): ...

    A network's features are given to it: it says which layers it reads, and whoever calls it
    extracts them once for all metrics. What is not defined for some pictures, such as a distance
    relative to nothing, is NaN.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    """Unit and range, in words."""
    direction: ClassVar[Direction]
    source: ClassVar[str]
    """Where the definition is from."""
    against: ClassVar[Literal["content", "style"]]
    """The picture that would score best if it were the output itself."""
    needs: ClassVar[str | None] = None
    """A package of the extra ``eval`` that it cannot do without."""
    takes_reference: ClassVar[bool] = False
    """Whether another picture may stand in for the photograph: a pseudo ground truth."""

    def reads(self, known: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002
        """The layers that it reads; none for a metric of pixels.

        Args:
            known: Layers of the network that judges.

        Raises:
            ConfigError: None are set, and none are usual in this network.
        """
        return ()

    def long_edge(self, asked: int) -> int | None:  # noqa: ARG002
        """Longer edge of the pictures that it is to see, at most; None: as they are.

        Args:
            asked: What features are compared at, unless a metric has its own.
        """
        return None

    @abstractmethod
    def __call__(self, output: View, content: View, style: View) -> float:
        """The value.

        Args:
            output: The picture to judge.
            content: The photograph at the output's size.
            style: The painting; its longer edge is the output's.

        Raises:
            ConfigError: The metric is not defined for pictures of this size.
        """


@dataclass(frozen=True, kw_only=True)
class FeatureMetric(Metric):
    """A metric that compares feature maps of a network, which judges."""

    usual: ClassVar[tuple[tuple[str, ...], ...]]
    """Layers read where none are set: the first of these that the network has."""

    layers: Annotated[
        tuple[str, ...], Setting("Layers of the network that judges; none: those usual for the metric")
    ] = ()
    size: Annotated[
        int | None,
        Ge(1),
        Setting("Longer edge that features are taken at, at most; unset: the evaluation's", unit="pixels"),
    ] = None

    def reads(self, known: Collection[str]) -> tuple[str, ...]:
        """The layers set, or the usual ones of a network with these layers."""
        if self.layers:
            return self.layers
        for layers in self.usual:
            if set(layers) <= set(known):
                return layers
        raise ConfigError(
            f"metric {self.name!r} has no usual layers in this network; name some of {', '.join(known)} "
            f"in its setting 'layers'"
        )

    def long_edge(self, asked: int) -> int | None:
        """The smaller of its own size and ``asked``."""
        return asked if self.size is None else min(self.size, asked)


metrics: Registry[type[Metric]] = Registry("metric", home="velatura.metrics")


def share(part: float, whole: float, *, rounding: float) -> float:
    """``part`` over ``whole``; NaN where ``whole`` is no more than ``rounding`` leaves."""
    return part / whole if whole > rounding else float("nan")


def check_same_size(output: View, other: View) -> None:
    """Raises ``ConfigError`` unless two pictures can be compared position by position."""
    if output.pixels.shape != other.pixels.shape:
        one, two = (f"{view.pixels.shape[-1]}x{view.pixels.shape[-2]}" for view in (output, other))
        raise ConfigError(f"pictures compared pixel by pixel must have one size, not {one} and {two}")
