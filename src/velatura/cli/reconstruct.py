"""``velatura reconstruct``: what a layer knows of a picture, alone or as layers by networks."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from velatura.cli.help import App
from velatura.cli.one import run_one
from velatura.cli.options import given, merged, numbers, option
from velatura.cli.progress import cancelled_by_interrupt, progress_on_stderr
from velatura.core.errors import ConfigError
from velatura.engine.deepdream import DeepDream
from velatura.jobs.dream import DEFAULT_DREAM, Dreaming, DreamJob, dreaming
from velatura.jobs.grid import GridJob, network_weights, run_grid
from velatura.jobs.reconstruct import DEFAULT_PRESET, ReconstructJob, optimization_of, reconstruction
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build, help_of, parse_assignment
from velatura.jobs.stylize import Stylization

__all__ = ["register"]

_METHOD, _RUN, _FILES, _GRID = "The method", "The run", "Files", "Layers by networks"

app = App(
    help="Show what a layer of a network knows of a picture: its content or its style from noise, or what "
    "it would like to see in it."
)


_change = partial(option, panel=_METHOD)


def _of(config: type, field: str, metavar: str | None, panel: str, *names: str) -> Any:
    option = names or (f"--{field.replace('_', '-')}",)
    return typer.Option(*option, metavar=metavar, help=help_of(config, field), rich_help_panel=panel)


_Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The picture.")]
_Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="FILE|FOLDER", help="Where it goes; a grid goes into a folder."),
]
_Layer = Annotated[
    str | None, _change("LAYER", "Layer to look at, such as relu4_1; see: velatura backbones NAME")
]
_Layers = Annotated[
    str | None,
    typer.Option(metavar="L,L,...", help="Several layers, one a row.", rich_help_panel=_GRID),
]
_Networks = Annotated[
    str | None,
    typer.Option(
        metavar="W,W,...",
        help="Weights of the network, a column each: random, standard, FILE, or NAME=FILE to name it.",
        rich_help_panel=_GRID,
    ),
]
_Backbone = Annotated[str | None, _change("NAME", "Network; see: velatura backbones")]
_Weights = Annotated[
    str | None, _change("NAME|FILE", "Its weights; native: its own; random: drawn by the seed")
]
_Pooling = Annotated[str | None, _change("KIND", "Its pooling: max, average, l2; native: as trained")]
_Settings = Annotated[
    list[str] | None,
    _change("KEY=VALUE", "Any other setting, such as optimizer.lr=0.05", "--set"),
]
_Size = Annotated[int | None, _of(Dreaming, "size", "PIXELS", _METHOD)]
_Seed = Annotated[int | None, _of(Dreaming, "seed", "N", _RUN)]
_Device = Annotated[str | None, _of(Dreaming, "device", "NAME", _RUN)]
_Precision = Annotated[str | None, _of(Dreaming, "precision", "NAME", _RUN)]
_Threads = Annotated[int | None, _of(Dreaming, "threads", "N", _RUN)]
_Record = Annotated[str | None, _of(Saving, "record", "FILE", _FILES)]
_History = Annotated[str | None, _of(Saving, "history", "FILE", _FILES)]
_Plot = Annotated[str | None, _of(Saving, "plot", "FILE", _FILES)]
_SaveEvery = Annotated[int | None, _of(Saving, "save_every", "STEPS", _FILES)]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)]


def _reconstruct(
    context: typer.Context,
    image: _Image,
    output: _Output,
    layer: _Layer = None,
    preset: Annotated[
        str,
        _change(
            "NAME",
            "Named settings with a term of content or of style, such as those that end in -reconstruction; "
            "see: velatura presets",
        ),
    ] = DEFAULT_PRESET,
    backbone: _Backbone = None,
    weights: _Weights = None,
    pooling: _Pooling = None,
    optimizer: Annotated[
        str | None, _change("NAME", "How the canvas moves; see: velatura optimizers")
    ] = None,
    steps: Annotated[
        str | None, _change("N,N,...", "Steps; several: at each scale from the smallest up")
    ] = None,
    initialization: Annotated[
        str | None, _change("NAME", "Noise to start from; see: velatura initializations", "--init")
    ] = None,
    size: _Size = None,
    settings: _Settings = None,
    layers: _Layers = None,
    networks: _Networks = None,
    seed: _Seed = None,
    device: _Device = None,
    precision: _Precision = None,
    threads: _Threads = None,
    record: _Record = None,
    history: _History = None,
    plot: _Plot = None,
    save_every: _SaveEvery = None,
    checkpoint: Annotated[str | None, _of(Saving, "checkpoint", "FILE", _FILES)] = None,
    resume: Annotated[str | None, _of(Saving, "resume", "FILE", _FILES)] = None,
    quiet: _Quiet = False,
) -> int:
    kind: Literal["content", "style"] = "content" if context.info_name == "content" else "style"
    changes = {
        "backbone.name": backbone,
        "backbone.weights": weights,
        "backbone.pooling": pooling,
        "optimizer.name": optimizer,
        "initialization.name": initialization,
        "pyramid.steps": numbers("steps", steps),
    }
    rows = _rows(layer, layers)
    how = reconstruction(
        kind,
        rows[0],
        preset=preset,
        changes=merged(given(changes), dict(parse_assignment(text) for text in settings or ())),
        **given({"size": size, "seed": seed, "device": device, "precision": precision, "threads": threads}),
    )
    saving = given({"record": record, "history": history, "plot": plot, "save_every": save_every})
    saving |= given({"checkpoint": checkpoint, "resume": resume})
    if layers is None and networks is None:
        return _run_one(image, output, how, saving, quiet=quiet)
    return _run_many(kind, image, output, rows, networks, how, saving, quiet=quiet)


def _deepdream(
    image: _Image,
    output: _Output,
    layer: _Layer = None,
    preset: Annotated[
        str, _change("NAME", "Named settings of a dream; see: velatura presets")
    ] = DEFAULT_DREAM,
    backbone: _Backbone = None,
    weights: _Weights = None,
    pooling: _Pooling = None,
    channel: Annotated[int | None, _of(DeepDream, "channel", "N", _METHOD)] = None,
    steps: Annotated[int | None, _of(DeepDream, "steps", "N", _METHOD)] = None,
    step_size: Annotated[float | None, _of(DeepDream, "step_size", "SHARE", _METHOD)] = None,
    normalize: Annotated[str | None, _of(DeepDream, "normalize", "NAME", _METHOD)] = None,
    jitter: Annotated[int | None, _of(DeepDream, "jitter", "PIXELS", _METHOD)] = None,
    octaves: Annotated[int | None, _of(DeepDream, "octaves", "N", _METHOD)] = None,
    octave_scale: Annotated[float | None, _of(DeepDream, "octave_scale", "FACTOR", _METHOD)] = None,
    size: _Size = None,
    settings: _Settings = None,
    layers: _Layers = None,
    networks: _Networks = None,
    seed: _Seed = None,
    device: _Device = None,
    precision: _Precision = None,
    threads: _Threads = None,
    record: _Record = None,
    history: _History = None,
    plot: _Plot = None,
    save_every: _SaveEvery = None,
    quiet: _Quiet = False,
) -> int:
    """Make more of what a layer sees in a picture (Mordvintsev et al. 2015).

    velatura reconstruct deepdream photo.jpg -o dream.png --layer relu4_2
    """
    changes = {
        "backbone.name": backbone,
        "backbone.weights": weights,
        "backbone.pooling": pooling,
        "channel": channel,
        "steps": steps,
        "step_size": step_size,
        "normalize": normalize,
        "jitter": jitter,
        "octaves": octaves,
        "octave_scale": octave_scale,
    }
    rows = _rows(layer, layers)
    how = dreaming(
        rows[0],
        preset=preset,
        changes=merged(given(changes), dict(parse_assignment(text) for text in settings or ())),
        **given({"size": size, "seed": seed, "device": device, "precision": precision, "threads": threads}),
    )
    saving = given({"record": record, "history": history, "plot": plot, "save_every": save_every})
    if layers is None and networks is None:
        return _run_one(image, output, how, saving, quiet=quiet)
    return _run_many("deepdream", image, output, rows, networks, how, saving, quiet=quiet)


def _rows(layer: str | None, layers: str | None) -> tuple[str, ...]:
    if (layer is None) == (layers is None):
        raise ConfigError("name the layer to look at with --layer, or several with --layers, not both")
    rows = tuple(name.strip() for name in (layers or layer or "").split(",")) if layers else (layer or "",)
    if len(set(rows)) < len(rows):
        raise ConfigError(f"--layers names a layer twice: {', '.join(rows)}")
    return rows


def _run_one(
    image: str, output: str, how: Stylization | Dreaming, saving: dict[str, Any], *, quiet: bool
) -> int:
    files: dict[str, Any] = {"image": image, "output": output, "saving": build(Saving, saving)}
    job = (
        DreamJob(dreaming=how, **files)
        if isinstance(how, Dreaming)
        else ReconstructJob(stylization=how, **files)
    )
    return run_one(job, quiet=quiet)


def _run_many(
    kind: Literal["content", "style", "deepdream"],
    image: str,
    output: str,
    rows: tuple[str, ...],
    networks: str | None,
    how: Stylization | Dreaming,
    saving: dict[str, Any],
    *,
    quiet: bool,
) -> int:
    for name in saving:
        option = f"--{name.replace('_', '-')}"
        raise ConfigError(f"{option} is of one picture; a grid writes its losses and records by itself")
    if Path(output).suffix and not os.path.isdir(output):  # noqa: PTH112 - Path.is_dir raises for long names
        raise ConfigError(f"{output} names a file; layers by networks need a folder to go to")
    config = how.dream.backbone if isinstance(how, Dreaming) else optimization_of(how).backbone
    if networks is None:
        columns = {config.name: config.weights}
    elif config.weights != "native":
        raise ConfigError("--weights is of one network; name them all in --networks")
    else:
        columns = network_weights(networks.split(","))
    job = GridJob(kind=kind, image=image, output=output, layers=rows, networks=columns, how=how)
    with cancelled_by_interrupt() as cancelled:
        result = run_grid(
            job, watched=lambda title: progress_on_stderr(quiet=quiet, title=title), cancelled=cancelled
        )
    for note in result.notes:
        typer.echo(f"velatura: {note}", err=True)
    if result.made < len(result.results) and not quiet:
        there = len(result.results) - result.made
        typer.echo(f"{there} of {len(rows) * len(columns)} pictures were finished already", err=True)
    if result.interrupted and not quiet:
        cells = len(rows) * len(columns)
        typer.echo(f"interrupted: {len(result.results)} of {cells} pictures, the last not finished", err=True)
    for file in result.files:
        typer.echo(file)
    return 130 if result.interrupted else 0


def register(root: App, name: str, *, panel: str) -> None:
    """Adds the commands to ``root``, under the heading ``panel`` of its help."""
    for kind, line in (
        ("content", "Find a picture, from noise, in which the layer sees what it sees in this one."),
        ("style", "Find a picture, from noise, in which the layer's statistics are those of this one."),
    ):
        example = f"velatura reconstruct {kind} picture.jpg -o out.png --layer relu3_1"
        app.command(kind, help=f"{line}\n\n{example}")(_reconstruct)
    app.command("deepdream")(_deepdream)
    root.add_typer(app, name=name, rich_help_panel=panel)
