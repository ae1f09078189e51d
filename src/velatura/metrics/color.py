"""Whether the colours are the painting's, or the photograph's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from velatura.core.config import Setting
from velatura.metrics.base import Direction, Metric, View, check_same_size, metrics
from velatura.ops.color import chroma_histogram
from velatura.ops.color_spaces import chroma_distance

__all__ = ["ChromaDifference", "ColorHistogram"]


@metrics.register("color-histogram")
@dataclass(frozen=True, kw_only=True)
class ColorHistogram(Metric):
    r"""Hellinger distance of the RGB-uv histogram from the painting's.

    .. math:: \tfrac{1}{\sqrt 2} \, \bigl| \sqrt{H} - \sqrt{H^*} \bigr|_2

    How often each colour comes, brightness aside, wherever it is. Pictures are made smaller first,
    to keep their aspect; the authors take 150 x 150 pixels.
    """

    unit: ClassVar[str] = "0 to 1, 0 for equal histograms"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "Afifi et al. 2021 (HistoGAN)"
    against: ClassVar[Literal["content", "style"]] = "style"

    bins: Annotated[int, Ge(2), Setting("Bins along each of the two axes")] = 64
    width: Annotated[float, Gt(0), Setting("Fall-off of the kernel", unit="of log-chroma")] = 0.02
    size: Annotated[int, Ge(1), Setting("Longer edge that pictures are taken at, at most", unit="pixels")] = (
        256
    )

    def long_edge(self, asked: int) -> int | None:  # noqa: ARG002
        """Its own size."""
        return self.size

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The distance."""
        roots = [
            chroma_histogram(view.pixels, bins=self.bins, width=self.width).sqrt() for view in (output, style)
        ]
        return float((roots[0] - roots[1]).norm()) / 2**0.5


@metrics.register("chroma-difference")
@dataclass(frozen=True, kw_only=True)
class ChromaDifference(Metric):
    r"""Mean distance of each pixel's hue and chroma from the photograph's, lightness aside.

    .. math:: \tfrac{1}{HW} \sum_k \sqrt{(a^*_k - a'^*_k)^2 + (b^*_k - b'^*_k)^2}
    """

    unit: ClassVar[str] = "units of CIELAB, D65"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "CIE 15: the colour difference without its lightness"
    against: ClassVar[Literal["content", "style"]] = "content"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The mean."""
        check_same_size(output, content)
        return float(chroma_distance(output.pixels, content.pixels))
