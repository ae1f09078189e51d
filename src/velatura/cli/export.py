"""``velatura export``: a trained network as a graph for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velatura.cli.help import App
from velatura.core.errors import unknown_name
from velatura.jobs.export import CHECKED_SIZES, export_onnx
from velatura.jobs.models import load_model

__all__ = ["register"]

_FORMATS = ("onnx",)


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="The trained network: a name, a file, or the folder of its run."
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where the graph goes.")],
    format: Annotated[str, typer.Option(metavar="onnx", help="What is written.")] = "onnx",  # noqa: A002
    alpha: Annotated[
        float, typer.Option(metavar="A", help="How much of the style, from 0 to 1; part of the graph.")
    ] = 1.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the file's name.")] = False,
) -> None:
    """Write a trained network for other programs.

    velatura export adain-slim -o adain.onnx

    Pictures of any height and width go in and come out, as (1, 3, H, W) in [0, 1]. A network of many styles
    takes the weight of each as a second input; one for any style takes the painting. The file is written if
    onnxruntime gives the same picture at three sizes.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS)
    exported = export_onnx(load_model(model), Path(output), alpha=alpha)
    if not quiet:
        for name, what in exported.inputs.items():
            typer.echo(f"input {name}: {what}", err=True)
        sizes = ", ".join(f"{width}x{height}" for height, width in CHECKED_SIZES)
        typer.echo(
            f"checked with onnxruntime at {sizes}: no pixel differs by more than "
            f"{exported.largest_difference:.1g}",
            err=True,
        )
    typer.echo(output)


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(export)
