"""``velatura samples``: the project's own pictures, drawn by code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velatura.cli.help import App
from velatura.imaging.samples import write_samples

__all__ = ["register"]


def samples(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.", metavar="FOLDER")],
    size: Annotated[int, typer.Option(help="Longer edge (pixels).")] = 768,
    seed: Annotated[int, typer.Option(help="Another seed, other pictures.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace other files of the same names.")
    ] = False,
) -> None:
    """Draw sample photographs and paintings to try things on.

    They are made by Velatura's own code, free to use for anything.
    """
    for path in write_samples(folder, size=size, seed=seed, overwrite=overwrite):
        typer.echo(path)


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(samples)
