"""Style distance: how much of the way from the photograph to the painting is left."""

from __future__ import annotations

import statistics
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from velatura.metrics.base import Direction, FeatureMetric, View, metrics, share
from velatura.ops.gaussians import wasserstein_squared
from velatura.ops.gram import gram_matrix
from velatura.ops.moments import covariance, raw_moments

__all__ = ["StyleGram", "StyleMoments", "StyleWasserstein"]


@dataclass(frozen=True, kw_only=True)
class StyleDistance(FeatureMetric):
    r"""Distance of statistics to the painting's, where the photograph's own distance is 1.

    .. math:: \frac{\sum_l d_l(\text{output}, \text{style})}{\sum_l d_l(\text{content}, \text{style})}

    Each layer's distance is relative to the size of the painting's statistics there, so that layers
    count alike. 0: the painting's own statistics; 1: as far as the untouched photograph; NaN where the
    photograph has the painting's statistics already.
    """

    unit: ClassVar[str] = "part of the photograph's own distance"
    direction: ClassVar[Direction] = "lower"
    against: ClassVar[Literal["content", "style"]] = "style"
    usual: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        ("conv1", "layer1", "layer2", "layer3"),
        ("conv1", "fire3", "fire5", "fire8"),
    )

    def __call__(self, output: View, content: View, style: View) -> float:
        """The distance of the output, as a part of the photograph's."""
        left, whole = (
            statistics.fmean(
                self.distance(view.features[layer].double(), target.double())
                for layer, target in style.features.items()
            )
            for view in (output, content)
        )
        return share(left, whole, rounding=1e-6)

    @abstractmethod
    def distance(self, features: Tensor, target: Tensor) -> float:
        """Relative distance of one layer's statistics from those of ``target``, >= 0.

        Args:
            features: ``(1, C, h, w)``.
            target: ``(1, C, h', w')``.
        """


@metrics.register("style-gram")
@dataclass(frozen=True, kw_only=True)
class StyleGram(StyleDistance):
    r"""Style distance by Gram matrices: 0 is the painting's own, 1 the photograph's.

    .. math:: d = |G - G^*|_F \, / \, |G^*|_F

    Layers are Gatys' five, or a ResNet's stem and first three stages.
    """

    source: ClassVar[str] = (
        "Gram matrices: Gatys et al. 2016, eqs. 3 to 5; as a part of the photograph's: here"
    )

    def distance(self, features: Tensor, target: Tensor) -> float:
        """Relative Frobenius distance of the Gram matrices."""
        found, wanted = (gram_matrix(maps, scale="hw") for maps in (features, target))
        return _relative(found, wanted)


@metrics.register("style-moments")
@dataclass(frozen=True, kw_only=True)
class StyleMoments(StyleDistance):
    r"""Style distance by mean and covariance: 0 is the painting's own, 1 the photograph's.

    .. math:: d^2 = \tfrac12 \left( \frac{|m - m^*|^2}{|m^*|^2} + \frac{|C - C^*|_F^2}{|C^*|_F^2} \right)

    Each is relative to its own size, so that the scale of a network's activations does not decide
    which of the two counts.
    """

    source: ClassVar[str] = "mean and covariance: Li et al. 2017 (WCT); as a part of the photograph's: here"

    def distance(self, features: Tensor, target: Tensor) -> float:
        """Root mean square of the two relative distances."""
        (mean, matrix), (wanted_mean, wanted) = (_gaussian(maps) for maps in (features, target))
        parts = _relative(mean, wanted_mean), _relative(matrix, wanted)
        return float(statistics.fmean(part**2 for part in parts) ** 0.5)


@metrics.register("style-wasserstein")
@dataclass(frozen=True, kw_only=True)
class StyleWasserstein(StyleDistance):
    r"""Style distance by Wasserstein-2 of Gaussians: 0 is the painting's own, 1 the photograph's.

    .. math:: d^2 = \frac{W_2^2}{|m^*|^2 + \operatorname{tr} C^*}
    """

    source: ClassVar[str] = (
        "Dowson and Landau 1982; as a style distance: Mroueh 2020; as a part of the photograph's: here"
    )

    def distance(self, features: Tensor, target: Tensor) -> float:
        """Relative Wasserstein distance."""
        (mean, matrix), (wanted_mean, wanted) = (_gaussian(maps) for maps in (features, target))
        size = wanted_mean.square().sum() + wanted.diagonal(dim1=1, dim2=2).sum()
        squared = wasserstein_squared(wanted_mean, wanted, mean, matrix)
        return float((squared / size).sqrt())


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    mean, second = raw_moments(features)
    return mean, covariance(mean, second)


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())
