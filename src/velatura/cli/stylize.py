"""``velatura stylize``: one photograph or many, one painting or several."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from velatura.cli.batch import contents_of, output_for, run_batch
from velatura.cli.help import App
from velatura.cli.one import run_one
from velatura.cli.options import field_option, given, merged, numbers, option, tile_option
from velatura.cli.regions import feather_option, labels_option, protect_option, regions_of, split_masks
from velatura.cli.styles import fine_style_option, layers_option, style_changes, style_number_option
from velatura.core.errors import ConfigError
from velatura.core.lengths import pixels_of
from velatura.engine.one_pass import OnePass
from velatura.jobs.models import load_model
from velatura.jobs.one_pass import with_styles
from velatura.jobs.regions import paintings_of
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build, help_of, parse_assignment
from velatura.jobs.stylization import is_one_pass
from velatura.jobs.stylize import Stylization, StylizeJob, stylization

__all__ = [
    "color_changes",
    "color_option",
    "dpi_option",
    "given",
    "keep_colors_option",
    "merged",
    "numbers",
    "palette_option",
    "region_option",
    "register",
    "size_option",
]

_RESULT, _METHOD, _RUN, _FILES = "The picture", "The method", "The run", "Files"


_how = partial(field_option, Stylization, panel=_RESULT)
_saved = partial(field_option, Saving, panel=_FILES)
_change = partial(option, panel=_METHOD)


def keep_colors_option(panel: str) -> Any:
    """``--keep-colors``, a short form of ``--color match-monge``."""
    help_text = "Recolour the paintings to the photo's colours first: --color match-monge"
    return typer.Option("--keep-colors", help=help_text, rich_help_panel=panel)


def color_option(panel: str) -> Any:
    """``--color``."""
    help_text = "Whose colours: style, luminance, match-monge, ...; see: velatura colors"
    return typer.Option("--color", metavar="MODE", help=help_text, rich_help_panel=panel)


def palette_option(panel: str) -> Any:
    """``--palette``."""
    help_text = "With --color: 0 for the photo's palette, as it is unset, to 1 for the painting's"
    return typer.Option("--palette", metavar="P", help=help_text, rich_help_panel=panel)


def color_changes(color: str | None, palette: float | None, *, keep_colors: bool) -> dict[str, Any]:
    """What the three options of colour change.

    Raises:
        ConfigError: A colour mode beside the short form of one.
    """
    if keep_colors and color is not None:
        raise ConfigError(f"--keep-colors is short for --color match-monge; leave it or --color {color} out")
    return {"color.name": "match-monge" if keep_colors else color, "color.palette": palette}


def size_option(panel: str, *, unset: str = "the photo's, up to the preset's") -> Any:
    """``--size``, in pixels or as a length."""
    help_text = (
        f"Longer edge of the result: pixels, or with --dpi a length such as 60cm or 24in; unset: {unset}"
    )
    return typer.Option("--size", metavar="PIXELS|LENGTH", help=help_text, rich_help_panel=panel)


def dpi_option(panel: str) -> Any:
    """``--dpi``, of a size on paper."""
    return typer.Option("--dpi", metavar="N", help=help_of(Saving, "dpi"), rich_help_panel=panel)


def region_option(panel: str) -> Any:
    """``--mask``, with the paintings that go there."""
    help_text = (
        "Where a painting goes, white in FILE: sky.png=night.jpg, or sky.png=one.jpg*0.7,other.jpg*0.3; "
        "sky.png:part.png=... looks at that part of the painting; rest=... is what no mask covers, and "
        "sky.png=none stays as the photo is; without '=', in the order of the styles"
    )
    return typer.Option("--mask", metavar="FILE=STYLE", help=help_text, rich_help_panel=panel)


def stylize(
    content: Annotated[
        str,
        typer.Argument(metavar="CONTENT", help="The photograph; a folder or a quoted glob for many."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the picture goes; into a folder it goes under the photo's own name.",
            rich_help_panel=_RESULT,
        ),
    ],
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STYLE",
            help="The painting, or several to blend; with a network that has its own styles, their names.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[str | None, size_option(_RESULT)] = None,
    dpi: Annotated[int | None, dpi_option(_RESULT)] = None,
    upsample: Annotated[bool, _how("upsample")] = False,
    strength: Annotated[float | None, _how("strength", "FACTOR")] = None,
    color: Annotated[str | None, color_option(_RESULT)] = None,
    palette: Annotated[float | None, palette_option(_RESULT)] = None,
    keep_colors: Annotated[bool, keep_colors_option(_RESULT)] = False,
    smooth: Annotated[bool, _how("smooth")] = False,
    blend: Annotated[
        str | None,
        _how("blend", "W,W,...", help="Weight of each painting, such as 0.7,0.3; unset: all the same"),
    ] = None,
    preset: Annotated[
        str | None,
        _change(
            "NAME",
            "Named settings that the others are laid over; unset: fast, or instant with --model; "
            "see: velatura presets",
        ),
    ] = None,
    model: Annotated[
        str | None,
        _change("NAME|FILE", "Trained network that does it in one pass; see: velatura apply --help"),
    ] = None,
    masks: Annotated[list[str] | None, region_option(_RESULT)] = None,
    labels: Annotated[str | None, labels_option(_RESULT)] = None,
    protect: Annotated[str | None, protect_option(_RESULT)] = None,
    feather: Annotated[float | None, feather_option(_RESULT)] = None,
    fine_style: Annotated[str | None, fine_style_option(_METHOD)] = None,
    style_size: Annotated[int | None, style_number_option("--style-size", "PIXELS", _METHOD)] = None,
    style_scale: Annotated[float | None, style_number_option("--style-scale", "FACTOR", _METHOD)] = None,
    style_layers: Annotated[str | None, layers_option("style", "relu1_1=4,relu2_1=2", _METHOD)] = None,
    content_layers: Annotated[str | None, layers_option("content", "relu3_3", _METHOD)] = None,
    backbone: Annotated[
        str | None, _change("NAME", "Network whose features are compared; see: velatura backbones")
    ] = None,
    weights: Annotated[
        str | None, _change("NAME|FILE", "Its weights; native: its own; random: drawn by the seed")
    ] = None,
    pooling: Annotated[
        str | None, _change("KIND", "Its pooling: max, average, l2; native: what it was trained with")
    ] = None,
    optimizer: Annotated[
        str | None, _change("NAME", "How the canvas moves; see: velatura optimizers")
    ] = None,
    steps: Annotated[
        str | None,
        _change("N,N,...", "Steps at each scale from the smallest up; larger scales repeat the last number"),
    ] = None,
    initialization: Annotated[
        str | None,
        _change(
            "NAME", "Where the canvas starts; see: velatura initializations", "--init", "--initialization"
        ),
    ] = None,
    start: Annotated[
        str | None, _change("FILE", "Picture to start from, the initialisation 'picture'")
    ] = None,
    refine: Annotated[
        str | None,
        _change(
            "FILE", "Finished picture to go on from, at the last scale alone and gently; --size may be larger"
        ),
    ] = None,
    structure: Annotated[
        float | None,
        _change(
            "FACTOR", "How much the photo's outlines are kept, by a Laplacian; 0 as if unset, 1 well visible"
        ),
    ] = None,
    tv: Annotated[
        float | None, _change("WEIGHT", "Weight of the total variation, the preset's term 'smoothness'")
    ] = None,
    settings: Annotated[
        list[str] | None,
        _change(
            "KEY=VALUE",
            "Any setting of the preset, such as optimizer.lr=0.05; see: velatura presets show NAME",
            "--set",
        ),
    ] = None,
    seed: Annotated[int | None, _how("seed", "N", panel=_RUN)] = None,
    device: Annotated[str | None, _how("device", "NAME", panel=_RUN)] = None,
    precision: Annotated[
        str | None,
        _how(
            "precision",
            "NAME",
            panel=_RUN,
            help="What the network computes in: float32, bfloat16, or auto, what the processor is fast in",
        ),
    ] = None,
    threads: Annotated[int | None, _how("threads", "N", panel=_RUN)] = None,
    tile: Annotated[int | None, tile_option(_RUN)] = None,
    quality: Annotated[int | None, _saved("quality", "N")] = None,
    bits: Annotated[int | None, _saved("bits", "8|16")] = None,
    icc: Annotated[str | None, _saved("icc", "srgb|keep")] = None,
    record: Annotated[str | None, _saved("record", "FILE")] = None,
    history: Annotated[str | None, _saved("history", "FILE")] = None,
    plot: Annotated[str | None, _saved("plot", "FILE")] = None,
    checkpoint: Annotated[str | None, _saved("checkpoint", "FILE")] = None,
    checkpoint_every: Annotated[float | None, _saved("checkpoint_every", "SECONDS")] = None,
    resume: Annotated[str | None, _saved("resume", "FILE")] = None,
    save_every: Annotated[int | None, _saved("save_every", "STEPS")] = None,
    save_pattern: Annotated[str | None, _saved("save_pattern", "PATTERN")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)] = False,
) -> int:
    """Give a photograph the style of a painting.

    velatura stylize photo.jpg painting.jpg -o out.png

    The result has the photo's aspect; its longer edge is the photo's, up to 512 pixels for most
    presets, unless --size says otherwise.
    """
    if start is not None and initialization not in (None, "picture"):
        raise ConfigError(
            f"--start needs the initialisation 'picture', not {initialization!r}; leave one out"
        )
    if start is not None and refine is not None:
        raise ConfigError("--refine names the picture to start from already; leave --start out")
    placed, plain = split_masks(masks or ())
    of_network = is_one_pass(preset, model=model)
    changes = {
        **color_changes(color, palette, keep_colors=keep_colors),
        **style_changes(
            size=style_size, scale=style_scale, style_layers=style_layers, content_layers=content_layers
        ),
        "tile": tile,
        "masks": plain if of_network and plain else None,
        "backbone.name": backbone,
        "backbone.weights": weights,
        "backbone.pooling": pooling,
        "optimizer.name": optimizer,
        "initialization.name": initialization if start is None else "picture",
        "initialization.path": start if refine is None else refine,
        "pyramid.steps": numbers("steps", steps),
    }
    how = stylization(
        preset,
        model=model,
        changes=merged(given(changes), dict(parse_assignment(text) for text in settings or ())),
        upsample=upsample,
        smooth=smooth,
        controls={"structure": structure, "tv": tv, "refine": refine is not None},
        **given(
            {
                "size": None if size is None else pixels_of(size, dpi=dpi),
                "strength": strength,
                "blend": numbers("blend", blend),
                "seed": seed,
                "device": device,
                "precision": precision,
                "threads": threads,
            }
        ),
    )
    saving = build(
        Saving,
        given(
            {
                "quality": quality,
                "bits": bits,
                "icc": icc,
                "dpi": dpi,
                "record": record,
                "history": history,
                "plot": plot,
                "checkpoint": checkpoint,
                "checkpoint_every": checkpoint_every,
                "resume": resume,
                "save_every": save_every,
                "save_pattern": save_pattern,
            }
        ),
    )
    regions = regions_of(
        placed,
        () if of_network else plain,
        styles or (),
        labels=labels,
        protect=protect,
        feather=feather,
    )
    paintings, network = paintings_of(regions, styles or ()), None
    if isinstance(how.method, OnePass):
        network = load_model(how.method.model)
        how, paintings = with_styles(network, how, paintings)
    photos, is_batch = contents_of(content)
    to_folder = is_batch or output.endswith(("/", os.sep)) or os.path.isdir(output)  # noqa: PTH112 - as in contents_of
    jobs = [
        StylizeJob(
            content=str(photo),
            styles=paintings,
            regions=regions,
            fine=fine_style,
            output=str(output_for(photo, Path(output)) if to_folder else output),
            stylization=how,
            saving=saving,
        )
        for photo in photos
    ]
    if is_batch:
        return run_batch(jobs, quiet=quiet, model=network)
    return run_one(jobs[0], quiet=quiet, model=network)


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(stylize)
