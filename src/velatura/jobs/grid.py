"""Layers by networks: one picture reconstructed from each, as one labelled picture and as files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Len

from velatura.backbones import build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import Cancelled, ConfigError
from velatura.core.files import atomic_path, check_writable
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.deepdream import octave_sizes
from velatura.imaging import Picture, read_picture, write_picture
from velatura.imaging.sheet import labelled_sheet
from velatura.jobs.dream import Dreaming, dream_picture
from velatura.jobs.finished import carried, finished
from velatura.jobs.plot import plot_curves
from velatura.jobs.reconstruct import at_layer, optimization_of, reconstruct_picture, with_weights
from velatura.jobs.record import versions
from velatura.jobs.result import Result
from velatura.jobs.stylize import Stylization
from velatura.ops.resize import fit

__all__ = ["GridJob", "GridResult", "network_weights", "run_grid"]

Cell = tuple[str, str]
"""Layer and network."""


@dataclass(frozen=True, kw_only=True)
class GridJob:
    """A picture's file in, a folder of its reconstructions out."""

    kind: Annotated[Literal["content", "style", "deepdream"], Setting("What is made of the picture")]
    image: Annotated[str, Setting("The picture")]
    output: Annotated[str, Setting("Folder that everything goes to")]
    layers: Annotated[tuple[str, ...], Len(1), Setting("Layers, one a row")]
    networks: Annotated[Mapping[str, str], Setting("Weights by the name of their column")]
    how: Annotated[Stylization | Dreaming, Setting("What is the same for all")]


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """What a grid came to.

    Args:
        results: By layer and network, as far as the grid went.
        files: What was written, the labelled picture first.
        interrupted: Whether it was cancelled; the last of ``results`` is then the best so far.
        made: How many of them this run made; the rest was finished by an earlier one.
        notes: What the user should know, one line each.
    """

    results: Mapping[Cell, Result]
    files: tuple[Path, ...]
    interrupted: bool
    made: int = 0
    notes: tuple[str, ...] = ()


def network_weights(names: Sequence[str]) -> dict[str, str]:
    """Weights by column: ``random``, ``standard``, ``standard=FILE``, ``NAME`` or ``FILE``.

    ``standard`` alone stands for the weights that are named like the architecture.

    Raises:
        ConfigError: A name is empty or comes twice.
    """
    columns: dict[str, str] = {}
    for name in names:
        label, equals, weights = (part.strip() for part in name.partition("="))
        if not equals:
            weights = "native" if label == "standard" else label
            label = label if label in ("random", "standard") else Path(label).stem
        if not label or not weights:
            raise ConfigError(f"expected a network such as random, standard, FILE or NAME=FILE, not {name!r}")
        if label in columns:
            raise ConfigError(f"two networks are called {label!r}; name one of them, as in robust=FILE")
        columns[label] = weights
    return columns


def run_grid(
    job: GridJob,
    *,
    watched: Callable[[str], AbstractContextManager[OnProgress]] = lambda _: nullcontext(silent),
    cancelled: Callable[[], bool] = never,
) -> GridResult:
    """Makes every picture that is not there yet, then the sheet, the losses as CSV and JSON, and their plot.

    Args:
        job: What to make.
        watched: Gives what is told of the steps of one picture, by the picture's name.
        cancelled: Asked before every step; what there is by then is written.

    Raises:
        ImageError: The picture cannot be read.
        ConfigError: An unknown layer, a picture too small for one, or a file that would overwrite the
            picture. Found before anything runs.
        WeightsError: Weights are missing, broken, or end below a layer. Found before anything runs.
        Cancelled: Cancelled before there was anything to write.
    """
    image = read_picture(job.image)
    folder = Path(job.output)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; a grid needs a folder to go to")
    check_writable(folder / "grid.png")
    hashes = _check_networks(job, image)
    made = 0
    results: dict[Cell, Result] = {}
    files: list[Path] = []
    for number, (layer, network) in enumerate(cells := list(_cells(job)), start=1):
        how, path = _cell(job, layer, network), _file(folder, layer, network)
        result = finished(path, how, image, weights_sha256=hashes[network], versions=versions())
        if result is None:
            try:
                with watched(f"{number}/{len(cells)} {network} {layer}") as on_progress:
                    result = _make(image, how, on_progress, cancelled)
            except Cancelled:
                if not results:
                    raise
                break
            result = replace(result, record=_recorded(job, layer, network) | result.record)
            write_picture(result.picture, path, metadata=carried(result), protect=[job.image])
            made += 1
        results[layer, network] = result
        files.append(path)
        if result.interrupted:
            break
    interrupted = len(results) < len(cells) or any(result.interrupted for result in results.values())
    written, notes = _write_summary(job, results, folder)
    return GridResult(
        results=results, files=(*written, *files), interrupted=interrupted, made=made, notes=notes
    )


def _cells(job: GridJob) -> Iterator[Cell]:
    """Row by row, so that a grid cut short compares what it has."""
    return ((layer, network) for layer in job.layers for network in job.networks)


