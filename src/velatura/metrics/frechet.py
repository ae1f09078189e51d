"""SIFID: how far the local features are from the painting's, all positions taken as samples."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from velatura.metrics.base import Direction, FeatureMetric, View, metrics
from velatura.ops.gaussians import wasserstein_squared
from velatura.ops.moments import covariance, raw_moments

__all__ = ["SingleImageFrechet"]


@metrics.register("sifid")
@dataclass(frozen=True, kw_only=True)
class SingleImageFrechet(FeatureMetric):
    r"""Single-image Fréchet distance between the painting's features at one layer and the output's.

    .. math:: |m - m^*|^2 + \operatorname{tr}\bigl(C + C^* - 2 (C^* C)^{1/2}\bigr)

    Departs from the paper in the network: the authors take Inception-v3 before its second pool; here any
    network judges, and the usual layer is the one before a VGG's second pool, or a ResNet's first
    stage. Values of different networks or weights do not compare. With several layers, the mean
    over them.
    """

    unit: ClassVar[str] = "squared activations of the network that judges"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "Shaham et al. 2019 (SinGAN); FID: Heusel et al. 2017"
    against: ClassVar[Literal["content", "style"]] = "style"
    usual: ClassVar[tuple[tuple[str, ...], ...]] = (("relu2_2",), ("relu2_1",), ("layer1",), ("fire3",))

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The distance."""
        return statistics.fmean(
            float(wasserstein_squared(*_gaussian(wanted), *_gaussian(output.features[layer])))
            for layer, wanted in style.features.items()
        )


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    mean, second = raw_moments(features.double())
    return mean, covariance(mean, second)
