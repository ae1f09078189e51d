"""What a setting is: a field of a frozen dataclass whose annotation says everything once.

.. code-block:: python

    @dataclass(frozen=True, kw_only=True)
    class Adam(ImageOptimizer):
        lr: Annotated[float, Gt(0), Setting("Step size", unit="of the pixel range [0, 1]")] = 0.03

Ranges are the marks of ``annotated_types`` (``Gt``, ``Ge``, ``Le``, ``Interval``), which pydantic
checks. ``Setting`` adds the help and the unit, from which the command line's help and the
documentation are drawn. ``PartOf`` marks a field that holds a registered part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from velatura.core.registry import Registry

__all__ = ["PartOf", "Setting", "to_mapping"]


@dataclass(frozen=True)
class Setting:
    """Help and unit of one field, carried in its ``Annotated`` type.

    Args:
        help: What the setting does, in a short sentence without its unit or range.
        unit: Its unit, where it has one: ``"pixels"``, ``"seconds"``.
    """

    help: str
    unit: str = ""


@dataclass(frozen=True)
class PartOf:
    """Marks a field that holds a part of ``registry``, named by ``{"name": ..., **settings}``."""

    registry: Registry[Any]


def to_mapping(config: Any) -> Any:
    """A config as plain dicts, lists and scalars, from which the same config can be built.

    A registered part becomes ``{"name": ..., **settings}``; tuples become lists.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {f.name: to_mapping(getattr(config, f.name)) for f in dataclasses.fields(config)}
        name = getattr(type(config), "name", None)
        return {"name": name, **fields} if isinstance(name, str) and "name" not in fields else fields
    if isinstance(config, dict):
        return {str(key): to_mapping(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_mapping(value) for value in config]
    return config
