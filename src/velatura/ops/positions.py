"""Positions of a feature map: how they are laid out, and how much each counts."""

from __future__ import annotations

from torch import Tensor

from velatura.ops.precision import at_least_float32

__all__ = ["check_features", "check_mask", "position_weights"]


def check_features(features: Tensor) -> None:
    """Raises ``ValueError`` unless ``features`` is ``(B, C, H, W)`` with at least one position."""
    if features.dim() != 4:
        raise ValueError(f"features must be (B, C, H, W), not {tuple(features.shape)}")
    if features.shape[-2:].numel() == 0:
        raise ValueError(f"features of shape {tuple(features.shape)} have no position to look at")


def check_mask(mask: Tensor, features: Tensor) -> None:
    """Raises ``ValueError`` unless ``mask`` weighs the positions of ``features``.

    Args:
        mask: ``(B, 1, H, W)`` or ``(1, 1, H, W)``.
        features: ``(B, C, H, W)``.
    """
    batch, _, height, width = features.shape
    if mask.shape not in ((batch, 1, height, width), (1, 1, height, width)):
        raise ValueError(
            f"a mask for features {tuple(features.shape)} must be ({batch}, 1, {height}, {width}), "
            f"not {tuple(mask.shape)}; resize it to the layer"
        )


def position_weights(mask: Tensor, features: Tensor) -> Tensor:
    """A mask scaled so that the weights of each sample sum to 1.

    Args:
        mask: Weights >= 0, ``(B, 1, H, W)`` or ``(1, 1, H, W)``.
        features: What is weighed, ``(B, C, H, W)``.

    Returns:
        In the shape of ``mask``, at least float32.

    Raises:
        ValueError: The shapes do not belong together, a weight is negative, or all are zero.
    """
    check_mask(mask, features)
    weights = at_least_float32(mask)
    total = weights.sum(dim=(2, 3), keepdim=True)
    if not bool((weights >= 0).all() & (total > 0).all()):
        raise ValueError(
            "a mask needs weights >= 0 that are not all zero; "
            "a region that vanishes at a deep layer must leave that layer out"
        )
    return weights / total
