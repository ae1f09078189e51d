"""The job that trains a network which stylises in one pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Interval, Len
from torch import Tensor

from velatura.backbones import build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import ConfigError, unknown_name
from velatura.core.files import check_writable
from velatura.core.progress import never
from velatura.engine.precision import choose_device, choose_precision
from velatura.engine.train import (
    Cadence,
    Location,
    Processes,
    Report,
    Saving,
    Trainer,
    Training,
    joined_processes,
    resume,
    train,
)
from velatura.jobs.models import MODEL_FILE, load_model
from velatura.jobs.record import machine_record
from velatura.jobs.schema import assign, build
from velatura.jobs.sources import Sources, batches_of, find_sources, held_out_of
from velatura.jobs.starting import Start, start_of
from velatura.jobs.training_log import TrainingLog
from velatura.networks.files import ModelRecord, write_model
from velatura.ops.resize import fit, resize
from velatura.ops.threads import computing_threads
from velatura.presets import load_preset, preset_names

__all__ = ["TrainJob", "Trained", "run_train", "training"]

CHECKPOINT = "checkpoint.safetensors"
_PAPERS = {
    "johnson": "johnson2016",
    "texture-net": "ulyanov2016",
    "cin": "dumoulin2017",
    "adain": "huang2017",
}


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What to train, on which pictures, and where the run is kept."""

    preset: Annotated[str, Setting("Named settings that the others are laid over")]
    training: Annotated[Training, Setting("What the preset sets, with every change")]
    contents: Annotated[str, Setting("Photographs to learn from: a folder, with all in it, or a tar")]
    styles: Annotated[
        tuple[str, ...],
        Len(1),
        Setting("Paintings: files, folders or tars; as many as the network tells apart, or any number"),
    ]
    output: Annotated[str, Setting("Folder for model, checkpoint, log and validation pictures")]
    start: Annotated[
        str | None,
        Setting("Model to start from; one of many styles learns the painting as one more, and nothing else"),
    ] = None
    resume: Annotated[bool, Setting("Go on with the run in that folder")] = False
    workers: Annotated[int, Interval(ge=0, le=256), Setting("Processes that decode pictures")] = 1
    threads: Annotated[int | None, Interval(ge=1, le=1024), Setting("Processor threads; unset: all")] = None
    device: Annotated[str, Setting("auto, cpu, cuda, cuda:N, mps or xpu")] = "auto"
    report_every: Annotated[int, Ge(1), Setting("Steps between two lines of the log")] = 20
    validate_every: Annotated[
        int, Ge(1), Setting("Steps between two validations, each with a checkpoint")
    ] = 500
    save_every: Annotated[float, Ge(0), Setting("Time between two checkpoints", unit="seconds")] = 300.0


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training ends with.

    Args:
        path: The model file.
        interrupted: Whether it was cancelled before its last step.
        notes: What the user should know, a line each.
        is_first: Whether this process is the one that wrote, of those that trained together.
    """

    path: Path
    interrupted: bool
    notes: tuple[str, ...] = ()
    is_first: bool = True


def training(
    name: str, *, changes: Mapping[str, Any] | None = None, start: str | None = None
) -> tuple[str, Training]:
    """A training preset's name and its settings, changes laid over them.

    Args:
        name: A training preset, or a network, which stands for the preset of its paper.
        changes: Dotted path to value, such as ``{"backbone.name": "vgg19-slim"}``. Another backbone comes
            with its own weights unless others are named.
        start: Model to start from, whose network it is then.

    Raises:
        ConfigError: An unknown name, a preset of another kind, or a value that does not fit; a change of the
            network of a model, or a model of another network.
        WeightsError: The model is missing or broken.
    """
    preset = _PAPERS.get(name, name)
    if preset not in preset_names():
        raise unknown_name("training preset or network", name, [*preset_names("training"), *_PAPERS])
    settings = _with_own_weights(load_preset(preset).training, changes or {})
    if start is not None:
        settings["network"] = _network_of(start, settings["network"]["name"], changes or {})
    return preset, build(Training, assign(Training, settings, changes or {}))


def _with_own_weights(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's settings; where a change names another backbone, without the weights of the preset's."""
    kept = copy.deepcopy(dict(settings))
    for path in ("backbone", "network.backbone"):
        if f"{path}.name" in changes:
            table = kept
            for key in path.split("."):
                table = table.get(key, {})
            table.pop("weights", None)
    return kept


