"""Moments of a layer's channels over its positions.

Raw moments mix linearly: those of two paintings side by side are the weighted mean of each
painting's. So losses keep raw moments, and derive covariances and deviations last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.gram import NUMBERS_AT_ONCE, channel_products, products_gradient
from velatura.ops.joining import can_join, joined_gradient
from velatura.ops.pooling import has_whole_windows, with_way_for_pools
from velatura.ops.positions import check_features, check_mask, position_weights
from velatura.ops.precision import at_least_float32, without_autocast
from velatura.ops.rectifier import below_rectifier, masked

__all__ = [
    "channel_moments",
    "covariance",
    "deviation",
    "moment_sums",
    "moments_distance",
    "raw_moments",
    "raw_moments_in_passing",
]


def raw_moments(features: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    r"""Mean and second raw moment of the channels.

    .. math:: m_i = \sum_k w_k F_{ik}, \qquad M_{ij} = \sum_k w_k F_{ik} F_{jk}

    Half-precision features are summed in float32, under autocast too.

    Args:
        features: Activations, ``(B, C, H, W)``.
        mask: Weights of the positions >= 0, ``(B, 1, H, W)`` or ``(1, 1, H, W)``, scaled here to
            sum to 1. None: every position counts the same.

    Returns:
        The mean ``(B, C)`` and the second raw moment ``(B, C, C)``.

    Raises:
        ValueError: ``features`` is not four-dimensional, or ``mask`` does not weigh it.
    """
    check_features(features)
    if mask is None:
        mean, second = _RawMoments.apply(features.flatten(2))  # type: ignore[no-untyped-call]
        return mean, second
    weights = position_weights(mask, features)
    return (features * weights).sum(dim=(2, 3)), channel_products(features * weights.sqrt())


def moment_sums(features: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What :func:`raw_moments` is made of, as sums that those of other positions can be added to.

    Args:
        features: Activations, ``(B, C, H, W)``.
        mask: Weights of the positions >= 0, ``(B, 1, H, W)`` or ``(1, 1, H, W)``; all may be 0. None: 1 each.

    Returns:
        The sum of the weights ``(B,)`` or ``(1,)``, the weighted sum of the features ``(B, C)``, and that of
        their products ``(B, C, C)``.
    """
    check_features(features)
    if mask is None:
        first, second = _MomentSums.apply(features)  # type: ignore[no-untyped-call]
        return first.new_full((1,), features.shape[2] * features.shape[3]), first, second
    check_mask(mask, features)
    weights = at_least_float32(mask)
    wide = at_least_float32(features)
    return (
        weights.sum(dim=(1, 2, 3)),
        (wide * weights).sum(dim=(2, 3)),
        channel_products(wide * weights.sqrt()),
    )


def raw_moments_in_passing(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The moments of a map that goes on to other layers: :func:`raw_moments`, and features to go on with.

    Autograd would write the moments' gradient, a map, and then add it to the one from above, which a pool
    spread to a map, and then mask the sum by the rectifier. Here all of it is done at once, in channels_last
    in less than half the time. It can be differentiated once.

    Args:
        features: Activations, ``(B, C, H, W)``.

    Returns:
        The features, the mean ``(B, C)`` and the second raw moment ``(B, C, C)``.

    Raises:
        ValueError: ``features`` is not four-dimensional.
    """
    check_features(features)
    below = below_rectifier(features)
    passed, mean, second, way = _MomentsInPassing.apply(  # type: ignore[no-untyped-call]
        features if below is None else below, below is not None
    )
    return with_way_for_pools(passed, way), mean, second


class _MomentSums(torch.autograd.Function):
    """Sums over a part of a map that is not dense: row by row, so that nothing is copied."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(features)
        rows = features.permute(0, 2, 3, 1)  # (B, H, W, C)
        batch, _, width, channels = rows.shape
        dtype = torch.promote_types(features.dtype, torch.float32)
        several = _rows_at_once(rows)
        first = torch.zeros(batch, several, 1, channels, dtype=dtype, device=rows.device)
        second = torch.zeros(batch, several, channels, channels, dtype=dtype, device=rows.device)
        ones = first.new_ones(several, 1, width)
        with without_autocast(features):
            for sample in range(batch):
                for part in torch.split(rows[sample], several):
                    wide, count = at_least_float32(part), len(part)
                    first[sample, :count].baddbmm_(ones[:count], wide)
                    second[sample, :count].baddbmm_(wide.mT, wide)
        return first.sum(dim=(1, 2)), second.sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_first: Tensor, to_second: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        rows = features.permute(0, 2, 3, 1)
        symmetric = to_second + to_second.mT
        several = _rows_at_once(rows)
        back = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)
        with without_autocast(features):
            for own, given, matrix, plus in zip(rows, back, symmetric, to_first, strict=True):
                for part, out in zip(torch.split(own, several), torch.split(given, several), strict=True):
                    wide = at_least_float32(part)
                    out.copy_(torch.baddbmm(plus, wide, matrix.expand(len(part), -1, -1)))
        return back.permute(0, 3, 1, 2)


