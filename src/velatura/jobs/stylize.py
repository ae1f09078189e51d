"""The job of the house: a photograph in the style of one or more paintings."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Interval, Len
from torch import Tensor

from velatura.backbones import backbones, build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import Cancelled, ConfigError, VelaturaError
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.checkpoint import checkpointed_run
from velatura.engine.optimization import Checkpoints, Optimization, OptimizationStylizer
from velatura.engine.precision import PrecisionName, choose_device, choose_precision
from velatura.imaging import MAX_PIXELS, Picture, read_picture
from velatura.initializations import Picture as StartPicture
from velatura.jobs.record import machine_record
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.schema import assign, build
from velatura.ops.resize import fit, resize
from velatura.ops.threads import computing_threads
from velatura.presets import load_preset

__all__ = ["Stylization", "StylizeJob", "blend_weights", "run_stylize", "stylization", "stylize_pictures"]

_COMPUTED_IN = "precision computed in"


@dataclass(frozen=True, kw_only=True)
class Stylization:
    """How a picture is stylized, wherever the pictures come from."""

    preset: Annotated[str, Setting("Named settings that the others are laid over")] = "fast"
    method: Annotated[Optimization, Setting("What the preset sets, with every change")]
    size: Annotated[
        int | None,
        Ge(1),
        Setting("Longer edge of the result; unset: the photo's, up to the preset's", unit="pixels"),
    ] = None
    working_size: Annotated[
        int, Ge(1), Setting("Longer edge where no size is asked for, at most", unit="pixels")
    ]
    upsample: Annotated[bool, Setting("Enlarge the result to the photo's own size")] = False
    strength: Annotated[
        float, Interval(ge=0, le=100), Setting("Factor on the weight of the style; 0 gives the photo")
    ] = 1.0
    blend: Annotated[
        tuple[Annotated[float, Ge(0)], ...] | None, Setting("Weight of each painting; unset: all the same")
    ] = None
    seed: Annotated[int, Interval(ge=0, lt=2**63), Setting("Seed of everything that is drawn")] = 0
    device: Annotated[str, Setting("auto, cpu, cuda, cuda:N, mps or xpu")] = "auto"
    precision: Annotated[PrecisionName, Setting("What the network computes in")] = "auto"
    # Torch ends the process where the system gives it no more.
    threads: Annotated[int | None, Interval(ge=1, le=1024), Setting("Processor threads; unset: all")] = None

    def __post_init__(self) -> None:
        if self.upsample and self.size is not None:
            raise ConfigError("upsample enlarges to the photo's own size: it cannot go with a size")


@dataclass(frozen=True, kw_only=True)
class StylizeJob:
    """Files in, file out: everything that a worker needs."""

    content: Annotated[str, Setting("The photograph")]
    styles: Annotated[tuple[str, ...], Len(1), Setting("The paintings")]
    output: Annotated[str, Setting("Where the picture goes")]
    stylization: Annotated[Stylization, Setting("How")]
    saving: Annotated[Saving, Setting("What is written")] = field(default_factory=Saving)


def stylization(
    preset: str = "fast", *, changes: Mapping[str, Any] | None = None, **settings: Any
) -> Stylization:
    """Settings from a preset, changes laid over it.

    Args:
        preset: Name of the preset.
        changes: Dotted path in the method to value, such as ``{"optimizer.lr": 0.05}``.
        settings: Other fields of :class:`Stylization`.

    Raises:
        ConfigError: An unknown name, or a value of the wrong type or out of range.
    """
    base = load_preset(preset)
    method = build(Optimization, assign(Optimization, base.method, changes or {}))
    backbones[method.backbone.name]  # An unknown one is answered here, before any picture is read.
    return build(Stylization, {"preset": preset, "working_size": base.size, "method": method, **settings})


def blend_weights(blend: Sequence[float] | None, num_styles: int) -> tuple[float, ...]:
    """The weight of each painting, scaled to sum to 1.

    Raises:
        ConfigError: There are not as many weights as paintings, or they are all zero.
    """
    weights = tuple(blend) if blend is not None else (1.0,) * num_styles
    if len(weights) != num_styles:
        raise ConfigError(
            f"blend has {len(weights)} weights for {num_styles} style pictures; give one for each"
        )
    if sum(weights) <= 0:
        raise ConfigError("blend weights are all zero; at least one must be above 0")
    return tuple(weight / sum(weights) for weight in weights)


def _start_path(how: Stylization) -> str | None:
    initialization = how.method.initialization
    return initialization.path if isinstance(initialization, StartPicture) else None


def _start_picture(how: Stylization, start: Picture | None) -> Picture | None:
    name = how.method.initialization.name
    if start is not None and name != StartPicture.name:
        raise ConfigError(
            f"a picture to start from was given, but the initialisation is {name!r}, not 'picture'"
        )
    path = _start_path(how)
    if start is not None and path is not None:
        raise ConfigError(f"two pictures to start from were given, one of them {path}; leave one out")
    return read_picture(path) if path is not None else start


def _notes(how: Stylization, pictures: Sequence[Picture]) -> Iterator[str]:
    """What the user should know before anything is written, a line each."""
    for picture in pictures:
        yield from (f"{picture.name}: {note}" for note in picture.notes)
    draws = how.method.initialization.is_random or how.method.backbone.weights == "random"
    # Not an error: who gives a seed asks for the same picture again, and gets it.
    if how.seed != 0 and not draws:
        name = how.method.initialization.name
        yield f"seed {how.seed} changes nothing: the initialisation {name!r} draws nothing at random"


def _result_size(content: Picture, how: Stylization) -> tuple[int, int]:
    own = max(content.height, content.width)
    long_edge = min(own, how.working_size) if how.size is None else how.size
    height, width = fit(content.height, content.width, long_edge)
    # Said before the small scales are painted, not when the last one finds no room.
    if height * width > MAX_PIXELS:
        raise ConfigError(
            f"a size of {long_edge} makes {width}x{height} pixels, more than the limit of "
            f"{MAX_PIXELS / 1e6:g} megapixels; choose a smaller one"
        )
    return height, width


def stylize_pictures(
    content: Picture,
    styles: Sequence[Picture],
    how: Stylization,
    *,
    start: Picture | None = None,
    checkpoints: Checkpoints | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Stylizes pictures in memory.

    Args:
        content: The photograph; its alpha and profile go to the result.
        styles: The paintings; transparent parts are taken as white.
        how: Settings, from :func:`stylization`.
        start: The picture to start from, for the initialisation ``picture`` without a file.
        checkpoints: Where to save and what to go on from.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Raises:
        ConfigError: Settings that do not fit together or do not fit the pictures.
        WeightsError: The backbone's weights are missing, broken, or lack a layer.
        Cancelled: Cancelled before there was anything to return.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    start = _start_picture(how, start)
    blend = blend_weights(how.blend, len(styles))
    size = _result_size(content, how)
    if cancelled():
        raise Cancelled("interrupted before the first step")
    # A caller in inference mode gets no gradient otherwise.
    with torch.inference_mode(False), computing_threads(how.threads), _too_large_is_said(size):
        device = choose_device(how.device)
        backbone = build_backbone(how.method.backbone, seed=how.seed).to(device)
        precision = choose_precision(_precision_name(how, checkpoints), device, backbone)
        stylizer = OptimizationStylizer(
            how.method, backbone, precision=precision, strength=how.strength, seed=how.seed
        )
        record = {
            "stylization": to_mapping(how),
            "pictures": {
                "content": _fingerprint(content),
                "styles": [_fingerprint(style) for style in styles],
                "start": None if start is None else _fingerprint(start),
            },
            "weights": {"source": backbone.source, "sha256": backbone.weights_sha256},
            **machine_record(device, precision),
        }
        outcome = stylizer(
            content.pixels,
            [style.over().pixels for style in styles],
            blend=blend,
            size=size,
            start=None if start is None else start.pixels,
            checkpoints=_with_fingerprint(checkpoints, record),
            on_progress=on_progress,
            cancelled=cancelled,
        )
    return Result(
        picture=_dressed(outcome.pixels, content, how),
        history=outcome.history,
        interrupted=outcome.interrupted,
        record=record,
        notes=tuple(_notes(how, (content, *styles, *([] if start is None else [start])))),
    )


@contextlib.contextmanager
def _too_large_is_said(size: tuple[int, int]) -> Iterator[None]:
    """Turns each way in which memory runs out into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # Torch has an exception of its own for accelerators, and none for the processor.
        runs_out = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not runs_out:
            raise
        height, width = size
        raise VelaturaError(
            f"there is not enough memory for a picture of {width}x{height} pixels; choose a smaller size"
        ) from error


