"""Velatura: neural style transfer on PyTorch.

.. code-block:: python

    import velatura

    velatura.stylize("photo.jpg", "painting.jpg").save("out.png")

Names are looked up when they are first used, so that the import itself needs no torch. Each kind
of part has its registry in a module of its name: ``velatura.losses.losses["gram"]``.
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
    from velatura import backbones, colors, initializations, losses, metrics, networks, optimizers
    from velatura.api import (
        apply,
        evaluate,
        load_image,
        load_model,
        reconstruct,
        save_image,
        stylize,
        texture,
    )
    from velatura.imaging import Picture
    from velatura.jobs.regions import Region
    from velatura.studies import analyse_survey, make_survey, report, sweep, train

__all__ = [
    "Cancelled",
    "ConfigError",
    "ImageError",
    "OutputError",
    "Picture",
    "Region",
    "VelaturaError",
    "WeightsError",
    "__version__",
    "analyse_survey",
    "apply",
    "backbones",
    "colors",
    "evaluate",
    "initializations",
    "load_image",
    "load_model",
    "losses",
    "make_survey",
    "metrics",
    "networks",
    "optimizers",
    "reconstruct",
    "report",
    "save_image",
    "stylize",
    "sweep",
    "texture",
    "train",
]

_HOMES = {
    "Picture": "velatura.imaging",
    "Region": "velatura.jobs.regions",
    "analyse_survey": "velatura.studies",
    "apply": "velatura.api",
    "evaluate": "velatura.api",
    "load_image": "velatura.api",
    "load_model": "velatura.api",
    "make_survey": "velatura.studies",
    "reconstruct": "velatura.api",
    "report": "velatura.studies",
    "save_image": "velatura.api",
    "stylize": "velatura.api",
    "sweep": "velatura.studies",
    "texture": "velatura.api",
    "train": "velatura.studies",
}
_PARTS = ("backbones", "colors", "initializations", "losses", "metrics", "networks", "optimizers")


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        # Importing a submodule makes it an attribute of this module, so it can be nothing else here.
        return importlib.import_module(f"velatura.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'velatura' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
