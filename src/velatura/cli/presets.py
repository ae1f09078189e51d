"""``velatura presets``: what there is, and where each value comes from."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from velatura.presets import load_preset, preset_names

__all__ = ["register"]

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def list_presets(context: typer.Context) -> None:
    """List the presets, a line each."""
    if context.invoked_subcommand is None:
        width = max(map(len, preset_names()))
        for name in preset_names():
            typer.echo(f"{name:{width}}  {load_preset(name).title}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the preset.")]) -> None:
    """Show every value of a preset with its source."""
    preset = load_preset(name)
    typer.echo(f"{preset.name}: {preset.title}\n{preset.source}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, folding in (("setting", "fold"), ("value", "fold"), ("source", "fold")):
        table.add_column(column, overflow=folding)  # type: ignore[arg-type]
    for path, value, source in preset.rows():
        table.add_row(path, value if isinstance(value, str) else json.dumps(value), source)
    Console(soft_wrap=False).print(table)


def register(root: typer.Typer, name: str, **display: str) -> None:
    """Adds the command to ``root``."""
    root.add_typer(app, name=name, **display)  # type: ignore[arg-type]
