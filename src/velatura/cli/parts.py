"""``velatura backbones | losses | metrics | networks | ...``: the parts and their settings."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from velatura.backbones import BackboneConfig, backbones, build_backbone
from velatura.cli.help import App
from velatura.cli.tables import show_table
from velatura.colors import colors
from velatura.core.config import to_mapping
from velatura.core.registry import Registry
from velatura.initializations import initializations
from velatura.jobs.schema import help_of
from velatura.losses import losses
from velatura.metrics import Metric, metrics
from velatura.networks import NetworkConfig, networks
from velatura.optimizers import optimizers

__all__ = ["register"]

_REGISTRIES: dict[str, Registry[Any]] = {
    "losses": losses,
    "metrics": metrics,
    "networks": networks,
    "optimizers": optimizers,
    "initializations": initializations,
    "colors": colors,
}


def _list_backbones(
    name: Annotated[
        str | None, typer.Argument(help="A backbone, to list its layers.", metavar="NAME")
    ] = None,
) -> None:
    """List the backbones, or the layers of one."""
    if name is None:
        for known in backbones:
            typer.echo(known)
        return
    backbone = build_backbone(BackboneConfig(name=name, weights="random"))
    show_table(
        ("layer", "channels", "stride", "receptive field", "smallest input"),
        ((layer, *map(str, dataclasses.astuple(shape))) for layer, shape in backbone.shapes.items()),
    )


def _lister(registry: Registry[Any]) -> Callable[[], None]:
    def show() -> None:
        for name in registry:
            part = registry[name]
            typer.echo(f"{name}: {(inspect.getdoc(part) or '').partition(chr(10))[0]}")
            for line in _about(part):
                typer.echo(f"    {line}")
            for field in dataclasses.fields(part):
                typer.echo(f"    {field.name} = {_default(field)}  {help_of(part, field.name)}")

    show.__doc__ = f"List the {registry.kind}s with their settings and defaults."
    return show


def _about(part: type) -> list[str]:
    """What a part says of itself besides its settings."""
    if issubclass(part, NetworkConfig):
        knows = {"one": "one style, trained in", "many": "many styles, trained in"}
        return [knows.get(part.styles, "any style, from its picture")]
    if not issubclass(part, Metric):
        return []
    better = {"lower": "lower is better", "higher": "higher is better", "one": "best near 1"}
    needs = [] if part.needs is None else [f"needs {part.needs} (the extra eval)"]
    return [f"{better[part.direction]}; {part.unit}", f"source: {part.source}", *needs]


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return json.dumps(to_mapping(field.default))
    if field.default_factory is not dataclasses.MISSING:
        return json.dumps(to_mapping(field.default_factory()))
    return "(required)"


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command that lists the parts called ``name``, under the heading ``panel`` of the help."""
    command = _list_backbones if name == "backbones" else _lister(_REGISTRIES[name])
    app.command(name, rich_help_panel=panel)(command)