def _rows_at_once(rows: Tensor) -> int:  # (B, H, W, C)
    """How many rows stay in the caches of all threads."""
    threads = torch.get_num_threads()
    several = NUMBERS_AT_ONCE * threads // rows.shape[2:].numel()
    return max(1, min(rows.shape[1], max(several, threads)))


class _MomentsInPassing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, rectified: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        # Not a view, which may have other strides than the features where the batch is one.
        passed = features.detach()
        ctx.save_for_backward(passed)
        ctx.rectified = rectified
        ctx.set_materialize_grads(False)
        batch, channels, height, width = features.shape
        way = None
        if can_join(features) and has_whole_windows(features):
            way = features.new_zeros(()).expand(batch, channels, height // 2, width // 2)
        return passed, *_moments(features.flatten(2)), way

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        from_above: Tensor | None,
        to_mean: Tensor | None,
        to_second: Tensor | None,
        from_pool: Tensor | None,
    ) -> tuple[Tensor | None, None]:
        (features,) = ctx.saved_tensors
        positions = features.shape[2:].numel()
        to_second = None if to_second is None else to_second / positions
        to_mean = None if to_mean is None else to_mean / positions
        if not can_join(features):
            return _added(features, to_second, to_mean, from_above, rectified=ctx.rectified), None
        back = joined_gradient(
            features,
            products=None if to_second is None else to_second + to_second.mT,
            everywhere=to_mean,
            onto=from_above,
            pooled=from_pool,
            rectified=ctx.rectified,
        )
        return back, None


def _added(
    features: Tensor, to_second: Tensor | None, plus: Tensor | None, onto: Tensor | None, *, rectified: bool
) -> Tensor | None:
    """What :func:`velatura.ops.joining.joined_gradient` joins, where it cannot."""
    back = onto
    if plus is not None or to_second is not None:
        batch, channels, height, width = features.shape
        if to_second is None:
            assert plus is not None
            to_second = plus.new_zeros(batch, channels, channels)
        flat = products_gradient(
            features.flatten(2), to_second, plus=plus, onto=None if onto is None else onto.flatten(2)
        )
        if flat.stride(1) != 1:
            back = flat.view(features.shape)
        else:
            back = flat.mT.view(batch, height, width, channels).permute(0, 3, 1, 2)
    return masked(back, features) if rectified and back is not None else back


