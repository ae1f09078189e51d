"""The job that trains a network which stylises in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
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
from velatura.core.rng import generator
from velatura.engine.precision import choose_device, choose_precision
from velatura.engine.train import (
    Batches,
    Cadence,
    Cropping,
    HeldOut,
    Location,
    Pictures,
    Processes,
    Report,
    Saving,
    Trainer,
    Training,
    joined_processes,
    resume,
    train,
)
from velatura.jobs.record import machine_record
from velatura.jobs.schema import assign, build
from velatura.jobs.sources import hold_out, pictures_under
from velatura.jobs.training_log import TrainingLog
from velatura.networks import Network
from velatura.networks.encoder import Encoder
from velatura.networks.files import ModelRecord, write_model
from velatura.ops.resize import fit
from velatura.ops.resize import resize as resized
from velatura.ops.threads import computing_threads
from velatura.presets import load_preset, preset_names

__all__ = ["TrainJob", "Trained", "run_train", "training"]

MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
_PAPERS = {
    "johnson": "johnson2016",
    "texture-net": "ulyanov2016",
    "cin": "dumoulin2017",
    "adain": "huang2017",
}
_MOST_HELD_OUT = 16


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
    """

    path: Path
    interrupted: bool
    notes: tuple[str, ...] = ()


def training(name: str, *, changes: Mapping[str, Any] | None = None) -> tuple[str, Training]:
    """A training preset's name and its settings, changes laid over them.

    Args:
        name: A training preset, or a network, which stands for the preset of its paper.
        changes: Dotted path to value, such as ``{"backbone.name": "vgg19-slim"}``.

    Raises:
        ConfigError: An unknown name, a preset of another kind, or a value that does not fit.
    """
    preset = _PAPERS.get(name, name)
    if preset not in preset_names():
        raise unknown_name("training preset or network", name, [*preset_names("training"), *_PAPERS])
    mapping = assign(Training, load_preset(preset).training, changes or {})
    return preset, build(Training, mapping)


@dataclass(frozen=True)
class _Sources:
    """The pictures of a run, as their places."""

    contents: list[Location]
    held_contents: list[Location]
    styles: list[Location]
    held_styles: list[Location]


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
    sources = _sources(job)
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
    sources: _Sources,
    device: torch.device,
    processes: Processes,
    *,
    on_report: Callable[[Report], None],
    cancelled: Callable[[], bool],
) -> Trained:
    folder = Path(job.output)
    trainer, record = _trainer(job, sources, device, processes)
    saving = Saving(
        checkpoint=folder / CHECKPOINT,
        fingerprint=_fingerprint(job, sources),
        on_saved=lambda: _write(folder / MODEL, trainer, record),
    )
    if job.resume:
        resume(trainer, saving)
    held_out, unreadable = _held_out(job.training, sources, trainer.network)
    with TrainingLog(folder, after=trainer.step, is_writing=processes.is_first) as log:

        def tell(report: Report) -> None:
            log.add(report)
            on_report(report)

        interrupted = train(
            trainer,
            _batches(job.training, sources, trainer.network, processes),
            held_out,
            saving=saving,
            on_report=tell,
            cancelled=cancelled,
            workers=job.workers,
            cadence=Cadence(report=job.report_every, validate=job.validate_every, save_s=job.save_every),
        )
    broken = sorted({*unreadable, *log.broken})
    notes = [f"{len(broken)} pictures could not be read: {'; '.join(broken[:5])}"] if broken else []
    return Trained(path=folder / MODEL, interrupted=interrupted, notes=(*log.notes, *notes))


def _check_folder(folder: Path, *, resuming: bool) -> None:
    there = [name for name in (CHECKPOINT, MODEL) if (folder / name).exists()]
    if resuming and CHECKPOINT not in there:
        raise ConfigError(f"cannot resume: {folder} holds no {CHECKPOINT}; start without --resume")
    if there and not resuming:
        raise ConfigError(
            f"{folder} holds a run already ({', '.join(there)}); go on with it by --resume, "
            "or name another folder"
        )
    check_writable(folder / CHECKPOINT)


def _sources(job: TrainJob) -> _Sources:
    contents = pictures_under(Path(job.contents))
    if not contents:
        raise ConfigError(f"{job.contents} holds no picture to learn from")
    styles = [location for source in job.styles for location in pictures_under(Path(source))]
    if not styles:
        raise ConfigError(f"{', '.join(job.styles)}: no picture to take a style from")
    kind = job.training.network.styles
    if kind == "one" and len(styles) != 1:
        raise ConfigError(
            f"a {job.training.network.name} network learns one style, and {len(styles)} paintings were given"
        )
    learnt, held = _shared_out(contents)
    if kind == "any":
        return _Sources(learnt, held, *_shared_out(styles))
    names = _style_names(styles)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two styles would be called {', '.join(twice)}, after their files; rename one of the files"
        )
    return _Sources(learnt, held, styles, styles)


