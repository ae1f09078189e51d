"""The job of the house: a photograph in the style of one or more paintings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch

from velatura.backbones import build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import Cancelled, ConfigError
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.checkpoint import Checkpoints, checkpointed_run
from velatura.engine.method import Optimization
from velatura.engine.one_pass import OnePass
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.precision import PrecisionName, choose_device, choose_precision
from velatura.imaging import Picture, read_at_most, read_picture
from velatura.jobs.coloring import Coloring, color_notes
from velatura.jobs.memory import foretell_memory
from velatura.jobs.models import Model, find_model
from velatura.jobs.one_pass import stylize_in_one_pass
from velatura.jobs.record import machine_record
from velatura.jobs.regional import regional_run
from velatura.jobs.regions import PlacedPictures, Regions, placed_pictures
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.scale_mixing import check_fine, mixed_style
from velatura.jobs.start_picture import OnePassStart, files_to_start_from, given_start
from velatura.jobs.stylization import (
    Stylization,
    blend_notes,
    blend_weights,
    dressed,
    fingerprint,
    result_size,
    stylization,
    too_large_is_said,
    whatever_the_tile,
)
from velatura.ops.threads import computing_threads

__all__ = ["Stylization", "StylizeJob", "blend_weights", "run_stylize", "stylization", "stylize_pictures"]

_COMPUTED_IN = "precision computed in"

_NO_STYLE = "the preset {preset!r} needs a style picture; name a painting at least"

_OF_AN_OPTIMIZATION = ("history", "plot", "checkpoint", "resume", "save_every")


@dataclass(frozen=True, kw_only=True)
class StylizeJob:
    """Files in, file out: everything that a worker needs."""

    content: Annotated[str, Setting("The photograph")]
    styles: Annotated[
        tuple[str, ...], Setting("The paintings; none for a network that has its own styles")
    ] = ()
    output: Annotated[str, Setting("Where the picture goes")]
    regions: Annotated[Regions, Setting("Which of the paintings go where")] = field(default_factory=Regions)
    fine: Annotated[str | None, Setting("Painting whose fine texture the other is given first")] = None
    stylization: Annotated[Stylization, Setting("How")]
    saving: Annotated[Saving, Setting("What is written")] = field(default_factory=Saving)

    @property
    def pictures(self) -> tuple[str, ...]:
        """The picture files that it reads beside the photograph: paintings and masks."""
        method = self.stylization.method
        masks = method.masks if isinstance(method, OnePass) else ()
        fine = () if self.fine is None else (self.fine,)
        return (*self.styles, *fine, *masks, *self.regions.pictures)

    @property
    def placed(self) -> PlacedPictures | None:
        """The pictures of its regions, read; None: there are none."""
        method = self.stylization.method
        own = method.styles if isinstance(method, OnePass) else ()
        return placed_pictures(self.regions, self.styles or own) if self.regions else None

    def __post_init__(self) -> None:
        if isinstance(self.stylization.method, Optimization):
            if not self.styles:
                raise ConfigError(_NO_STYLE.format(preset=self.stylization.preset))
            return
        for name in _OF_AN_OPTIMIZATION:
            if getattr(self.saving, name) is not None:
                raise ConfigError(
                    f"{name} is of the steps of an optimisation, and a trained network has none; leave it out"
                )


def _notes(how: Stylization, method: Optimization, pictures: Sequence[Picture]) -> Iterator[str]:
    """What the user should know before anything is written, a line each."""
    for picture in pictures:
        yield from (f"{picture.name}: {note}" for note in picture.notes)
    yield from blend_notes(how.blend)
    draws = method.initialization.is_random or method.backbone.weights == "random"
    # Not an error: who gives a seed asks for the same picture again, and gets it.
    if how.seed != 0 and not draws:
        name = method.initialization.name
        yield f"seed {how.seed} changes nothing: the initialisation {name!r} draws nothing at random"


def stylize_pictures(
    content: Picture,
    styles: Sequence[Picture],
    how: Stylization,
    *,
    start: Picture | None = None,
    placed: PlacedPictures | None = None,
    fine: Picture | None = None,
    checkpoints: Checkpoints | None = None,
    model: Model | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Stylizes pictures in memory.

    Args:
        content: The photograph; its alpha and profile go to the result.
        styles: The paintings; transparent parts are taken as white.
        how: Settings, from :func:`stylization`.
        start: The picture to start from, for the initialisation ``picture`` without a file.
        placed: Which of the paintings go where; None: all of them everywhere.
        fine: The painting whose fine texture the only other one is given first.
        checkpoints: Where to save and what to go on from.
        model: The trained network that the settings name, where it is loaded already.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Raises:
        ConfigError: Settings that do not fit together or do not fit the pictures.
        WeightsError: The weights of backbone or network are missing, broken, or lack a layer.
        Cancelled: Cancelled before there was anything to return.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    method = how.method
    if isinstance(method, OnePass):
        if fine is not None:
            raise ConfigError(
                "a fine style is of an optimisation; leave it out, or choose a preset such as 'fast'"
            )
        if start is not None or checkpoints not in (None, Checkpoints()):
            raise ConfigError(
                "a picture to start from and checkpoints are of an optimisation; a trained network has no "
                "use for them, leave them out"
            )
        return stylize_in_one_pass(
            content,
            styles,
            how,
            method,
            placed=placed,
            model=model,
            on_progress=on_progress,
            cancelled=cancelled,
        )
    if not styles:
        raise ConfigError(_NO_STYLE.format(preset=how.preset))
    start = given_start(method.initialization, start)
    check_fine(fine, len(styles), method)
    made_of: Mapping[str, Any] = {}
    if fine is not None:
        styles, made_of = mixed_style(
            styles[0],
            fine,
            how,
            content,
            stylize_pictures,
            on_progress=on_progress,
            cancelled=cancelled,
        )
    result = _optimize(
        content,
        styles,
        how,
        method,
        start=start,
        placed=placed,
        checkpoints=checkpoints,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    pictures = {**result.record["pictures"], **made_of}
    return replace(result, record={**result.record, "pictures": pictures})


def _optimize(
    content: Picture,
    styles: Sequence[Picture],
    how: Stylization,
    method: Optimization,
    *,
    start: Picture | None,
    placed: PlacedPictures | None,
    checkpoints: Checkpoints | None,
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> Result:
    """The way of steps on the pixels."""
    size = result_size(content, how)
    regional = regional_run(placed, how, method, content, num_styles=len(styles), size=size)
    if cancelled():
        raise Cancelled("interrupted before the first step")
    # A caller in inference mode gets no gradient otherwise.
    with torch.inference_mode(False), computing_threads(how.threads), too_large_is_said(size):
        device = choose_device(how.device)
        backbone = build_backbone(method.backbone, seed=how.seed).to(device)
        precision = choose_precision(_precision_name(how, checkpoints), device, backbone)
        stylizer = OptimizationStylizer(
            method,
            backbone,
            precision=precision,
            strength=how.strength,
            seed=how.seed,
            placement=regional.placement,
        )
        regional.check(stylizer)
        one_pass = OnePassStart.of(method.initialization)
        memory = foretell_memory(
            stylizer,
            content,
            styles,
            size,
            saved=checkpoints is not None and checkpoints.save_to is not None,
            on_progress=on_progress,
        )
        record = {
            **memory,
            "stylization": to_mapping(how),
            "pictures": {
                "content": fingerprint(content),
                "styles": [fingerprint(style) for style in styles],
                "start": None if start is None else fingerprint(start),
                **regional.record,
            },
            "weights": {
                "source": backbone.source,
                "sha256": backbone.weights_sha256,
                **({} if one_pass is None else one_pass.record()),
            },
            **machine_record(device, precision),
        }
        coloring = Coloring(
            how.color,
            content.pixels,
            [style.over().pixels for style in styles],
            blend=regional.blend,
            size=size,
            style_sizes=[stylizer.looked_at(style.pixels, size, size) for style in styles],
        )
        if one_pass is None:
            begun = coloring.start(None if start is None else start.pixels)
        else:
            begun = one_pass.painted(coloring, how, regional, size=size, device=device, cancelled=cancelled)
        outcome = stylizer(
            coloring.content,
            coloring.styles,
            blend=regional.blend,
            size=size,
            start=begun,
            checkpoints=_with_fingerprint(checkpoints, record),
            on_progress=coloring.seen(on_progress),
            cancelled=cancelled,
        )
    return Result(
        picture=dressed(outcome.pixels, content, how, coloring),
        history=outcome.history,
        interrupted=outcome.interrupted,
        record=record,
        notes=(
            *_notes(how, method, (content, *styles, *([] if start is None else [start]))),
            *color_notes(how.color, content),
            *outcome.notes,
            *regional.notes,
        ),
    )


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
    settled["method"] = whatever_the_tile(settled["method"])
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


def run_stylize(
    job: StylizeJob,
    *,
    model: Model | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Reads, stylizes, writes.

    Args:
        job: What to do.
        model: The trained network that the job names, where it is loaded already.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Raises:
        ImageError: A picture cannot be read.
        ConfigError: Settings that do not fit together; files that would overwrite an input.
        WeightsError: The backbone's weights are missing, broken, or lack a layer.
        OutputError: A file cannot be written.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    writer = Writer(job.saving, output=Path(job.output), inputs=_inputs(job))
    content, styles = _read(job)
    writer.check(profile=content.icc, name=content.name)
    result = stylize_pictures(
        content,
        styles,
        job.stylization,
        placed=job.placed,
        fine=None if job.fine is None else read_picture(job.fine),
        checkpoints=writer.checkpoints(),
        model=model,
        on_progress=writer.with_previews(on_progress, name=content.name),
        cancelled=cancelled,
    )
    return replace(result, notes=result.notes + writer.write(result, to_mapping(job)))


def _read(job: StylizeJob) -> tuple[Picture, list[Picture]]:
    """The photograph and the paintings; what memory is too small for, no larger than it is of use."""
    how = job.stylization
    if how.upsample:
        return read_picture(job.content), [read_picture(path) for path in job.styles]
    content = read_at_most(job.content, how.working_size if how.size is None else how.size)
    edge = max(result_size(content, how))
    if isinstance(how.method, Optimization):
        edge = how.method.style_size or max(1, round(edge * how.method.style_scale))
    return content, [read_at_most(path, edge) for path in job.styles]


def _inputs(job: StylizeJob) -> list[Path]:
    """Every file that the job reads, but for a checkpoint."""
    method = job.stylization.method
    if isinstance(method, OnePass):
        files = [find_model(method.model)]
    else:
        # Weights are a file or a name; a name is the path of nothing that the job could overwrite.
        files = [Path(method.backbone.weights), *files_to_start_from(method.initialization)]
    return [*(Path(path) for path in (job.content, *job.pictures)), *files]
