"""CFSD: whether what resembled what still does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from velatura.core.config import Setting
from velatura.metrics.base import Direction, FeatureMetric, View, metrics
from velatura.ops.similarity import self_similarity_divergence

__all__ = ["ContentFeatureStructuralDistance"]

# VGG-19's relu3_1 of a picture of 512x512 pixels, where the authors measured.
_POSITIONS = 128 * 128
_CHANNELS = 256


@metrics.register("cfsd")
@dataclass(frozen=True, kw_only=True)
class ContentFeatureStructuralDistance(FeatureMetric):
    r"""Content feature structural distance: how far the photograph's self-similarity has changed.

    .. math:: \mathrm{CFSD} = \frac{128^2}{N} \sum_{i=1}^N \sum_j S_{ij} \log \frac{S_{ij}}{S'_{ij}},
        \quad S_{ij} = \operatorname{softmax}_j \frac{f_i \cdot f_j}{256 \, C \, a^2}

    ``S`` is of the photograph, ``S'`` of the output; ``f_i`` is one of the ``N`` positions of relu3_1
    with ``C`` channels. Colours may change freely as long as what looked alike still does.

    The authors' code divides features by ``C`` and sums over positions; they have 256 channels and
    128 x 128 positions. Here products are divided by ``256 C``, and the sum is scaled to as many
    positions, so that layers of other widths and sizes compare. It departs in ``a``, the photograph's
    mean activation, which divides both pictures'. The authors judge with torchvision's VGG-19; the
    activations of the Caffe release are a hundred times as large, and the softmax of their products is
    1 for one position and 0 for all others. ``activations="raw"`` leaves ``a`` at 1.
    With several layers, the mean over them.
    """

    unit: ClassVar[str] = "nats, summed over 128 x 128 positions"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "Chung et al. 2024 (StyleID), and the authors' code"
    against: ClassVar[Literal["content", "style"]] = "content"
    usual: ClassVar[tuple[tuple[str, ...], ...]] = (("relu3_1",), ("layer1",), ("fire3",))

    size: Annotated[
        int | None,
        Ge(1),
        Setting("Longer edge that features are taken at, at most; unset: the evaluation's", unit="pixels"),
    ] = 256
    activations: Annotated[
        Literal["normalized", "raw"], Setting("Divide by the photograph's mean activation, or leave them")
    ] = "normalized"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The divergence of the output's self-similarity from the photograph's."""
        divergences = []
        for layer, wanted in content.features.items():
            features, wanted = output.features[layer].double(), wanted.double()
            scale = wanted.mean() if self.activations == "normalized" else 1
            rows = self_similarity_divergence(
                features / scale, wanted / scale, temperature=_CHANNELS * wanted.shape[1]
            )
            divergences.append(float(rows.mean()) * _POSITIONS)
        return sum(divergences) / len(divergences)
