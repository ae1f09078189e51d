"""``velatura bench``: this machine's figures, as ratios where ratios can be had."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import Annotated

import torch
import typer

from velatura.cli.help import App
from velatura.jobs.bench import figures

__all__ = ["register"]


def bench(
    size: Annotated[int, typer.Option(min=64, help="Edge of the pictures (pixels).")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each step is measured.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Measure this machine: steps beside a plain loop, and whole commands.

    Quote the ratios: the times of a shared machine drift.
    """
    if not as_json:
        name = torch.cpu.get_capabilities().get("cpu_name", platform.machine())
        typer.echo(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for figure in figures(size=size, repeats=repeats):
        if as_json:
            typer.echo(json.dumps(asdict(figure)))
        else:
            beside = f"  ({figure.beside})" if figure.beside else ""
            typer.echo(f"{figure.what:58} {figure.value:9.4g} {figure.unit}{beside}")


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(bench)
