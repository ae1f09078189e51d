"""``velatura apply``: a trained network over many photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velatura.cli.batch import contents_of, output_for, run_batch
from velatura.cli.help import App
from velatura.cli.options import field_option, given, numbers
from velatura.cli.regions import feather_option, labels_option, protect_option, regions_of, split_masks
from velatura.cli.stylize import (
    color_changes,
    color_option,
    dpi_option,
    keep_colors_option,
    palette_option,
    region_option,
    size_option,
)
from velatura.core.errors import ConfigError
from velatura.core.lengths import pixels_of
from velatura.engine.one_pass import OnePass
from velatura.imaging import WRITABLE
from velatura.jobs.models import load_model
from velatura.jobs.one_pass import OWN_SIZE, with_styles
from velatura.jobs.regions import paintings_of
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build
from velatura.jobs.stylize import Stylization, StylizeJob, stylization

__all__ = ["register"]

_RESULT, _RUN, _FILES = "The picture", "The run", "Files"


def apply(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="The trained network: a name, a file, or the folder of its run."
        ),
    ],
    contents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONTENT", help="Photographs, folders of them, or quoted globs.", show_default=False
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the pictures go, each under its photo's own name; for one photo, a file too.",
            rich_help_panel=_RESULT,
            show_default=False,
        ),
    ] = None,
    styles: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            metavar="NAME|FILE",
            help="A style of the network, or a painting for one that takes any; several are blended.",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    blend: Annotated[
        str | None,
        field_option(
            Stylization,
            "blend",
            "W,W,...",
            panel=_RESULT,
            help="Weight of each style, such as 0.7,0.3; unset: all the same",
        ),
    ] = None,
    list_styles: Annotated[
        bool, typer.Option("--list", help="Only list the network's styles.", rich_help_panel=_RESULT)
    ] = False,
    alpha: Annotated[float | None, field_option(OnePass, "alpha", "A", panel=_RESULT)] = None,
    color: Annotated[str | None, color_option(_RESULT)] = None,
    palette: Annotated[float | None, palette_option(_RESULT)] = None,
    keep_colors: Annotated[bool, keep_colors_option(_RESULT)] = False,
    masks: Annotated[list[str] | None, region_option(_RESULT)] = None,
    labels: Annotated[str | None, labels_option(_RESULT)] = None,
    protect: Annotated[str | None, protect_option(_RESULT)] = None,
    feather: Annotated[float | None, feather_option(_RESULT)] = None,
    size: Annotated[str | None, size_option(_RESULT, unset="the photo's own size")] = None,
    dpi: Annotated[int | None, dpi_option(_RESULT)] = None,
    tile: Annotated[int | None, field_option(OnePass, "tile", "PIXELS", panel=_RUN)] = None,
    overlap: Annotated[int | None, field_option(OnePass, "overlap", "PIXELS", panel=_RUN)] = None,
    seed: Annotated[int | None, field_option(Stylization, "seed", "N", panel=_RUN)] = None,
    device: Annotated[str | None, field_option(Stylization, "device", "NAME", panel=_RUN)] = None,
    precision: Annotated[
        str | None,
        field_option(
            Stylization,
            "precision",
            "NAME",
            panel=_RUN,
            help="What the network computes in: bfloat16, or float32, which auto is too",
        ),
    ] = None,
    threads: Annotated[int | None, field_option(Stylization, "threads", "N", panel=_RUN)] = None,
    quality: Annotated[int | None, field_option(Saving, "quality", "N", panel=_FILES)] = None,
    bits: Annotated[int | None, field_option(Saving, "bits", "8|16", panel=_FILES)] = None,
    icc: Annotated[str | None, field_option(Saving, "icc", "srgb|keep", panel=_FILES)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)] = False,
) -> int:
    """Stylise photographs with a trained network, one pass each.

    velatura apply adain-slim photos/ --style painting.jpg -o out/

    Pictures keep their size; those larger than memory are computed in tiles that leave no seam. A photograph
    that fails is reported, and the rest are done.
    """
    if list_styles:
        return _list(model)
    if not contents:
        raise ConfigError("apply needs at least one CONTENT: a photograph, a folder or a glob")
    if output is None:
        raise ConfigError("apply needs a folder for the pictures; give it with -o FOLDER")
    placed, plain = split_masks(masks or ())
    how = stylization(
        model=model,
        changes=given(
            {
                "alpha": alpha,
                **color_changes(color, palette, keep_colors=keep_colors),
                "masks": plain or None,
                "tile": tile,
                "overlap": overlap,
            }
        ),
        working_size=OWN_SIZE,
        **given(
            {
                "size": None if size is None else pixels_of(size, dpi=dpi),
                "blend": numbers("blend", blend),
                "seed": seed,
                "device": device,
                "precision": precision,
                "threads": threads,
            }
        ),
    )
    network = load_model(model)
    regions = regions_of(placed, (), styles or (), labels=labels, protect=protect, feather=feather)
    how, paintings = with_styles(network, how, paintings_of(regions, styles or ()))
    photos = [photo for content in contents for photo in contents_of(content)[0]]
    is_file = len(photos) == 1 and Path(output).suffix.lower() in WRITABLE and not Path(output).is_dir()
    jobs = [
        StylizeJob(
            content=str(photo),
            styles=paintings,
            regions=regions,
            output=output if is_file else str(output_for(photo, Path(output))),
            stylization=how,
            saving=build(Saving, given({"quality": quality, "bits": bits, "icc": icc, "dpi": dpi})),
        )
        for photo in photos
    ]
    return run_batch(jobs, quiet=quiet, model=network)


def _list(name: str) -> int:
    """The styles of a network, a line each."""
    model = load_model(name)
    if model.styles == "any":
        typer.echo("any picture: give paintings by --style FILE", err=True)
    for style in model.style_names:
        typer.echo(style)
    return 0


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(apply)
