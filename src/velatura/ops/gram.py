"""Gram matrices: which channels are active together, wherever that is."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from velatura.ops.positions import check_features, position_weights
from velatura.ops.precision import at_least_float32, without_autocast

__all__ = [
    "NUMBERS_AT_ONCE",
    "GramScale",
    "channel_products",
    "gram_divisor",
    "gram_matrix",
    "products_gradient",
]

GramScale: TypeAlias = Literal["none", "hw", "chw"]

NUMBERS_AT_ONCE = 2**17
"""What each thread takes of a map before it goes on, so that it stays in the cache: 512 KiB in float32."""


def gram_matrix(features: Tensor, *, scale: GramScale = "chw", mask: Tensor | None = None) -> Tensor:
    r"""Inner products between the channels of one layer, blind to position.

    .. math:: G_{ij} = \tfrac{1}{s} \sum_k m_k F_{ik} F_{jk}

    Half-precision features are summed in float32, under autocast too.

    Args:
        features: Activations, ``(B, C, H, W)``.
        scale: Divisor ``s``: 1 (Gatys et al. 2016, eq. 3), ``HW``, or ``CHW``
            (Johnson et al. 2016, eq. 3). Losses at different scales do not compare.
        mask: Weights ``m`` >= 0 of the positions, ``(B, 1, H, W)`` or ``(1, 1, H, W)``; their sum takes
            the place of ``HW``. The guided Gram matrix of Gatys et
            al. 2017 is that of the guide's square. None:
            every position counts 1.

    Returns:
        Symmetric positive semi-definite matrices, ``(B, C, C)``.

    Raises:
        ValueError: ``features`` is not four-dimensional, ``scale`` is unknown, or ``mask`` does not
            weigh ``features``.
    """
    check_features(features)
    divisor = gram_divisor(features, scale=scale, mask=mask)
    if mask is None:
        return channel_products(features) / divisor
    weights = position_weights(mask, features)
    positions = gram_divisor(features, scale="hw", mask=mask)
    return channel_products(features * weights.sqrt()) * (positions / divisor)


def gram_divisor(features: Tensor, *, scale: GramScale, mask: Tensor | None = None) -> Tensor | float:
    """The divisor of :func:`gram_matrix`: a number, or ``(B or 1, 1, 1)`` under a mask."""
    _, channels, height, width = features.shape
    positions = height * width if mask is None else at_least_float32(mask).sum(dim=(2, 3))[..., None]
    match scale:
        case "none":
            return 1.0
        case "hw":
            return positions
        case "chw":
            return channels * positions
    raise ValueError(f"scale must be 'none', 'hw' or 'chw', not {scale!r}")


def channel_products(features: Tensor) -> Tensor:
    """Sums over positions of the products of every two channels.

    Args:
        features: ``(B, C, H, W)``, in either memory format.

    Returns:
        ``(B, C, C)``, at least float32.
    """
    products: Tensor = _ChannelProducts.apply(features.flatten(2))  # type: ignore[no-untyped-call]
    return products


class _ChannelProducts(torch.autograd.Function):
    """``F F^T``, with one matrix product in the gradient.

    Autograd would take one for each ``F`` and write the results in two layouts: 2.4 times the time
    of a step in channels_last, 4.8 times in contiguous features of 64 x 512 x 512.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:  # (B, C, HW)
        ctx.save_for_backward(flat)
        with without_autocast(flat):
            wide = at_least_float32(flat)
            return wide @ wide.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        return products_gradient(flat, gradient)


def products_gradient(
    flat: Tensor, gradient: Tensor, plus: Tensor | None = None, onto: Tensor | None = None
) -> Tensor:
    """Gradient of the channel products, ``(G + G^T) F``, in the layout of ``F``.

    Args:
        flat: ``F``, ``(B, C, HW)``; channels_last features give a transposed view.
        gradient: ``G``, with respect to the products, ``(B, C, C)``.
        plus: What to add at every position, ``(B, C)``.
        onto: What to add at each, ``(B, C, HW)``: the gradient that ``F`` has from elsewhere.

    Returns:
        ``(B, C, HW)``.
    """
    with without_autocast(flat):
        wide, symmetric = at_least_float32(flat), gradient + gradient.mT
        if flat.stride(1) == 1:
            product = _product(wide.mT, symmetric, None if plus is None else plus[:, None, :]).mT
        else:
            product = _product(symmetric, wide, None if plus is None else plus[:, :, None])
        return product.to(flat.dtype) if onto is None else (onto + product).to(flat.dtype)


def _product(left: Tensor, right: Tensor, plus: Tensor | None) -> Tensor:
    return torch.bmm(left, right) if plus is None else torch.baddbmm(plus, left, right)
