"""Tables in columns, as wide as the terminal, or as a file may be."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

import typer

__all__ = ["show_table"]

_FILE_WIDTH = 120


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under a header; the last column is wrapped, nothing is cut off.

    Args:
        header: Name of each column.
        rows: A text for each column.
    """
    # Imported late: most runs print no table.
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for name in header[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(header[-1], overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_WIDTH
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())
