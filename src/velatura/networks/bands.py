"""Detail as strong, and as coloured, as the painting's: the last exchange of statistics.

A network learns the mean of what could be painted, whose detail is weaker than that of any painting. So
each band of a Laplacian pyramid is brought to the mean and covariance that the colours of the painting's band
have: the pyramid matching of Heeger and Bergen 1995, with Gaussians in the place of histograms.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from velatura.networks.base import Style
from velatura.networks.encoder import padded_to_multiple
from velatura.networks.statistics import ChannelMoments
from velatura.networks.transport import transported

__all__ = ["BandMatching", "doubled"]

_REST_FLOOR, _BAND_FLOOR = 1e-3, 1e-5


def doubled(maps: Tensor) -> Tensor:
    """Twice the height and width, bilinearly: repeated, coarse maps show as rectangles in flat parts."""
    return functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


class BandMatching(nn.Module):
    """Brings the bands of a picture, finest first, and what is left of it, to a painting's moments.

    Args:
        count: Bands.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.moments = nn.ModuleList(ChannelMoments() for _ in range(count + 1))

    def encode(self, painting: Tensor) -> dict[str, Tensor]:
        """Raw moments of the bands of paintings ``(B, 3, h, w)``, as entries of a style."""
        known: dict[str, Tensor] = {}
        measure = ChannelMoments()
        for number, band in enumerate(self._bands(padded_to_multiple(painting, self.multiple))):
            known[f"band{number}.mean"], known[f"band{number}.second"] = measure(band)
        return known

    @property
    def multiple(self) -> int:
        """What height and width of a picture must be divisible by."""
        return int(2 ** (len(self.moments) - 1))

    def forward(self, picture: Tensor, style: Style) -> Tensor:
        """``(B, 3, H, W)``, whose edges are multiples of :attr:`multiple`, to the same shape."""
        moved = [
            transported(
                band,
                part(band),
                (style[f"band{number}.mean"], style[f"band{number}.second"]),
                floor=_BAND_FLOOR if number < len(self.moments) - 1 else _REST_FLOOR,
            )
            for number, (band, part) in enumerate(zip(self._bands(picture), self.moments, strict=True))
        ]
        return _joined(moved)

    def _bands(self, picture: Tensor) -> list[Tensor]:
        bands = []
        for _ in range(len(self.moments) - 1):
            half = functional.avg_pool2d(picture, 2)
            bands.append(picture - doubled(half))
            picture = half
        return [*bands, picture]


def _joined(bands: Sequence[Tensor]) -> Tensor:
    picture = bands[-1]
    for band in reversed(bands[:-1]):
        picture = doubled(picture) + band
    return picture
