"""Changing the size of pictures: how large, and how."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

__all__ = ["fit", "resize", "resize_within", "same_aspect"]

# The same picture at another size has its proportions up to whole pixels.
_ASPECT_TOLERANCE = 0.02


def fit(height: int, width: int, long_edge: int) -> tuple[int, int]:
    """The size with the same aspect whose longer edge is ``long_edge`` pixels.

    Args:
        height: Rows.
        width: Columns.
        long_edge: Longer edge of the result; the shorter is rounded and at least 1.

    Returns:
        Height and width.
    """
    scale = long_edge / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes, height and width each, have the same proportions but for whole pixels: to 2 %."""
    ours, theirs = one[1] * other[0], other[1] * one[0]
    return abs(ours - theirs) <= _ASPECT_TOLERANCE * max(ours, theirs)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic resampling, low-passed before it is made smaller, so that no pattern appears.

    Args:
        image: ``(B, C, H, W)``.
        size: Height and width of the result.

    Returns:
        A new tensor, ``(B, C, *size)``. Cubic weights overshoot at edges: values may leave the input's range.
    """
    if tuple(image.shape[-2:]) == size:
        return image.clone()
    return functional.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)


def resize_within(image: Tensor, size: tuple[int, int]) -> Tensor:
    """:func:`resize` without what overshoots: within [0, 1], or the range of the input where that is wider.

    For pictures that were recoloured: to cut off what left [0, 1] would change their mean and covariance.
    """
    least, most = image.aminmax()
    return resize(image, size).clamp(min(0.0, float(least)), max(1.0, float(most)))
