"""Velatura: neural style transfer on PyTorch.

.. code-block:: python

    import velatura

    velatura.stylize("photo.jpg", "painting.jpg").save("out.png")

Names are looked up when they are first used, so that the import itself needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from velatura._version import __version__
from velatura.core.errors import (
    Cancelled,
    ConfigError,
    ImageError,
    OutputError,
    VelaturaError,
    WeightsError,
)

if TYPE_CHECKING:
    from velatura.api import load_image, save_image, stylize
    from velatura.backbones import backbones
    from velatura.imaging import Picture
    from velatura.initializations import initializations
    from velatura.losses import losses
    from velatura.optimizers import optimizers

__all__ = [
    "Cancelled",
    "ConfigError",
    "ImageError",
    "OutputError",
    "Picture",
    "VelaturaError",
    "WeightsError",
    "__version__",
    "backbones",
    "initializations",
    "load_image",
    "losses",
    "optimizers",
    "save_image",
    "stylize",
]

_HOMES = {
    "Picture": "velatura.imaging",
    "backbones": "velatura.backbones",
    "initializations": "velatura.initializations",
    "load_image": "velatura.api",
    "losses": "velatura.losses",
    "optimizers": "velatura.optimizers",
    "save_image": "velatura.api",
    "stylize": "velatura.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'velatura' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