def _network_of(model: str, wanted: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    if ours := sorted(path for path in changes if path.split(".")[0] == "network"):
        raise ConfigError(f"{ours[0]} is decided by the model to start from; leave it out")
    settings = dict(load_model(model).record.config)
    if settings["name"] != wanted:
        raise ConfigError(f"{model} is a {settings['name']} network, and the preset trains {wanted}")
    return settings


def run_train(
    job: TrainJob,
    *,
    on_report: Callable[[Report], None] = lambda _: None,
    cancelled: Callable[[], bool] = never,
) -> Trained:
    """Trains, or goes on training, and writes the model.

    Args:
        job: What to train, on which pictures.
        on_report: Told now and then, in the first process only.
        cancelled: Asked before every step; the run is saved.

    Raises:
        ConfigError: Pictures or settings that do not fit; a run in the folder that nobody asked to go on
            with, or one of other settings.
        ImageError: A painting of a network's own styles cannot be read.
        OutputError: Nothing can be written to the folder; or no more: the last checkpoint stays.
        WeightsError: The backbone's weights are missing or broken.
        VelaturaError: Loss or gradient is not finite; the batch was saved.
    """
    folder = Path(job.output)
    _check_folder(folder, resuming=job.resume)
    sources = find_sources(job.contents, job.styles, job.training.network)
    device = choose_device(job.device)
    # A caller in inference mode gets no gradient otherwise.
    with (
        torch.inference_mode(False),
        computing_threads(job.threads),
        joined_processes(device.type) as processes,
    ):
        if processes.world > 1 and device.type == "cuda":
            device = torch.device("cuda", processes.local_rank)
        return _run(job, sources, device, processes, on_report=on_report, cancelled=cancelled)


def _run(
    job: TrainJob,
    sources: Sources,
    device: torch.device,
    processes: Processes,
    *,
    on_report: Callable[[Report], None],
    cancelled: Callable[[], bool],
) -> Trained:
    folder = Path(job.output)
    start = start_of(job.training, sources, job.start)
    trainer = _trainer(job, sources, start, device, processes)
    fingerprint = _fingerprint(job, sources, start)
    saving = Saving(
        checkpoint=folder / CHECKPOINT,
        fingerprint=fingerprint,
        on_saved=lambda: write_model(
            folder / MODEL_FILE, trainer.averaged, _record(trainer, job, start, fingerprint)
        ),
    )
    if job.resume:
        resume(trainer, saving)
    held_out, unreadable = held_out_of(sources, job.training)
    with TrainingLog(folder, after=trainer.step, is_writing=processes.is_first) as log:

        def tell(report: Report) -> None:
            log.add(report)
            on_report(report)

        interrupted = train(
            trainer,
            batches_of(sources, job.training, processes),
            held_out,
            saving=saving,
            on_report=tell,
            cancelled=cancelled,
            workers=job.workers,
            cadence=Cadence(report=job.report_every, validate=job.validate_every, save_s=job.save_every),
        )
    broken = sorted({*unreadable, *log.broken})
    notes = [f"{len(broken)} pictures could not be read: {'; '.join(broken[:5])}"] if broken else []
    return Trained(
        path=folder / MODEL_FILE,
        interrupted=interrupted,
        notes=(*log.notes, *notes),
        is_first=processes.is_first,
    )


def _check_folder(folder: Path, *, resuming: bool) -> None:
    there = [name for name in (CHECKPOINT, MODEL_FILE) if (folder / name).exists()]
    if resuming and CHECKPOINT not in there:
        raise ConfigError(f"cannot resume: {folder} holds no {CHECKPOINT}; start without --resume")
    if there and not resuming:
        raise ConfigError(
            f"{folder} holds a run already ({', '.join(there)}); go on with it by --resume, "
            "or name another folder"
        )
    check_writable(folder / CHECKPOINT)


def _trainer(
    job: TrainJob, sources: Sources, start: Start, device: torch.device, processes: Processes
) -> Trainer:
    config = job.training
    backbone = build_backbone(config.backbone, seed=config.seed).to(device)
    return Trainer(
        config,
        start.network.to(device),
        backbone,
        precision=choose_precision(config.precision, device, backbone),
        paintings=[_painting(style, config.style_size).to(device) for style in sources.own],
        processes=processes,
    )


def _painting(style: Location, long_edge: int) -> Tensor:
    """``(1, 3, h, w)`` in [0, 1]."""
    pixels = style.read()[None]
    height, width = pixels.shape[-2:]
    return resize(pixels, fit(height, width, long_edge)).clamp(0, 1)


def _fingerprint(job: TrainJob, sources: Sources, start: Start) -> dict[str, Any]:
    """What makes the run the one that it is; that it may be made longer is no difference."""
    settings = to_mapping(job.training)
    del settings["steps"]
    return {"training": settings, "start": start.sha256, **sources.record()}


def _record(trainer: Trainer, job: TrainJob, start: Start, fingerprint: Mapping[str, Any]) -> ModelRecord:
    backbone = trainer.objective.backbone
    history = {
        **fingerprint,
        "preset": job.preset,
        "weights": {"source": backbone.source, "sha256": backbone.weights_sha256},
        "step": trainer.step,
        "steps": trainer.config.steps,
        **machine_record(trainer.device, trainer.precision),
    }
    return replace(start.record, training=history)