class _RawMoments(torch.autograd.Function):
    """Both moments, with one pass over the features in the gradient (see ``_ChannelProducts``)."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> tuple[Tensor, Tensor]:  # (B, C, HW)
        ctx.save_for_backward(flat)
        return _moments(flat)

    @staticmethod
    def backward(ctx: Any, to_mean: Tensor, to_second: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        positions = flat.shape[2]
        return products_gradient(flat, to_second / positions, plus=to_mean / positions)


def _moments(flat: Tensor) -> tuple[Tensor, Tensor]:
    with without_autocast(flat):
        wide = at_least_float32(flat)
        if wide.device.type == "cpu" and wide.stride(1) == 1:
            return _moments_of_rows(wide.mT)
        return wide.mean(dim=2), (wide @ wide.mT).div_(flat.shape[2])


def _moments_of_rows(rows: Tensor) -> tuple[Tensor, Tensor]:  # (B, HW, C)
    """Both sums while the rows are in the cache: a part of one share for each thread at a time."""
    batch, positions, channels = rows.shape
    # One thread each: of a product that is thin both ways, the matrix library may make no more.
    shares = min(torch.get_num_threads(), positions)
    length = positions // shares
    ones = rows.new_ones(shares, 1, min(length, NUMBERS_AT_ONCE // channels + 1))
    total = rows.new_zeros(batch, shares, 1, channels)
    second = rows.new_zeros(batch, shares, channels, channels)
    for sample in range(batch):
        shared = rows[sample, : shares * length].view(shares, length, channels)
        for part in torch.split(shared, ones.shape[2], dim=1):
            total[sample].baddbmm_(ones[:, :, : part.shape[1]], part)
            second[sample].baddbmm_(part.mT, part)
        left = rows[sample, shares * length :]
        total[sample, 0, 0] += left.sum(dim=0)
        second[sample, 0] += left.mT @ left
    return total.sum(dim=(1, 2)) / positions, second.sum(dim=1) / positions


def moments_distance(features: Tensor, mean: Tensor, covariance: Tensor, *, mean_weight: float) -> Tensor:
    r"""Squared distance of the features' mean and covariance from the ones given.

    .. math:: w |m - m^*|^2 + |M - m m^\top - C^*|_F^2

    It is what autograd makes of :func:`raw_moments` and :func:`covariance`, in fewer calls: a fifth less
    time for the maps of a picture of 128 pixels.

    Args:
        features: Activations, ``(B, C, H, W)``.
        mean: :math:`m^*`, ``(B, C)`` or ``(1, C)``, a constant.
        covariance: :math:`C^*`, ``(B, C, C)`` or ``(1, C, C)``, symmetric, a constant.
        mean_weight: The weight ``w`` of the mean.

    Returns:
        ``(B,)``, at least float32.

    Raises:
        ValueError: ``features`` is not four-dimensional.
    """
    check_features(features)
    distance: Tensor = _MomentsDistance.apply(  # type: ignore[no-untyped-call]
        features.flatten(2), mean, covariance, mean_weight
    )
    return distance


class _MomentsDistance(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, wanted_mean: Tensor, wanted: Tensor, mean_weight: float
    ) -> Tensor:  # (B, C, HW)
        mean, second = _moments(flat)
        off_mean = mean - wanted_mean
        off = covariance(mean, second) - wanted
        ctx.mean_weight = mean_weight
        ctx.save_for_backward(flat, mean, off_mean, off)
        return mean_weight * off_mean.square().sum(dim=1) + off.square().sum(dim=(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        flat, mean, off_mean, off = ctx.saved_tensors
        each = gradient * (2 / flat.shape[2])  # (B,)
        with without_autocast(flat):
            # Off is symmetric, and the mean is also in the covariance.
            to_mean = ctx.mean_weight * off_mean - 2 * (off @ mean[:, :, None])[:, :, 0]
            back = products_gradient(flat, each[:, None, None] * off, plus=each[:, None] * to_mean)
        return back, None, None, None


def channel_moments(features: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and mean square of each channel alone: the diagonal of :func:`raw_moments`.

    Args:
        features: Activations, ``(B, C, H, W)``.
        mask: As for :func:`raw_moments`.

    Returns:
        Two tensors ``(B, C)``, at least float32.

    Raises:
        ValueError: As :func:`raw_moments`.
    """
    check_features(features)
    wide = at_least_float32(features)
    if mask is None:
        return wide.mean(dim=(2, 3)), wide.square().mean(dim=(2, 3))
    weights = position_weights(mask, features)
    return (wide * weights).sum(dim=(2, 3)), (wide.square() * weights).sum(dim=(2, 3))


def covariance(mean: Tensor, second: Tensor) -> Tensor:
    r"""Covariance from raw moments, :math:`M - m m^\top`: the biased one, divided by ``HW``.

    Args:
        mean: ``(B, C)``.
        second: Second raw moment, ``(B, C, C)``.

    Returns:
        ``(B, C, C)``. Rounding may leave eigenvalues a little below zero.
    """
    return second - mean[:, :, None] * mean[:, None, :]


def deviation(mean: Tensor, square: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    r"""Standard deviation from raw moments, :math:`\sqrt{\max(q - m^2, 0) + \epsilon}`.

    Args:
        mean: ``(B, C)``.
        square: Mean square of each channel, ``(B, C)``.
        epsilon: Keeps the gradient finite for a flat channel.

    Returns:
        ``(B, C)``.
    """
    return ((square - mean.square()).clamp_min(0) + epsilon).sqrt()
