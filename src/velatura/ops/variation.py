"""Total variation: how much neighbouring pixels differ."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["VariationForm", "VariationReduction", "total_variation", "variation_sums"]

VariationForm: TypeAlias = Literal["l1", "l2"]
VariationReduction: TypeAlias = Literal["mean", "sum"]


def total_variation(
    image: Tensor,
    *,
    form: VariationForm = "l2",
    reduction: VariationReduction = "mean",
    mask: Tensor | None = None,
) -> Tensor:
    r"""Differences between horizontal and between vertical neighbours.

    .. math:: V = \sum |x_{i,j+1} - x_{ij}|^p + \sum |x_{i+1,j} - x_{ij}|^p

    Args:
        image: ``(B, C, H, W)``. The result depends on its range: [0, 1] is meant.
        form: Power of the differences: ``"l1"`` is ``p = 1``, ``"l2"`` is ``p = 2``.
        reduction: ``"sum"`` as above, or ``"mean"``: each of the two sums divided by its number of
            differences, so that the size of the image does not matter.
        mask: Weights of the pixels >= 0, ``(B, 1, H, W)`` or ``(1, 1, H, W)``; a difference counts
            the product of its two pixels' weights.

    Returns:
        ``(B,)``, at least float32. An image of one row or column has no differences across it.

    Raises:
        ValueError: ``image`` is not four-dimensional, an option is unknown, or ``mask`` has another
            shape.
    """
    check_features(image)
    if mask is not None:
        check_mask(mask, image)
        mask = at_least_float32(mask)
    image = at_least_float32(image)
    across = _along(3, image, form, reduction, mask)
    return across + _along(2, image, form, reduction, mask)


def _along(
    axis: int, image: Tensor, form: VariationForm, reduction: VariationReduction, mask: Tensor | None
) -> Tensor:
    total, counted = variation_sums(image, axis, form=form, mask=mask)
    match reduction:
        case "sum":
            return total
        case "mean":
            return total / (counted if isinstance(counted, int) else torch.where(counted > 0, counted, 1))
    raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")


def variation_sums(
    image: Tensor, axis: int, *, form: VariationForm, mask: Tensor | None = None
) -> tuple[Tensor, Tensor | int]:
    """The sum of the differences along one axis, and how many there are.

    Args:
        image: ``(B, C, H, W)``, float32 or float64.
        axis: 2, between rows, or 3.
        form: As for :func:`total_variation`.
        mask: As for :func:`total_variation`.

    Returns:
        The sum ``(B,)``, and the number of differences, 1 where there are none; with a mask the sum of their
        weights, ``(B,)`` or ``(1,)``, which may be 0.
    """
    length = image.shape[axis] - 1
    if mask is None:
        total: Tensor = _PowerSum.apply(image, axis, form)  # type: ignore[no-untyped-call]
        return total, max(1, image.narrow(axis, 0, length)[0].numel())
    weights = mask.narrow(axis, 1, length) * mask.narrow(axis, 0, length)
    total = (_powers(_steps(image, axis), form) * weights).sum(dim=(1, 2, 3))
    return total, weights.sum(dim=(1, 2, 3)) * image.shape[1]


class _PowerSum(torch.autograd.Function):
    """Sum of the powers of the differences, whose gradient is laid into the image it belongs to.

    Autograd would give each of the two slices an image of its own.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, axis: int, form: VariationForm) -> Tensor:  # (B, C, H, W) to (B,)
        ctx.axis, ctx.form = axis, form
        ctx.save_for_backward(image)
        return _powers(_steps(image, axis), form).sum(dim=(1, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (image,) = ctx.saved_tensors
        steps = _steps(image, ctx.axis)
        slopes = steps.sgn_() if ctx.form == "l1" else steps.mul_(2)
        slopes.mul_(gradient[:, None, None, None])
        back = torch.zeros_like(image)
        back.narrow(ctx.axis, 1, slopes.shape[ctx.axis]).copy_(slopes)
        back.narrow(ctx.axis, 0, slopes.shape[ctx.axis]).sub_(slopes)
        return back, None, None


def _steps(image: Tensor, axis: int) -> Tensor:
    """From each position to the next."""
    length = image.shape[axis] - 1
    return image.narrow(axis, 1, length) - image.narrow(axis, 0, length)


def _powers(steps: Tensor, form: VariationForm) -> Tensor:
    match form:
        case "l1":
            return steps.abs()
        case "l2":
            return steps.square()
    raise ValueError(f"form must be 'l1' or 'l2', not {form!r}")
