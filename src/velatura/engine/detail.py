"""Fine detail not much stronger than the painting's: the last thing that is done to a picture.

Statistics of feature maps hold the energy near a pixel's own scale only loosely: of a photograph of hair in
a smooth painting's style, two thirds more came out than the painting has. So the finest band of the picture
is brought down towards the painting's energy, as the bands of Heeger and Bergen 1995 are brought to a
texture's; here it is never raised, which would be noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from velatura.ops.color import luma
from velatura.ops.filters import energy_above, finest_band
from velatura.ops.resize import fit, resize

__all__ = ["limited_detail"]

_FREQUENCY = 0.25  # Cycles a pixel: the finer half of what pixels can show along an axis.


def limited_detail(
    picture: Tensor,
    most: float,
    *,
    content: Tensor,
    styles: Sequence[Tensor],
    blend: Sequence[float],
    style_scale: float,
    strength: float,
) -> Tensor:
    """A picture whose finest band is not much stronger than the painting's.

    Args:
        picture: The result, ``(3, H, W)`` in [0, 1].
        most: Energy that is allowed, over the painting's.
        content: The photograph, ``(3, h, w)`` in [0, 1].
        styles: Paintings, each ``(3, h, w)`` in [0, 1].
        blend: Weight of each painting; they sum to 1.
        style_scale: Longer edge of the painting over that of the picture.
        strength: Below 1, so much of what is allowed is the painting's and the rest the photograph's, that
            little strength does not take the photograph's own detail away.

    Returns:
        ``(3, H, W)`` in [0, 1]; the picture itself where it has no more detail than is allowed.
    """
    long_edge = max(picture.shape[1:])
    of_paintings = sum(
        weight * _energy(_of_edge(style, round(long_edge * style_scale)))
        for style, weight in zip(styles, blend, strict=True)
    )
    share = min(strength, 1.0)
    of_photograph = 0.0 if share == 1 else _energy(_of_edge(content, long_edge))
    allowed = most * (share * of_paintings + (1 - share) * of_photograph)
    found = _energy(picture)
    if found <= allowed:
        return picture
    factor = math.sqrt(allowed / found)
    return (picture - (1 - factor) * finest_band(picture[None])[0]).clamp(0, 1)


def _energy(picture: Tensor) -> float:
    """Variance of the luma above the frequency."""
    return float(energy_above(luma(picture[None]), _FREQUENCY))


def _of_edge(picture: Tensor, long_edge: int) -> Tensor:
    size = fit(picture.shape[1], picture.shape[2], long_edge)
    return resize(picture[None], size).clamp(0, 1)[0]
