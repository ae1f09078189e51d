"""``velatura weights``: which weights there are, which are here, and how to get the others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from velatura.cli.help import App

if TYPE_CHECKING:
    from tqdm import tqdm

    from velatura.weights import Weights

__all__ = ["app", "register"]

app = App(
    name="weights",
    help="The networks' weights: which there are, which are here, and how to get the others.",
    no_args_is_help=True,
)

_NAME_HELP = "Name of the weights, as 'velatura weights list' shows it."


@app.command("list")
def list_() -> None:
    """Every set of weights: its size, its licence, and whether it is here."""
    from velatura.weights.catalogue import catalogue
    from velatura.weights.places import find, kept_names

    rows = [("NAME", "FETCH MiB", "KEPT MiB", "LICENCE", "STATE")]
    for name in (*catalogue(), *kept_names()):
        entry, found = catalogue().get(name), find(name)
        kept = found.path.stat().st_size / 2**20 if found else entry.kept_mib if entry else 0.0
        moved = (entry.kept_mib if entry.safetensors_url else entry.file_mib) if entry else 0.0
        by_hand = entry is not None and bool(entry.page)
        state: str = found.place if found else "not here, by hand" if by_hand else "not here"
        rows.append((name, _mib(moved), _mib(kept), entry.licence if entry else "", state))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, moved_mib, kept_mib, licence, state in rows:
        line = (
            f"{name:<{widths[0]}}  {moved_mib:>{widths[1]}}  {kept_mib:>{widths[2]}}  {licence:<{widths[3]}}"
        )
        typer.echo(f"{line}  {state}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help=_NAME_HELP)],
    folder: Annotated[
        Path | None, typer.Option(help="Where to keep the file; the cache unless given.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the file's path.")] = False,
) -> None:
    """Fetch published weights and print where they are.

    Only what is needed is fetched where the server allows it, a cut download goes on where it stopped,
    and the published file is checked against its hash.
    """
    from velatura.weights.catalogue import entry_named
    from velatura.weights.fetch import fetch as fetch_entry
    from velatura.weights.places import find

    entry = entry_named(name)
    found = find(name) if folder is None else None
    if found is not None:
        typer.echo(found.path)
        return
    meter = _Meter(name)
    try:
        path = fetch_entry(
            entry,
            folder=folder,
            on_progress=None if quiet else meter.show,
            on_note=None if quiet else meter.note,
        )
    finally:
        meter.close()
    typer.echo(path)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A weights file, as safetensors or as PyTorch saves it.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="What to call the weights from now on.")],
    preprocessing: Annotated[
        str | None,
        typer.Option(
            metavar="torchvision|caffe",
            help="What the network was trained on, for a file that does not say: RGB in [0, 1] with "
            "ImageNet's mean and deviation, or BGR in [0, 255] minus the mean.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Take a weights file into the cache under a name, and say what was recognised in it."""
    from velatura.core.errors import WeightsError, unknown_name
    from velatura.weights.conventions import PREPROCESSINGS
    from velatura.weights.importing import import_weights

    known = {word: word for word in PREPROCESSINGS}
    if preprocessing is not None and preprocessing not in known:
        raise unknown_name("preprocessing", preprocessing, known)
    try:
        weights = import_weights(file, name, preprocessing=known[preprocessing] if preprocessing else None)
    except WeightsError as error:
        raise WeightsError(_as_options(str(error))) from error
    typer.echo(_description(weights))


@app.command()
def path(name: Annotated[str, typer.Argument(help=_NAME_HELP)]) -> None:
    """Print the file of weights that are here."""
    from velatura.weights import resolve

    typer.echo(resolve(name, fetch=False))


def _on_terminal() -> bool:
    return sys.stderr.isatty()


def _mib(size: float) -> str:
    return f"{size:.1f}" if size else "-"


def _as_options(text: str) -> str:
    """What the library says of its arguments, in the words of the command line."""
    return text.replace("preprocessing=", "--preprocessing")


def _description(weights: Weights) -> str:
    architecture = weights.architecture
    by = _as_options(weights.convention_from)
    left_out = ", ".join(_counted(what, names) for what, names in weights.left_out.items())
    return "\n".join(
        (
            f"source         {weights.metadata.get('velatura.source', weights.source)}, {weights.style}",
            f"network        {architecture}{'' if architecture.complete else ', not all of it'}",
            f"widths         {' '.join(map(str, architecture.widths))}",
            f"deepest layer  {architecture.deepest}",
            f"preprocessing  {weights.preprocessing} (by {by})",
            f"padding        {weights.padding}",
            f"pooling        {weights.pooling}",
            f"licence        {weights.licence or 'not stated'}",
            f"taken off      {', '.join(weights.prefixes) or 'nothing'}",
            f"left out       {left_out or 'nothing'}",
            f"kept as        {weights.path}",
        )
    )


def _counted(what: str, names: tuple[str, ...]) -> str:
    return f"{what} ({len(names)})" if names else what


class _Meter:
    """Progress of a download on standard error: a bar on a terminal, a line per tenth elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[Any] | None = None
        self._tenths = -1

    def note(self, text: str) -> None:
        self.close()
        typer.echo(text, err=True)

    def show(self, done: int, total: int | None) -> None:
        if _on_terminal():
            self._draw(done, total)
        elif total is not None and 10 * done // total > self._tenths:
            self._tenths = 10 * done // total
            typer.echo(f"{self._name}: {done / 2**20:.1f} of {total / 2**20:.1f} MiB", err=True)

    def _draw(self, done: int, total: int | None) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                desc=self._name, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024
            )
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Ends the bar, so that what is printed next begins on its own line."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._tenths = -1


def register(root: App, name: str, *, panel: str) -> None:
    """Adds the commands to ``root``, under the heading ``panel`` of its help."""
    root.add_typer(app, name=name, rich_help_panel=panel)
