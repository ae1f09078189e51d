"""Backbones: frozen networks whose feature maps the losses compare."""

from velatura.backbones.base import (
    Backbone,
    LayerShape,
    Padding,
    Pool,
    Pooling,
    Preprocessing,
    backbones,
)
from velatura.backbones.vgg import VGG

__all__ = [
    "VGG",
    "Backbone",
    "LayerShape",
    "Padding",
    "Pool",
    "Pooling",
    "Preprocessing",
    "backbones",
]