def _precision_name(how: Stylization, checkpoints: Checkpoints | None) -> PrecisionName:
    """What to compute in: a run that is resumed goes on in what it was begun in."""
    if how.precision != "auto" or checkpoints is None or checkpoints.resume_from is None:
        return how.precision
    begun_in: PrecisionName = checkpointed_run(checkpoints.resume_from).get(_COMPUTED_IN, "auto")
    return begun_in


def _with_fingerprint(checkpoints: Checkpoints | None, record: Mapping[str, Any]) -> Checkpoints | None:
    """What a run to be continued must agree in: what was asked for, and of what."""
    if checkpoints is None:
        return None
    settled = {key: value for key, value in record["stylization"].items() if key not in ("device", "threads")}
    prints = {
        **settled,
        _COMPUTED_IN: record["machine"]["precision"],
        "picture": record["pictures"],
        "weights file": record["weights"],
    }
    return Checkpoints(
        save_to=checkpoints.save_to,
        resume_from=checkpoints.resume_from,
        every_s=checkpoints.every_s,
        fingerprint=prints,
    )


def _fingerprint(picture: Picture) -> str:
    """Hash of the pixels, whatever file they came from."""
    return hashlib.sha256(picture.pixels.contiguous().numpy().tobytes()).hexdigest()


