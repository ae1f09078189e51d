"""``velatura sweep``: a job with some of its settings varied, as a table, a sheet and plots."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from velatura.cli.help import App
from velatura.cli.progress import cancelled_by_interrupt, duration
from velatura.core.errors import ConfigError
from velatura.core.memory import importing
from velatura.jobs.processes import begin_server, usual_processes

__all__ = ["register"]

_MOST_LINES = 60
"""Of a table that is printed; a longer one is in its file."""
_SWEEP, _RUN, _SEARCH = "The sweep", "The run", "A search in the place of the grid"


def _option(panel: str, metavar: str | None, help: str, *names: str) -> Any:  # noqa: A002
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel)


def sweep(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", help="A YAML file, or the name of a sweep that ships; see --list."),
    ] = None,
    output: Annotated[
        str | None,
        _option(
            _RUN, "FOLDER", "Where the results go; call it again with the same to go on", "--output", "-o"
        ),
    ] = None,
    list_all: Annotated[bool, _option(_SWEEP, None, "List the sweeps that ship.", "--list")] = False,
    reduced: Annotated[
        bool,
        _option(_SWEEP, None, "The reduced form: small, few steps, with networks at hand.", "--reduced"),
    ] = False,
    settings: Annotated[
        list[str] | None,
        _option(
            _SWEEP, "KEY=VALUE", "Lay a setting over the base, such as size=256 or optimizer.lr=0.05", "--set"
        ),
    ] = None,
    content: Annotated[
        str | None,
        _option(_SWEEP, "FILE|FOLDER|GLOB", "Photographs in the place of the sweep's", "--content"),
    ] = None,
    style: Annotated[
        str | None, _option(_SWEEP, "FILE|FOLDER|GLOB", "Paintings in the place of the sweep's", "--style")
    ] = None,
    reference: Annotated[
        str | None,
        _option(
            _SWEEP, "FOLDER", "Pictures that rmse, psnr and ssim compare with, called photo+painting or photo"
        ),
    ] = None,
    jobs: Annotated[
        int | None, _option(_RUN, "N", "Processes, one thread each; unset: one a core", "--jobs")
    ] = None,
    yes: Annotated[bool, _option(_RUN, None, "Run however many cells there are.", "--yes")] = False,
    quiet: Annotated[bool, _option(_RUN, None, "No progress.", "--quiet", "-q")] = False,
    search: Annotated[
        int | None, _option(_SEARCH, "N", "Try so many points of the axes, chosen by Optuna", "--search")
    ] = None,
    objective: Annotated[
        str | None,
        _option(
            _SEARCH, "METRIC", "The one of the sweep's metrics that is to be best on average", "--objective"
        ),
    ] = None,
) -> int:
    """Vary settings of a job, and lay the results side by side.

    velatura sweep saric2020-style-weight -o weights/ --reduced

    Prints the means, and writes cells.csv, table.md, sheet.png, metrics.png and losses.png. What the folder
    has already is not made again: call it once more to go on after an interruption or a failure.
    """
    if list_all:
        return _list()
    if spec is None or output is None:
        raise ConfigError(
            "expected a sweep and a folder: velatura sweep SPEC -o FOLDER; --list names those that ship"
        )
    _begin_processes(Path(output), jobs)
    with importing():
        from velatura.jobs.schema import build, parse_assignment
        from velatura.jobs.sweep import SearchJob, SweepJob, load_sweep, run_search, run_sweep

    sweep = load_sweep(
        spec,
        reduced=reduced,
        changes=dict(parse_assignment(text) for text in settings or ()),
        contents=content,
        styles=style,
        reference=reference,
    )
    if (search is None) != (objective is None):
        raise ConfigError("--search N and --objective METRIC go together; give both or neither")
    if search is not None:
        words = ("--search", str(search), "--objective", str(objective))
        sweep = replace(sweep, command=(*sweep.command, *words))
    job = build(SweepJob, {"sweep": sweep, "folder": output, "jobs": jobs, "many": yes})
    with cancelled_by_interrupt() as cancelled, _progress(quiet=quiet) as on_cell:
        if search is None:
            result = run_sweep(job, on_cell=on_cell, cancelled=cancelled)
        else:
            searching = build(SearchJob, {"job": job, "trials": search, "objective": objective})
            result = run_search(searching, on_cell=on_cell, cancelled=cancelled)
    if not quiet:
        _print_table(result.files["table"])
    return _said(result)


def _print_table(path: Path) -> None:
    """The means, as they stand in the file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    if len(lines) <= _MOST_LINES:
        typer.echo("\n".join([*lines, ""]))


def _begin_processes(folder: Path, jobs: int | None) -> None:
    """Has processes begin while this one imports, where cells are likely to be made in several."""
    # The table stands at the end: with it, a sweep is most likely to be finished.
    if (jobs or usual_processes()) > 1 and not (folder / "table.md").exists():
        begin_server("velatura.cli")


def _list() -> int:
    from velatura.sweeps import sweep_names, sweep_title

    width = max(map(len, sweep_names()))
    for name in sweep_names():
        typer.echo(f"{name:{width}}  {sweep_title(name)}")
    return 0


def _said(result: Any) -> int:
    for note in result.notes:
        typer.echo(f"velatura: {note}", err=True)
    for name in ("table", "sheet", "csv", "metrics", "losses", "search"):
        if name in result.files:
            typer.echo(result.files[name])
    total, failed = len(result.measured), len(result.failed)
    if result.interrupted:
        typer.echo(f"velatura: interrupted with {total} cells; call it again to go on", err=True)
        return 130
    if failed:
        typer.echo(f"velatura: {failed} of {total} cells failed; the table says why", err=True)
    return 1 if failed else 0


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """A report of every cell, drawn as the terminal allows."""
    if quiet:
        yield _failures_only
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(unit="cell", dynamic_ncols=True, leave=False) as bar:
            yield lambda progress: _draw(bar, progress)
    else:
        yield _line


def _draw(bar: Any, progress: Any) -> None:
    if progress.error is not None:
        bar.write(_failure(progress), file=sys.stderr)
    bar.total = progress.total
    bar.set_postfix_str(f"{progress.cell}, about {duration(progress.seconds_left)} left", refresh=False)
    bar.update(progress.done - bar.n)


def _failures_only(progress: Any) -> None:
    if progress.error is not None:
        typer.echo(_failure(progress), err=True)


def _failure(progress: Any) -> str:
    return f"velatura: {progress.cell}: {progress.error}"


def _line(progress: Any) -> None:
    _failures_only(progress)
    if progress.error is None:
        left = f", about {duration(progress.seconds_left)} left" if progress.done < progress.total else ""
        typer.echo(
            f"{progress.done}/{progress.total} {progress.cell}: {progress.seconds:.1f} s{left}", err=True
        )


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(sweep)