def _shared_out(locations: list[Location]) -> tuple[list[Location], list[Location]]:
    """To learn from, and to validate on; a single picture is both."""
    learnt, held = hold_out(locations, most=_MOST_HELD_OUT)
    return learnt or locations, held


def _style_names(styles: Sequence[Location]) -> list[str]:
    return [Path(style.name).stem for style in styles]


def _trainer(
    job: TrainJob, sources: _Sources, device: torch.device, processes: Processes
) -> tuple[Trainer, ModelRecord]:
    config = job.training
    own = [] if config.network.styles == "any" else sources.styles
    network = config.network.build(
        num_styles=max(1, len(own)), rng=generator(config.seed, "network weights")
    ).to(device)
    backbone = build_backbone(config.backbone, seed=config.seed).to(device)
    precision = choose_precision(config.precision, device, backbone)
    trainer = Trainer(
        config,
        network,
        backbone,
        precision=precision,
        paintings=[_painting(style, config.style_size).to(device) for style in own],
        processes=processes,
    )
    record = ModelRecord(
        config=to_mapping(config.network),
        style_names=tuple(_style_names(own)),
        style_sha256=tuple(hashlib.sha256(style.content()).hexdigest() for style in own),
        encoder_sha256=_encoder_sha256(network),
        training={
            **_fingerprint(job, sources),
            "preset": job.preset,
            "weights": {"source": backbone.source, "sha256": backbone.weights_sha256},
            **machine_record(device, precision),
        },
    )
    return trainer, record


def _encoder_sha256(network: Network) -> str | None:
    encoders = [module for module in network.modules() if isinstance(module, Encoder)]
    return encoders[0].backbone.weights_sha256 if encoders else None


def _painting(style: Location, long_edge: int) -> Tensor:
    """``(1, 3, h, w)`` in [0, 1]; no larger than it is."""
    pixels = style.read()[None]
    height, width = pixels.shape[-2:]
    return resized(pixels, fit(height, width, long_edge)).clamp(0, 1)


def _fingerprint(job: TrainJob, sources: _Sources) -> dict[str, Any]:
    """What makes the run the one that it is; that it may be made longer is no difference."""
    settings = to_mapping(job.training)
    del settings["steps"]
    return {
        "training": settings,
        "contents": _listing([*sources.contents, *sources.held_contents]),
        "styles": _listing([*sources.styles, *sources.held_styles]),
    }


def _listing(locations: Sequence[Location]) -> dict[str, Any]:
    names = "\n".join(location.name for location in locations)
    return {"pictures": len(set(locations)), "names_sha256": hashlib.sha256(names.encode()).hexdigest()}


def _cropping(config: Training) -> Cropping:
    return Cropping(
        framing=config.framing, crop=config.crop, short_edge=config.short_edge, mirror=config.mirror
    )


def _batches(config: Training, sources: _Sources, network: Network, processes: Processes) -> Batches:
    cropping = _cropping(config)
    return Batches(
        Pictures(sources.contents, cropping),
        Pictures(sources.styles, cropping) if network.styles == "any" else None,
        num_styles=network.num_styles if network.styles == "many" else 0,
        batch=config.batch,
        seed=config.seed,
        rank=processes.rank,
        world=processes.world,
    )


def _held_out(config: Training, sources: _Sources, network: Network) -> tuple[HeldOut, list[str]]:
    """The middle of each held-out picture, and what could not be read."""
    cropping = replace(
        _cropping(config), framing="square" if config.framing == "square" else "centre", mirror=False
    )
    contents = Pictures(sources.held_contents, cropping)
    styles = Pictures(sources.held_styles, cropping) if network.styles == "any" else None
    held = HeldOut(
        contents=_all_of(contents),
        styles=None if styles is None else _all_of(styles),
        num_styles=network.num_styles if network.styles == "many" else 0,
    )
    return held, [*contents.broken.values(), *(styles.broken.values() if styles else ())]


def _all_of(pictures: Pictures) -> Tensor:
    rng = generator(0, "held out")
    return torch.stack([pictures.square(n, rng) for n in range(len(pictures.locations))])


def _write(path: Path, trainer: Trainer, record: ModelRecord) -> None:
    progress = {"step": trainer.step, "steps": trainer.config.steps}
    write_model(path, trainer.averaged, replace(record, training={**record.training, **progress}))
