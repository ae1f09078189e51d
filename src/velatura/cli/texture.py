"""``velatura texture``: a picture of any size with a painting's marks, and no photograph."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

import typer

from velatura.cli.help import App
from velatura.cli.one import run_one
from velatura.cli.options import field_option, given, merged, numbers, option, tile_option
from velatura.core.errors import ConfigError
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build, help_of, parse_assignment
from velatura.jobs.texture import DEFAULT_TEXTURE, TextureJob, Texturing, texturing

__all__ = ["register"]

_RESULT, _METHOD, _RUN, _FILES = "The picture", "The method", "The run", "Files"


_how = partial(field_option, Texturing, panel=_RESULT)
_saved = partial(field_option, Saving, panel=_FILES)
_change = partial(option, panel=_METHOD)


def texture(
    paintings: Annotated[
        list[str], typer.Argument(metavar="PAINTING", help="The painting, or several to blend.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the texture goes.", rich_help_panel=_RESULT
        ),
    ],
    size: Annotated[
        str | None,
        _how(
            "size", "WxH", help="Width and height in pixels, or one number for a square; unset: the preset's"
        ),
    ] = None,
    tileable: Annotated[
        str | None, _how("tileable", "x|y|both", help=help_of(Texturing, "tileable").replace("none, ", ""))
    ] = None,
    scale: Annotated[float | None, _how("scale", "FACTOR")] = None,
    smooth: Annotated[bool, _how("smooth")] = False,
    blend: Annotated[
        str | None,
        _how("blend", "W,W,...", help="Weight of each painting, such as 0.7,0.3; unset: all the same"),
    ] = None,
    tv: Annotated[
        float | None, _change("WEIGHT", "Weight of the total variation, the preset's term 'smoothness'")
    ] = None,
    preset: Annotated[
        str, _change("NAME", "Named settings of a texture: texture, gatys2015-texture")
    ] = DEFAULT_TEXTURE,
    backbone: Annotated[
        str | None, _change("NAME", "Network whose statistics are matched; see: velatura backbones")
    ] = None,
    weights: Annotated[
        str | None, _change("NAME|FILE", "Its weights; native: its own; random: drawn by the seed")
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
            "NAME",
            "Where the canvas starts: patches, uniform, gaussian, style_statistics, ...",
            "--init",
            "--initialization",
        ),
    ] = None,
    start: Annotated[
        str | None, _change("FILE", "Picture to start from, the initialisation 'picture'")
    ] = None,
    settings: Annotated[
        list[str] | None,
        _change("KEY=VALUE", "Any setting of the preset; see: velatura presets show texture", "--set"),
    ] = None,
    seed: Annotated[int | None, _how("seed", "N", panel=_RUN)] = None,
    device: Annotated[str | None, _how("device", "NAME", panel=_RUN)] = None,
    precision: Annotated[str | None, _how("precision", "NAME", panel=_RUN)] = None,
    threads: Annotated[int | None, _how("threads", "N", panel=_RUN)] = None,
    tile: Annotated[int | None, tile_option(_RUN)] = None,
    quality: Annotated[int | None, _saved("quality", "N")] = None,
    bits: Annotated[int | None, _saved("bits", "8|16")] = None,
    record: Annotated[str | None, _saved("record", "FILE")] = None,
    history: Annotated[str | None, _saved("history", "FILE")] = None,
    plot: Annotated[str | None, _saved("plot", "FILE")] = None,
    checkpoint: Annotated[str | None, _saved("checkpoint", "FILE")] = None,
    resume: Annotated[str | None, _saved("resume", "FILE")] = None,
    save_every: Annotated[int | None, _saved("save_every", "STEPS")] = None,
    save_pattern: Annotated[str | None, _saved("save_pattern", "PATTERN")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)] = False,
) -> int:
    """Make a picture of any size with a painting's marks and colours, and no photograph.

    velatura texture painting.jpg -o texture.png --size 1024x768

    velatura texture painting.jpg -o tile.png --tileable both
    """
    if start is not None and initialization not in (None, "picture"):
        raise ConfigError(
            f"--start needs the initialisation 'picture', not {initialization!r}; leave one out"
        )
    changes = {
        "backbone.name": backbone,
        "backbone.weights": weights,
        "optimizer.name": optimizer,
        "initialization.name": initialization if start is None else "picture",
        "initialization.path": start,
        "pyramid.steps": numbers("steps", steps),
        "terms.smoothness.weight": tv,
        "tile": tile,
    }
    how = texturing(
        preset,
        changes=merged(given(changes), dict(parse_assignment(text) for text in settings or ())),
        **given(
            {
                "size": _size(size),
                "tileable": tileable,
                "scale": scale,
                "smooth": smooth,
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
                "record": record,
                "history": history,
                "plot": plot,
                "checkpoint": checkpoint,
                "resume": resume,
                "save_every": save_every,
                "save_pattern": save_pattern,
            }
        ),
    )
    job = TextureJob(styles=tuple(paintings), output=output, texturing=how, saving=saving)
    return run_one(job, quiet=quiet)


def _size(text: str | None) -> tuple[int, int] | None:
    """``640x480``, or ``512`` for a square, as width and height.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})(?:[xX×](\d{1,6}))?", text.strip())
    if found is None:
        raise ConfigError(f"--size: expected WIDTHxHEIGHT such as 640x480, or one number, not {text!r}")
    return int(found[1]), int(found[2] or found[1])


def register(app: App, name: str, *, panel: str) -> None:
    """Adds the command to ``app``, under the heading ``panel`` of its help."""
    app.command(name, rich_help_panel=panel)(texture)