def _dressed(pixels: Tensor, content: Picture, how: Stylization) -> Picture:
    """The result at its size, with what the photograph has beside its pixels."""
    if how.upsample:
        pixels = resize(pixels[None], (content.height, content.width))[0].clamp(0, 1)
    alpha = content.alpha
    if alpha is not None:
        alpha = resize(alpha[None], (pixels.shape[1], pixels.shape[2]))[0].clamp(0, 1)
    return Picture(pixels=pixels, alpha=alpha, icc=content.icc, exif=content.exif, name=content.name)


def run_stylize(
    job: StylizeJob, *, on_progress: OnProgress = silent, cancelled: Callable[[], bool] = never
) -> Result:
    """Reads, stylizes, writes.

    Raises:
        ImageError: A picture cannot be read.
        ConfigError: Settings that do not fit together; files that would overwrite an input.
        WeightsError: The backbone's weights are missing, broken, or lack a layer.
        OutputError: A file cannot be written.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    writer = Writer(job.saving, output=Path(job.output), inputs=_inputs(job))
    content = read_picture(job.content)
    styles = [read_picture(path) for path in job.styles]
    writer.check(profile=content.icc, name=content.name)
    result = stylize_pictures(
        content,
        styles,
        job.stylization,
        checkpoints=writer.checkpoints(),
        on_progress=writer.with_previews(on_progress, name=content.name),
        cancelled=cancelled,
    )
    return replace(result, notes=result.notes + writer.write(result, to_mapping(job)))


def _inputs(job: StylizeJob) -> list[Path]:
    """Every file that the job reads, but for a checkpoint."""
    start, weights = _start_path(job.stylization), job.stylization.method.backbone.weights
    # Weights are a file or a name; a name is the path of nothing that the job could overwrite.
    return [Path(path) for path in (job.content, *job.styles, weights, start) if path is not None]
