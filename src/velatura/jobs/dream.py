"""DeepDream: a picture with more of what a layer sees in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge

from velatura.backbones import backbones, build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import Cancelled, ConfigError
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.deepdream import DeepDream, Dreamer
from velatura.engine.precision import choose_device, choose_precision
from velatura.imaging import Picture, read_picture
from velatura.jobs.computing import Computing
from velatura.jobs.record import machine_record
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.schema import assign, build
from velatura.jobs.stylization import fingerprint, too_large_is_said
from velatura.ops.resize import fit
from velatura.ops.threads import computing_threads
from velatura.presets import load_preset

__all__ = ["DEFAULT_DREAM", "DreamJob", "Dreaming", "dream_picture", "dreaming", "run_dream"]


DEFAULT_DREAM = "mordvintsev2015"


@dataclass(frozen=True, kw_only=True)
class Dreaming(Computing):
    """How a picture is dreamt of, wherever it comes from."""

    preset: Annotated[str, Setting("Named settings that the others are laid over")] = DEFAULT_DREAM
    dream: Annotated[DeepDream, Setting("What the preset sets, with every change")]
    size: Annotated[
        int | None,
        Ge(1),
        Setting("Longer edge of the result; unset: the photo's, up to the working size", unit="pixels"),
    ] = None
    working_size: Annotated[
        int, Ge(1), Setting("Longer edge where no size is asked for, at most", unit="pixels")
    ]


@dataclass(frozen=True, kw_only=True)
class DreamJob:
    """A picture's file in, its dream's file out."""

    image: Annotated[str, Setting("The photograph")]
    output: Annotated[str, Setting("Where the dream goes")]
    dreaming: Annotated[Dreaming, Setting("How")]
    saving: Annotated[Saving, Setting("What is written")] = field(default_factory=Saving)

    def __post_init__(self) -> None:
        for name in ("checkpoint", "resume"):
            if getattr(self.saving, name) is not None:
                raise ConfigError(f"{name} is of an optimisation; a dream is not saved on its way")


def dreaming(
    layer: str,
    *,
    preset: str = DEFAULT_DREAM,
    changes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Dreaming:
    """Settings of a dream of one layer from a preset, changes laid over it.

    Args:
        layer: Layer whose activations grow.
        preset: Named settings of a dream.
        changes: Dotted path in the dream to value, such as ``{"octaves": 3}``.
        settings: Other fields of :class:`Dreaming`.

    Raises:
        ConfigError: An unknown name, or a value of the wrong type or out of range.
    """
    base = load_preset(preset)
    dream = build(DeepDream, assign(DeepDream, {**base.dream, "layer": layer}, changes or {}))
    backbones[dream.backbone.name]  # An unknown one is answered here, before any picture is read.
    return build(Dreaming, {"preset": preset, "working_size": base.size, "dream": dream, **settings})


def dream_picture(
    image: Picture,
    how: Dreaming,
    *,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Dreams of a picture.

    Args:
        image: The photograph; transparent parts are taken as white.
        how: Settings, from :func:`dreaming`.
        on_progress: Told of every step; its loss is the activation, which grows.
        cancelled: Asked before every step.

    Raises:
        ConfigError: An unknown layer or channel, or a picture too small for it.
        WeightsError: The weights are missing, broken, or end below the layer.
        Cancelled: Cancelled before there was anything to return.
        VelaturaError: The layer is silent in this picture, or memory runs out.
    """
    long_edge = min(max(image.height, image.width), how.working_size) if how.size is None else how.size
    size = fit(image.height, image.width, long_edge)
    if cancelled():
        raise Cancelled("interrupted before the first step")
    with torch.inference_mode(False), computing_threads(how.threads), too_large_is_said(size):
        device = choose_device(how.device)
        backbone = build_backbone(how.dream.backbone, seed=how.seed).to(device)
        precision = choose_precision(how.precision, device, backbone)
        dreamer = Dreamer(how.dream, backbone, precision=precision, seed=how.seed)
        pixels = image.over().pixels
        outcome = dreamer(pixels, size=size, on_progress=on_progress, cancelled=cancelled)
        record = {
            "dreaming": to_mapping(how),
            "pictures": {"content": fingerprint(Picture(pixels))},
            "weights": {"source": backbone.source, "sha256": backbone.weights_sha256},
            **machine_record(device, precision),
        }
    return Result(
        picture=Picture(outcome.pixels, name=image.name),
        history=outcome.history,
        interrupted=outcome.interrupted,
        record=record,
        notes=tuple(f"{image.name}: {note}" for note in image.notes),
    )


def run_dream(
    job: DreamJob, *, on_progress: OnProgress = silent, cancelled: Callable[[], bool] = never
) -> Result:
    """Reads, dreams, writes.

    Raises:
        ImageError: The picture cannot be read.
        ConfigError: Settings that do not fit together; files that would overwrite the picture.
        WeightsError: The weights are missing, broken, or end below the layer.
        OutputError: A file cannot be written.
        VelaturaError: The layer is silent in this picture.
    """
    inputs = [Path(job.image), Path(job.dreaming.dream.backbone.weights)]
    writer = Writer(job.saving, output=Path(job.output), inputs=inputs)
    image = read_picture(job.image)
    writer.check(profile=None, name=image.name)
    watched = writer.with_previews(on_progress, name=image.name)
    result = dream_picture(image, job.dreaming, on_progress=watched, cancelled=cancelled)
    return replace(result, notes=result.notes + writer.write(result, to_mapping(job)))
