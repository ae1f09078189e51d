"""``velatura presets``: what there is, and where each value comes from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from velatura.cli.help import App
from velatura.cli.tables import show_table
from velatura.presets import load_preset, preset_names

__all__ = ["register"]

app = App(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def list_presets(context: typer.Context) -> None:
    """List the presets, a line each."""
    if context.invoked_subcommand is None:
        width = max(map(len, preset_names()))
        for name in preset_names():
            typer.echo(f"{name:{width}}  {load_preset(name).title}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name of the preset.", metavar="NAME")]) -> None:
    """Show every value of a preset with its source."""
    preset = load_preset(name)
    typer.echo(f"{preset.name}: {preset.title}\n{preset.source}\n")
    show_table(
        ("setting", "value", "source"),
        (
            (path, value if isinstance(value, str) else json.dumps(value), source)
            for path, value, source in preset.rows()
        ),
    )


def register(root: App, name: str, *, panel: str) -> None:
    """Adds the command to ``root``, under the heading ``panel`` of its help."""
    root.add_typer(app, name=name, rich_help_panel=panel)
