"""High-frequency energy: whether there is as much fine detail as in the painting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Lt

from velatura.core.config import Setting
from velatura.metrics.base import Direction, Metric, View, metrics, share
from velatura.ops.color import luma
from velatura.ops.filters import energy_above

__all__ = ["HighFrequency"]


@metrics.register("high-frequency")
@dataclass(frozen=True, kw_only=True)
class HighFrequency(Metric):
    r"""Energy of fine detail over the painting's: well above 1 is noise, well below 1 is blur.

    .. math:: \frac{E_{|f| \ge f_0}(\text{output})}{E_{|f| \ge f_0}(\text{style})}

    ``E`` is the variance of the luma above the frequency, under a Hann window, so that sizes
    may differ. The painting is first resampled to the output's longer edge. NaN where it has no
    such detail.
    """

    unit: ClassVar[str] = "ratio"
    direction: ClassVar[Direction] = "one"
    source: ClassVar[str] = "power spectrum: Welch 1967; ratio: here"
    against: ClassVar[Literal["content", "style"]] = "style"

    frequency: Annotated[
        float, Gt(0), Lt(0.5), Setting("Least frequency that counts", unit="cycles a pixel")
    ] = 0.25

    def __call__(self, output: View, content: View, style: View) -> float:  # noqa: ARG002
        """The ratio."""
        own, wanted = (
            float(energy_above(luma(view.pixels.double()), self.frequency)) for view in (output, style)
        )
        # Pixels in float32 leave about 1e-15.
        return share(own, wanted, rounding=1e-12)
