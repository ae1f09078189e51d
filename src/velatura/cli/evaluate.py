"""``velatura evaluate``: what the metrics say of one picture or many."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from velatura.backbones import BackboneConfig
from velatura.cli.batch import contents_of
from velatura.cli.help import App
from velatura.core.errors import ConfigError
from velatura.jobs.evaluate import Comparison, Evaluated, EvaluateJob, comparisons, run_evaluate
from velatura.jobs.judging import Evaluation, Networks, evaluation, network_named, without_absent
from velatura.jobs.schema import build, help_of, parse_assignment

__all__ = ["register"]

_PICTURES, _METRICS, _FILES = "Pictures", "Metrics", "Files"
_SIGNS = {"lower": "↓", "higher": "↑", "one": "→1"}
_WORDS = {"lower": "(low)", "higher": "(high)", "one": "(1)"}
_FILE_WIDTH = 120


def _option(panel: str, metavar: str, help: str, *names: str) -> Any:  # noqa: A002
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel)


def evaluate(
    outputs: Annotated[
        list[str],
        typer.Argument(metavar="OUT", help="The pictures to judge: files, folders or quoted globs."),
    ],
    content: Annotated[
        str,
        _option(_PICTURES, "FILE|FOLDER", "The photograph; of a folder, each output's namesake", "--content"),
    ],
    style: Annotated[
        str,
        _option(_PICTURES, "FILE|FOLDER", "The painting; of a folder, each output's namesake", "--style"),
    ],
    reference: Annotated[
        str | None,
        _option(
            _PICTURES,
            "FILE|FOLDER",
            "What ssim, psnr and rmse compare with in the photograph's place",
            "--reference",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        _option(_METRICS, "NAME", "A metric, or several; unset: all that can be had; see: velatura metrics"),
    ] = None,
    backbone: Annotated[
        str | None,
        _option(_METRICS, "NAME", "Network that judges; see: velatura backbones; unset: the one that ships"),
    ] = None,
    weights: Annotated[str | None, _option(_METRICS, "NAME|FILE", "Its weights; unset: its own")] = None,
    judge: Annotated[
        list[str] | None,
        _option(_METRICS, "METRIC=NAME[:WEIGHTS]", "Another network for one metric, such as cfsd=vgg19"),
    ] = None,
    size: Annotated[int | None, _option(_METRICS, "PIXELS", help_of(Evaluation, "size"))] = None,
    settings: Annotated[
        list[str] | None,
        _option(_METRICS, "KEY=VALUE", "Any setting of a metric, such as cfsd.size=512", "--set"),
    ] = None,
    json_file: Annotated[str | None, _option(_FILES, "FILE", help_of(EvaluateJob, "json"), "--json")] = None,
    csv_file: Annotated[str | None, _option(_FILES, "FILE", help_of(EvaluateJob, "csv"), "--csv")] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_FILES)
    ] = False,
) -> None:
    """Judge pictures beside their photograph and their painting.

    velatura evaluate --content photo.jpg --style painting.jpg out.png

    An arrow says whether low values are better, high ones, or those near 1. The judge should be a
    network that the pictures were not made with.
    """
    changes = dict(parse_assignment(text) for text in settings or ())
    how = evaluation(
        metric,
        judge=_judge(backbone, weights),
        judges=dict(_judge_of_one(text) for text in judge or ()),
        changes=changes,
        **({} if size is None else {"size": size}),
    )
    pairs = comparisons(
        [path for output in outputs for path in contents_of(output)[0]],
        content=_source(content),
        style=_source(style),
        reference=None if reference is None else _source(reference),
    )
    networks = Networks()
    how, left_out = without_absent(how, networks) if metric is None else (how, ())
    job = EvaluateJob(comparisons=pairs, evaluation=how, json=json_file, csv=csv_file)
    say = _silent if quiet or len(pairs) == 1 else _progress(len(pairs))
    found = run_evaluate(job, networks=networks, on_picture=say)
    for note in (*left_out, *found.notes):
        typer.echo(f"velatura: {note}", err=True)
    for line in _table(job, found):
        typer.echo(line)


def _source(text: str) -> Path | list[Path]:
    paths, may_be_many = contents_of(text)
    return paths if may_be_many else paths[0]


def _judge(backbone: str | None, weights: str | None) -> BackboneConfig | None:
    if backbone is None and weights is None:
        return None
    given = {"name": backbone, "weights": weights}
    return build(BackboneConfig, {field: value for field, value in given.items() if value is not None})


def _judge_of_one(text: str) -> tuple[str, BackboneConfig]:
    metric, equals, network = text.partition("=")
    if not equals or not metric or not network:
        raise ConfigError(f"--judge: expected METRIC=NAME[:WEIGHTS], such as cfsd=vgg19, not {text!r}")
    return metric, network_named(network)


def _silent(number: int, comparison: Comparison) -> None:
    pass


def _progress(total: int) -> Any:
    return lambda number, comparison: typer.echo(f"{number}/{total} {comparison.output}", err=True)


def _table(job: EvaluateJob, found: Evaluated) -> Iterator[str]:
    """A line a picture and one for the mean; columns that find no room stand below, rows repeated."""
    signs = _SIGNS if _can_be_written("".join(_SIGNS.values())) else _WORDS
    titles = [f"{name} {signs[judged.metric.direction]}" for name, judged in job.evaluation.metrics.items()]
    names = _short_names([comparison.output for comparison in job.comparisons])
    rows = [*found.values] if len(names) == 1 else [*found.values, found.mean]
    names = names if len(names) == 1 else [*names, "mean"]
    columns = [
        [title, *(_number(row[name]) for row in rows)]
        for title, name in zip(titles, job.evaluation.metrics, strict=True)
    ]
    first = ["picture", *names]
    for number, block in enumerate(_blocks(columns, room=_width() - max(map(len, first)))):
        if number:
            yield ""
        for line, name in enumerate(first):
            cells = (f"  {column[line]:>{max(map(len, column))}}" for column in block)
            yield f"{name:{max(map(len, first))}}{''.join(cells)}"


def _blocks(columns: Sequence[Sequence[str]], *, room: int) -> Iterator[list[Sequence[str]]]:
    """Columns in groups that are as wide as ``room`` at most, or one column."""
    block: list[Sequence[str]] = []
    used = 0
    for column in columns:
        width = 2 + max(map(len, column))
        if block and used + width > room:
            yield block
            block, used = [], 0
        block.append(column)
        used += width
    yield block


def _short_names(paths: Sequence[str]) -> list[str]:
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4g}"


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_WIDTH


def _can_be_written(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(evaluate)
