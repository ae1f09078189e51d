"""Texture synthesis: a picture of any size with a painting's marks and colours, and no photograph at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import torch
from annotated_types import Ge, Interval

from velatura.backbones import Backbone, backbones, build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import Cancelled, ConfigError
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.method import Optimization
from velatura.engine.objective import Objective
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.precision import choose_device, choose_precision
from velatura.imaging import MAX_PIXELS, Picture, read_picture
from velatura.initializations import Patches
from velatura.initializations import Picture as StartPicture
from velatura.jobs.computing import Computing
from velatura.jobs.memory import foretell_memory
from velatura.jobs.record import machine_record
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.schema import assign, build
from velatura.jobs.stylization import (
    blend_notes,
    blend_weights,
    fingerprint,
    too_large_is_said,
    whatever_the_tile,
)
from velatura.ops.smoothing import softened
from velatura.ops.threads import computing_threads
from velatura.ops.wrap import Wrap
from velatura.presets import load_preset

__all__ = ["DEFAULT_TEXTURE", "TextureJob", "Texturing", "run_texture", "texture_pictures", "texturing"]

DEFAULT_TEXTURE = "texture"

_Edge: TypeAlias = Annotated[int, Ge(1)]
_OF_A_PHOTOGRAPH = ("content", "recolored")


@dataclass(frozen=True, kw_only=True)
class Texturing(Computing):
    """How a texture is made, whatever the painting."""

    preset: Annotated[str, Setting("Named settings that the others are laid over")] = DEFAULT_TEXTURE
    method: Annotated[Optimization, Setting("What the preset sets, with every change")]
    size: Annotated[
        tuple[_Edge, _Edge] | None,
        Setting("Width and height of the texture; unset: a square of the preset's size", unit="pixels"),
    ] = None
    working_size: Annotated[
        int, Ge(1), Setting("Edge of the texture where no size is asked for", unit="pixels")
    ]
    tileable: Annotated[
        Wrap, Setting("Which edges go on at the opposite one without a seam: none, x, y or both")
    ] = "none"
    scale: Annotated[
        float,
        Interval(gt=0, le=16),
        Setting("Size of the painting's marks; at 1 as large as in the painting"),
    ] = 1.0
    blend: Annotated[
        tuple[Annotated[float, Ge(0)], ...] | None, Setting("Weight of each painting; unset: all the same")
    ] = None
    smooth: Annotated[
        bool, Setting("Soften the finest marks of the finished picture; edges stay sharp (guided filter)")
    ] = False

    def __post_init__(self) -> None:
        for name, term in self.method.terms.items():
            if term.of == "content" and term.weight:
                raise ConfigError(
                    f"term {name!r} is of the content, and a texture has no photograph; use velatura stylize"
                )
        if self.method.style_size is not None:
            raise ConfigError(
                "a texture's painting is looked at in its own size times scale; leave style_size out"
            )
        start = self.method.initialization
        if start.name in _OF_A_PHOTOGRAPH:
            raise ConfigError(
                f"the initialisation {start.name!r} is of a photograph, and a texture has none; start from "
                "patches, uniform, gaussian or style_statistics"
            )

    @property
    def asked_size(self) -> tuple[int, int]:
        """Height and width, before anything is rounded."""
        width, height = self.size or (self.working_size, self.working_size)
        return height, width


@dataclass(frozen=True, kw_only=True)
class TextureJob:
    """Paintings' files in, the texture's file out."""

    styles: Annotated[tuple[str, ...], Setting("The paintings")]
    output: Annotated[str, Setting("Where the texture goes")]
    texturing: Annotated[Texturing, Setting("How")]
    saving: Annotated[Saving, Setting("What is written")] = field(default_factory=Saving)

    def __post_init__(self) -> None:
        if not self.styles:
            raise ConfigError("a texture needs a painting; name one at least")


def texturing(
    preset: str = DEFAULT_TEXTURE, *, changes: Mapping[str, Any] | None = None, **settings: Any
) -> Texturing:
    """Settings of a texture from a preset, changes laid over it.

    Args:
        preset: Named settings of a texture.
        changes: Dotted path in the method to value, such as ``{"optimizer.lr": 0.05}``.
        settings: Other fields of :class:`Texturing`.

    Raises:
        ConfigError: An unknown name, or a value of the wrong type or out of range.
    """
    base = load_preset(preset)
    method = build(Optimization, assign(Optimization, base.texture, changes or {}))
    backbones[method.backbone.name]  # An unknown one is answered here, before any picture is read.
    how = build(Texturing, {"preset": preset, "working_size": base.size, "method": method, **settings})
    wrap = method.backbone.wrap
    if "none" not in (wrap, how.tileable) and wrap != how.tileable:
        raise ConfigError(f"tileable is {how.tileable!r} and backbone.wrap {wrap!r}; leave one out")
    if how.tileable == "none":
        return how
    return replace(how, method=replace(method, backbone=replace(method.backbone, wrap=how.tileable)))


def texture_pictures(
    styles: Sequence[Picture],
    how: Texturing,
    *,
    start: Picture | None = None,
    checkpoints: Checkpoints | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Makes a texture of paintings in memory.

    Args:
        styles: The paintings; transparent parts are taken as white.
        how: Settings, from :func:`texturing`.
        start: The picture to start from, for the initialisation ``picture`` without a file.
        checkpoints: Where to save and what to go on from.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Raises:
        ConfigError: Settings that do not fit together or do not fit the paintings.
        WeightsError: The weights are missing, broken, or lack a layer.
        Cancelled: Cancelled before there was anything to return.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    if not styles:
        raise ConfigError("a texture needs a painting; give one at least")
    blend = blend_weights(how.blend, len(styles))
    start = _start_of(how, start)
    if cancelled():
        raise Cancelled("interrupted before the first step")
    with torch.inference_mode(False), computing_threads(how.threads), too_large_is_said(how.asked_size):
        device = choose_device(how.device)
        backbone = build_backbone(how.method.backbone, seed=how.seed).to(device)
        precision = choose_precision(how.precision, device, backbone)
        size = _rounded_up(how, backbone)
        method = _scaled(how, styles, size, backbone)
        stylizer = OptimizationStylizer(method, backbone, precision=precision, seed=how.seed)
        # The canvas takes its size from the photograph; there is nothing else to see in it.
        nothing = Picture(torch.zeros(3, *size), name=styles[0].name)
        saved = checkpoints is not None and checkpoints.save_to is not None
        memory = foretell_memory(stylizer, nothing, styles, size, saved=saved, on_progress=on_progress)
        record = {
            **memory,
            "texturing": to_mapping(how),
            "pictures": {
                "styles": [fingerprint(style) for style in styles],
                "start": None if start is None else fingerprint(start),
            },
            "weights": {"source": backbone.source, "sha256": backbone.weights_sha256},
            **machine_record(device, precision),
        }
        outcome = stylizer(
            nothing.pixels,
            [style.over().pixels for style in styles],
            blend=blend,
            size=size,
            start=None if start is None else start.over().pixels,
            checkpoints=_with_fingerprint(checkpoints, record),
            on_progress=on_progress,
            cancelled=cancelled,
        )
    pixels = softened(outcome.pixels, wrap=backbone.wrap) if how.smooth else outcome.pixels
    return Result(
        picture=Picture(pixels, name=styles[0].name),
        history=outcome.history,
        interrupted=outcome.interrupted,
        record=record,
        notes=(*_notes(how, styles, size), *outcome.notes),
    )


def _start_of(how: Texturing, start: Picture | None) -> Picture | None:
    initialization = how.method.initialization
    path = initialization.path if isinstance(initialization, StartPicture) else None
    if start is not None and not isinstance(initialization, StartPicture):
        raise ConfigError(
            f"a picture to start from was given, but the initialisation is "
            f"{initialization.name!r}, not 'picture'"
        )
    if start is not None and path is not None:
        raise ConfigError(f"two pictures to start from were given, one of them {path}; leave one out")
    return start if path is None else read_picture(path)


def _rounded_up(how: Texturing, backbone: Backbone) -> tuple[int, int]:
    """Height and width of the texture: what was asked for, or a little more where it is to repeat."""
    multiples = backbone.wrap_multiples(Objective(backbone, how.method.terms).layers)
    height, width = (
        -(-length // multiple) * multiple for length, multiple in zip(how.asked_size, multiples, strict=True)
    )
    if height * width > MAX_PIXELS:
        raise ConfigError(
            f"a texture of {width}x{height} pixels is more than the limit of {MAX_PIXELS / 1e6:g} "
            "megapixels; choose a smaller one"
        )
    return height, width


def _scaled(
    how: Texturing, styles: Sequence[Picture], size: tuple[int, int], backbone: Backbone
) -> Optimization:
    """The method, looking at the paintings at the size that their marks are to have.

    A painting is taken at its own size, but no larger than the texture. Scales at which it would be smaller
    than the deepest layer takes are left out.
    """
    long_edge = max(size)
    own = max(max(style.height, style.width) for style in styles)
    style_scale = how.scale * min(own, long_edge) / long_edge
    if style_scale > 16:
        raise ConfigError(f"a scale of {how.scale:g} makes the painting more than 16 times the texture")
    # In pixels: its own size does not depend on the texture's proportions.
    looked_at = max(1, round(how.scale * min(own, long_edge)))
    method = replace(how.method, style_scale=1.0, style_size=looked_at)
    start = how.method.initialization
    if isinstance(start, Patches):
        method = replace(method, initialization=replace(start, scale=style_scale))
    if method.pyramid.smallest == 0:
        return method
    needed = backbone.smallest_input(Objective(backbone, method.terms).layers)
    slimness = max(max(style.height, style.width) / min(style.height, style.width) for style in styles)
    smallest = max(method.pyramid.smallest, math.ceil((needed + 1) * slimness / style_scale))
    return replace(method, pyramid=replace(method.pyramid, smallest=smallest))


def _notes(how: Texturing, styles: Sequence[Picture], size: tuple[int, int]) -> Iterator[str]:
    for style in styles:
        yield from (f"{style.name}: {note}" for note in style.notes)
    yield from blend_notes(how.blend)
    if size != how.asked_size:
        (height, width), (wanted_height, wanted_width) = size, how.asked_size
        yield (
            f"{wanted_width}x{wanted_height} pixels were made {width}x{height}: a picture that repeats "
            "without a seam is a multiple of the deepest layer's stride"
        )


def _with_fingerprint(checkpoints: Checkpoints | None, record: Mapping[str, Any]) -> Checkpoints | None:
    """What a run to be continued must agree in."""
    if checkpoints is None:
        return None
    settled = {key: value for key, value in record["texturing"].items() if key not in ("device", "threads")}
    settled["method"] = whatever_the_tile(settled["method"])
    prints = {
        **settled,
        "precision computed in": record["machine"]["precision"],
        "picture": record["pictures"],
        "weights file": record["weights"],
    }
    return replace(checkpoints, fingerprint=prints)


def run_texture(
    job: TextureJob, *, on_progress: OnProgress = silent, cancelled: Callable[[], bool] = never
) -> Result:
    """Reads, makes the texture, writes.

    Raises:
        ImageError: A painting cannot be read.
        ConfigError: Settings that do not fit together; files that would overwrite an input.
        WeightsError: The weights are missing, broken, or lack a layer.
        OutputError: A file cannot be written.
        VelaturaError: The loss is not finite, or memory runs out.
    """
    method = job.texturing.method
    start = method.initialization.path if isinstance(method.initialization, StartPicture) else None
    inputs = [*job.styles, method.backbone.weights, *([] if start is None else [start])]
    writer = Writer(job.saving, output=Path(job.output), inputs=[Path(path) for path in inputs])
    styles = [read_picture(path) for path in job.styles]
    writer.check(profile=None, name=styles[0].name)
    result = texture_pictures(
        styles,
        job.texturing,
        checkpoints=writer.checkpoints(),
        on_progress=writer.with_previews(on_progress, name=styles[0].name),
        cancelled=cancelled,
    )
    return replace(result, notes=result.notes + writer.write(result, to_mapping(job)))
