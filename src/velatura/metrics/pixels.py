"""Likeness of pixels to the photograph, or to another reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from velatura.core.errors import ConfigError
from velatura.metrics.base import Direction, Metric, View, check_same_size, metrics

__all__ = ["PeakSignalToNoise", "RootMeanSquareError", "StructuralSimilarity"]

_SSIM_WINDOW = 11


@dataclass(frozen=True, kw_only=True)
class PixelMetric(Metric):
    """A comparison pixel by pixel with the photograph, or with a reference in its place."""

    against: ClassVar[Literal["content", "style"]] = "content"
    takes_reference: ClassVar[bool] = True


@metrics.register("ssim")
@dataclass(frozen=True, kw_only=True)
class StructuralSimilarity(PixelMetric):
    """Structural similarity: local brightness, contrast and structure as in the photograph.

    Gaussian window of 11 pixels and deviation 1.5, K1 = 0.01, K2 = 0.03, mean over red, green and
    blue, by torchmetrics.
    """

    unit: ClassVar[str] = "-1 to 1, 1 for equal pictures"
    direction: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "Wang et al. 2004"
    needs: ClassVar[str | None] = "torchmetrics"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The mean over pixels."""
        # Imported late: it takes seconds, and only the extra has it.
        from torchmetrics.functional.image import structural_similarity_index_measure

        check_same_size(output, content)
        height, width = output.pixels.shape[-2:]
        if min(height, width) < _SSIM_WINDOW:
            raise ConfigError(
                f"ssim looks through a window of {_SSIM_WINDOW}x{_SSIM_WINDOW} pixels, and a picture is "
                f"{width}x{height}; leave ssim out"
            )
        pictures = output.pixels.double(), content.pixels.double()
        value = structural_similarity_index_measure(*pictures, data_range=1.0)
        return float(value)  # type: ignore[arg-type]


@metrics.register("psnr")
@dataclass(frozen=True, kw_only=True)
class PeakSignalToNoise(PixelMetric):
    """Peak signal-to-noise ratio against the photograph; infinite for equal pictures."""

    unit: ClassVar[str] = "dB"
    direction: ClassVar[Direction] = "higher"
    source: ClassVar[str] = "ITU-T J.340; by torchmetrics"
    needs: ClassVar[str | None] = "torchmetrics"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The ratio over all pixels and channels."""
        from torchmetrics.functional.image import peak_signal_noise_ratio

        check_same_size(output, content)
        return float(peak_signal_noise_ratio(output.pixels, content.pixels, data_range=1.0))


@metrics.register("rmse")
@dataclass(frozen=True, kw_only=True)
class RootMeanSquareError(PixelMetric):
    """Root mean square difference of the pixels from the photograph's."""

    unit: ClassVar[str] = "of the pixel range [0, 1]"
    direction: ClassVar[Direction] = "lower"
    source: ClassVar[str] = "by definition"

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The root over all pixels and channels."""
        check_same_size(output, content)
        return float((output.pixels - content.pixels).square().mean().sqrt())
