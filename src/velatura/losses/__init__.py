"""Losses: distances between feature maps, and the smoothness of an image."""

from velatura.losses.base import Loss, Target, losses

__all__ = ["Loss", "Target", "losses"]
