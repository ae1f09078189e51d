"""Total variation: how much neighbouring pixels differ."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from velatura.ops.positions import check_features, check_mask
from velatura.ops.precision import at_least_float32

__all__ = ["VariationForm", "VariationReduction", "total_variation"]

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
    length = image.shape[axis] - 1
    sizes = _powers(image.narrow(axis, 1, length) - image.narrow(axis, 0, length), form)
    counted: Tensor | int = max(1, sizes[0].numel())
    if mask is not None:
        weights = mask.narrow(axis, 1, length) * mask.narrow(axis, 0, length)
        sizes = sizes * weights
        total_weight = weights.sum(dim=(1, 2, 3)) * image.shape[1]
        counted = torch.where(total_weight > 0, total_weight, 1)
    match reduction:
        case "sum":
            return sizes.sum(dim=(1, 2, 3))
        case "mean":
            return sizes.sum(dim=(1, 2, 3)) / counted
    raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")


def _powers(steps: Tensor, form: VariationForm) -> Tensor:
    match form:
        case "l1":
            return steps.abs()
        case "l2":
            return steps.square()
    raise ValueError(f"form must be 'l1' or 'l2', not {form!r}")
