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
from velatura.ops.wrap import Wrap, goes_round, wrapped

__all__ = ["detail_of", "limited_detail"]

_FREQUENCY = 0.25  # Cycles a pixel: the finer half of what pixels can show along an axis.
_REACH = 2  # Pixels that the finest band looks at on each side.


def detail_of(
    content: Tensor,
    styles: Sequence[Tensor],
    blend: Sequence[float],
    *,
    edge: int,
    style_sizes: Sequence[tuple[int, int]],
    strength: float,
) -> float:
    """Energy of fine detail that a picture is to have.

    Args:
        content: The photograph, ``(3, h, w)`` in [0, 1].
        styles: Paintings, each ``(3, h, w)`` in [0, 1].
        blend: Weight of each painting; they sum to 1.
        edge: Longer edge of the picture, in pixels.
        style_sizes: Height and width of each painting beside it.
        strength: Below 1, so much of it is the paintings' and the rest the photograph's, that little strength
            does not take the photograph's own detail away.

    Returns:
        Variance of the luma above a quarter of a cycle a pixel.
    """
    share = min(strength, 1.0)
    of_styles = sum(
        weight * _energy(_sized(style, size))
        for style, size, weight in zip(styles, style_sizes, blend, strict=True)
    )
    return share * of_styles + (
        0.0
        if share == 1
        else (1 - share) * _energy(_sized(content, fit(content.shape[1], content.shape[2], edge)))
    )


def limited_detail(picture: Tensor, allowed: float, *, wrap: Wrap = "none") -> Tensor:
    """A picture whose finest band is weaker where it has more detail than is allowed.

    Args:
        picture: ``(1, 3, H, W)`` in [0, 1].
        allowed: What :func:`detail_of` gives, or a multiple of it.
        wrap: Along which axes the picture goes on at its opposite edge.

    Returns:
        ``(1, 3, H, W)`` in [0, 1]; the picture itself where it has no more than that.
    """
    found = _energy(picture)
    if found <= allowed:
        return picture
    rows, columns = (_REACH if goes else 0 for goes in goes_round(wrap))
    height, width = picture.shape[2:]
    band = finest_band(wrapped(picture, min(rows, height), min(columns, width)))
    inner = band[:, :, rows : rows + height, columns : columns + width]
    return picture.sub(inner, alpha=1 - math.sqrt(allowed / found)).clamp_(0, 1)


def _energy(picture: Tensor) -> float:
    """Variance of the luma of ``(1, 3, H, W)`` above the frequency."""
    return float(energy_above(luma(picture), _FREQUENCY))


def _sized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return resize(picture[None], size).clamp(0, 1)
