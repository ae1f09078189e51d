"""Backbones: frozen networks whose feature maps the losses compare."""

from velatura.backbones.base import (
    Backbone,
    Builder,
    LayerShape,
    Padding,
    Pool,
    Pooling,
    Preprocessing,
    backbones,
)
from velatura.backbones.build import BackboneConfig, build_backbone
from velatura.backbones.resnet import ResNet
from velatura.backbones.squeezenet import SqueezeNet
from velatura.backbones.vgg import VGG

__all__ = [
    "VGG",
    "Backbone",
    "BackboneConfig",
    "Builder",
    "LayerShape",
    "Padding",
    "Pool",
    "Pooling",
    "Preprocessing",
    "ResNet",
    "SqueezeNet",
    "backbones",
    "build_backbone",
]
