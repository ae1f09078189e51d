"""Colour spaces with one axis of lightness and two of chroma, and the colours of them that a screen has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from velatura.ops.color import check_rgb

__all__ = ["LAB", "YIQ", "OpponentSpace", "chroma_distance", "lab_to_srgb", "srgb_to_lab", "towards"]

_Row: TypeAlias = tuple[float, float, float]

# IEC 61966-2-1: linear sRGB to XYZ under D65. White is what the rows sum to, so that grey has no chroma.
_TO_XYZ: tuple[_Row, _Row, _Row] = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
# FCC 1953, as Gatys et al. 2016 (colour) have it by way of YIQ; its first row is the luma of BT.601.
_TO_YIQ: tuple[_Row, _Row, _Row] = (
    (0.299, 0.587, 0.114),
    (0.595716, -0.274453, -0.321263),
    (0.211456, -0.522591, 0.311135),
)
_TO_AXES: tuple[_Row, _Row, _Row] = ((0, 116, 0), (500, -500, 0), (0, 200, -200))

_KNEE = 6 / 29
_HALVINGS = 12
# A colour at the gamut's edge comes back from CIELAB this far outside, in float32.
_ROUNDING = 2e-5


def srgb_to_lab(image: Tensor) -> Tensor:
    r"""CIELAB of gamma-encoded sRGB, under its own white D65.

    .. math:: L^* = 116 f(Y) - 16, \quad a^* = 500 (f(X) - f(Y)), \quad b^* = 200 (f(Y) - f(Z))

    Args:
        image: ``(B, 3, H, W)`` in [0, 1]; beyond, the curves go on.

    Returns:
        ``(B, 3, H, W)``: L* in [0, 100], a* and b* in about [-110, 100].

    Raises:
        ValueError: ``image`` has not three channels.
    """
    check_rgb(image)
    linear = torch.where(image <= 0.04045, image / 12.92, ((image.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    xyz = _mixed(linear, _white_at_one())
    # The straight part is that of CIE 15, to which the cube root is tangent.
    bent = torch.where(xyz > _KNEE**3, xyz.clamp_min(_KNEE**3) ** (1 / 3), xyz / (3 * _KNEE**2) + 4 / 29)
    lab = _mixed(bent, torch.tensor(_TO_AXES, dtype=torch.float64))
    lab[:, 0] -= 16
    return lab


def lab_to_srgb(lab: Tensor) -> Tensor:
    """The inverse of :func:`srgb_to_lab`, not clamped.

    Args:
        lab: ``(B, 3, H, W)``.

    Returns:
        ``(B, 3, H, W)``; outside [0, 1] where a screen has no such colour.

    Raises:
        ValueError: ``lab`` has not three channels.
    """
    check_rgb(lab)
    lightness = (lab[:, :1] + 16) / 116
    bent = torch.cat([lightness + lab[:, 1:2] / 500, lightness, lightness - lab[:, 2:] / 200], dim=1)
    xyz = torch.where(bent > _KNEE, bent**3, 3 * _KNEE**2 * (bent - 4 / 29))
    linear = _mixed(xyz, torch.linalg.inv(_white_at_one()))
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    )


def chroma_distance(one: Tensor, other: Tensor) -> Tensor:
    r"""Mean distance of two pictures in the plane of hue and chroma, lightness aside.

    .. math:: \frac{1}{HW} \sum_k \sqrt{(a^*_k - a'^*_k)^2 + (b^*_k - b'^*_k)^2}

    Args:
        one: ``(B, 3, H, W)`` in [0, 1].
        other: The same shape.

    Returns:
        ``(B,)``, in units of CIELAB.

    Raises:
        ValueError: A picture has not three channels.
    """
    off = (srgb_to_lab(one) - srgb_to_lab(other))[:, 1:]
    distance: Tensor = torch.linalg.vector_norm(off, dim=1).mean(dim=(1, 2))
    return distance


@dataclass(frozen=True)
class OpponentSpace:
    """A space whose first axis is lightness, 0 for black and 1 for white, and whose others are 0 for grey.

    Args:
        encode: sRGB to this space, both ``(B, 3, H, W)``.
        decode: Its inverse, which may leave [0, 1].
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]

    def grey(self, lightness: Tensor) -> Tensor:
        """The grey of a lightness ``(B, 1, H, W)``, as a picture ``(B, 3, H, W)``."""
        none = torch.zeros_like(lightness)
        picture: Tensor = self.decode(torch.cat([lightness, none, none], dim=1))
        return picture


LAB: Final = OpponentSpace(lambda image: srgb_to_lab(image) / 100, lambda lab: lab_to_srgb(100 * lab))
"""CIELAB in hundredths."""

YIQ: Final = OpponentSpace(
    lambda image: _mixed(image, torch.tensor(_TO_YIQ, dtype=torch.float64)),
    lambda yiq: _mixed(yiq, torch.linalg.inv(torch.tensor(_TO_YIQ, dtype=torch.float64))),
)
"""The luma of BT.601 with I and Q: linear in gamma-encoded sRGB."""


def towards(start: Tensor, goal: Tensor, space: OpponentSpace) -> Tensor:
    """The colour of a screen that is furthest on the way from one colour to another.

    Args:
        start: Colours of ``space``, ``(B, 3, H, W)``, which a screen has.
        goal: The same shape, anywhere.
        space: Where the ways are straight.

    Returns:
        sRGB in [0, 1], ``(B, 3, H, W)``: the goal wherever a screen has it.
    """
    found = space.decode(goal)
    outside = ~_on_screen(found)  # (B, 1, H, W)
    if outside.any():
        begin, end = _column(start, outside), _column(goal, outside)
        low, high = torch.zeros_like(begin[:, :1]), torch.ones_like(begin[:, :1])
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_in = _on_screen(space.decode(torch.lerp(begin, end, middle)))
            low, high = torch.where(is_in, middle, low), torch.where(is_in, high, middle)
        reached = space.decode(torch.lerp(begin, end, low))  # (1, 3, N, 1)
        found = found.movedim(1, -1).masked_scatter(
            outside.movedim(1, -1), reached[0, :, :, 0].T.contiguous()
        )
        found = found.movedim(-1, 1)
    return found.clamp(0, 1)


def _column(colors: Tensor, where: Tensor) -> Tensor:
    """The chosen pixels as a picture one pixel wide, ``(1, 3, N, 1)``."""
    return colors.movedim(1, -1)[where[:, 0]].T[None, :, :, None]


def _on_screen(image: Tensor) -> Tensor:
    return ((image >= -_ROUNDING) & (image <= 1 + _ROUNDING)).all(dim=1, keepdim=True)


def _white_at_one() -> Tensor:
    """Linear sRGB to XYZ over the white's, in float64."""
    matrix = torch.tensor(_TO_XYZ, dtype=torch.float64)
    return matrix / matrix.sum(dim=1, keepdim=True)


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel times a matrix ``(3, 3)``."""
    return torch.einsum("ij,bjhw->bihw", matrix.to(image), image)