def _cell(job: GridJob, layer: str, network: str) -> Stylization | Dreaming:
    weights = job.networks[network]
    if isinstance(job.how, Dreaming):
        dream = replace(job.how.dream, layer=layer, backbone=replace(job.how.dream.backbone, weights=weights))
        return replace(job.how, dream=dream)
    return with_weights(at_layer(job.how, layer), weights)


def _recorded(job: GridJob, layer: str, network: str) -> dict[str, Any]:
    """What a picture's record says of its grid, beside its own settings."""
    grid = {name: value for name, value in to_mapping(job).items() if name != "how"}
    return {"job": grid, "cell": {"layer": layer, "network": network}}


def _make(
    image: Picture, how: Stylization | Dreaming, on_progress: OnProgress, cancelled: Callable[[], bool]
) -> Result:
    if isinstance(how, Dreaming):
        return dream_picture(image, how, on_progress=on_progress, cancelled=cancelled)
    return reconstruct_picture(image, how, on_progress=on_progress, cancelled=cancelled)


def _check_networks(job: GridJob, image: Picture) -> dict[str, str | None]:
    """Finds what is wrong with the last picture before the first is made; gives the hashes of weights."""
    how = job.how
    names = list(dict.fromkeys(name.strip() for layer in job.layers for name in layer.split("+")))
    long_edge = how.size or min(max(image.height, image.width), how.working_size)
    size = fit(image.height, image.width, long_edge)
    if isinstance(how, Dreaming):
        size = octave_sizes(size, octaves=how.dream.octaves, scale=how.dream.octave_scale)[0]
    for layer in job.layers:
        if not isinstance(how, Dreaming):
            at_layer(how, layer)
    config = how.dream.backbone if isinstance(how, Dreaming) else optimization_of(how).backbone
    needed = {"": 0}
    hashes: dict[str, str | None] = {}
    for network, weights in job.networks.items():
        backbone = build_backbone(replace(config, weights=weights), seed=how.seed)
        hashes[network] = backbone.weights_sha256
        needed |= {layer: backbone.smallest_input([layer]) for layer in backbone.check_layers(names)}
    greediest = max(needed, key=lambda layer: needed[layer])
    if min(size) < needed[greediest]:
        raise ConfigError(
            f"a picture of {size[1]}x{size[0]} pixels is too small: layer {greediest!r} needs "
            f"{needed[greediest]}x{needed[greediest]}; choose a larger size or shallower layers"
        )
    return hashes


def _file(folder: Path, layer: str, network: str) -> Path:
    return folder / f"{re.sub('[^A-Za-z0-9._+-]', '_', f'{layer}-{network}')}.png"


def _write_summary(
    job: GridJob, results: Mapping[Cell, Result], folder: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    sheet, table, whole, plot = (
        folder / name for name in ("grid.png", "losses.csv", "losses.json", "losses.png")
    )
    captions = {cell: _caption(job.kind, result) for cell, result in results.items()}
    pictures = {cell: result.picture for cell, result in results.items()}
    picture = labelled_sheet(pictures, rows=job.layers, columns=list(job.networks), captions=captions)
    write_picture(picture, sheet, protect=[job.image])
    _write_csv(results, table)
    _write_json(job, results, whole)
    notes = tuple(dict.fromkeys(note for result in results.values() for note in result.notes))
    if find_spec("matplotlib") is None:
        return (sheet, table, whole), (*notes, "no plot of the losses: pip install 'velatura[eval]'")
    curves: dict[str, dict[str, list[float]]] = {layer: {} for layer in job.layers}
    for (layer, network), result in results.items():
        curves[layer][network] = _losses(result)
    plot_curves(curves, plot, what="activation" if job.kind == "deepdream" else "loss")
    return (sheet, table, whole, plot), notes


def _losses(result: Result) -> list[float]:
    return [entry["loss"] for entry in result.history]


def _caption(kind: str, result: Result) -> str:
    """How far it came: the last loss beside the first, which compares between layers and networks."""
    losses = _losses(result)
    if len(losses) < 2 or losses[0] == 0:
        return ""
    ratio = losses[-1] / losses[0]
    return f"activation x {ratio:.3g}" if kind == "deepdream" else f"{100 * ratio:.2g} % of first loss"


def _write_csv(results: Mapping[Cell, Result], path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("layer", "network", "scale", "step", "loss"))
        for (layer, network), result in results.items():
            rows.writerows(
                (layer, network, entry["scale"], entry["step"], repr(entry["loss"]))
                for entry in result.history
            )


def _write_json(job: GridJob, results: Mapping[Cell, Result], path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {
            "layer": layer,
            "network": network,
            "file": _file(Path(), layer, network).name,
            "weights": result.record["weights"],
            "interrupted": result.interrupted,
            # JSON has no number for a loss that was not finite.
            "losses": [loss if abs(loss) < float("inf") else None for loss in _losses(result)],
        }
        for (layer, network), result in results.items()
    ]
    with atomic_path(path) as temporary:
        content = {"job": to_mapping(job), "cells": cells}
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
