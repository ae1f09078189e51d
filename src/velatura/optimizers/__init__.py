"""Optimisers of a canvas: how its pixels follow the gradient.

Each is a config that builds a :class:`CanvasOptimizer`, which has what painting needs: its state
follows the canvas to another size, is saved and restored to the bit, and is forgotten after a step
that led nowhere.
"""

from velatura.optimizers.base import CanvasOptimizer, Closure, ImageOptimizer, optimizers

__all__ = ["CanvasOptimizer", "Closure", "ImageOptimizer", "optimizers"]
