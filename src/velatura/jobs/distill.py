"""The job that made ``vgg19-slim``: a narrow backbone learns from wide ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Len

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.config import Setting, to_mapping
from velatura.core.errors import ConfigError
from velatura.core.files import check_writable
from velatura.core.progress import never
from velatura.core.rng import generator
from velatura.engine.distill import (
    Crops,
    DistillationConfig,
    Lesson,
    Student,
    Teacher,
    Teachers,
    distill,
)
from velatura.engine.precision import laid_out
from velatura.jobs.pictures import pictures_in
from velatura.jobs.sources import hold_out
from velatura.weights import Weights, write_slim

__all__ = ["DistillJob", "run_distill"]


@dataclass(frozen=True, kw_only=True)
class DistillJob:
    """What to learn, from whom, on which pictures."""

    contents: Annotated[str, Setting("Folder of photographs to learn from")]
    styles: Annotated[str, Setting("Folder of paintings to learn from")]
    teachers: Annotated[
        tuple[str, ...],
        Len(1),
        Setting("VGG-19 weights by name or file; each teaches the layers above those of the one before"),
    ]
    output: Annotated[str, Setting("Folder for checkpoint, log and weights; a run there is continued")]
    name: Annotated[str, Setting("Name of the weights file, without suffix")] = "vgg19-slim"
    config: Annotated[DistillationConfig, Setting("How long and how fast")] = field(
        default_factory=DistillationConfig
    )


def run_distill(
    job: DistillJob, *, on_lesson: Callable[[Lesson], None], cancelled: Callable[[], bool] = never
) -> Path:
    """Trains, or goes on training, and writes the student's weights as float16 safetensors.

    Args:
        job: What to learn, from whom, on which pictures.
        on_lesson: Told of the errors now and then.
        cancelled: Asked before every step; what was learnt is saved.

    Returns:
        The weights file. Beside it stand ``checkpoint.safetensors`` and ``log.jsonl``.

    Raises:
        ConfigError: A folder without pictures; a teacher who teaches nothing new; a checkpoint of
            another network.
        OutputError: Nothing can be written to the output folder.
        WeightsError: A teacher's weights are missing or broken.
    """
    folder = Path(job.output)
    check_writable(folder / "log.jsonl")
    contents, held_contents = hold_out(_pictures(job.contents))
    styles, held_styles = hold_out(_pictures(job.styles))
    size = job.config.crop
    crops = {name: Crops(paths, size=size) for name, paths in (("contents", contents), ("styles", styles))}
    teachers = _teachers(job.teachers, crops["contents"], crops["styles"], seed=job.config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:

        def tell(lesson: Lesson) -> None:
            log.write(json.dumps(to_mapping(lesson)) + "\n")
            log.flush()
            on_lesson(lesson)

        student = distill(
            job.config,
            teachers,
            contents=crops["contents"],
            styles=crops["styles"],
            held_out=Crops([*held_contents, *held_styles], size=size),
            checkpoint=folder / "checkpoint.safetensors",
            on_lesson=tell,
            cancelled=cancelled,
        )
    path = folder / f"{job.name}.safetensors"
    write_slim(_weights_of(student), path, dtype="float16", metadata=_provenance(job, teachers))
    return path


def _pictures(folder: str) -> list[Path]:
    try:
        found = pictures_in(Path(folder))
    except OSError as error:
        raise ConfigError(f"{folder} is no folder of pictures: {error.strerror}") from error
    if len(found) < 2:
        raise ConfigError(f"{folder} holds {len(found)} pictures; training needs at least 2")
    return found


def _teachers(names: Iterable[str], contents: Crops, styles: Crops, *, seed: int) -> Teachers:
    taught: set[str] = set()
    teachers = []
    for name in names:
        # Zeros beyond the edge would teach a dark frame that the student, who replicates, cannot see.
        backbone = build_backbone(BackboneConfig(name="vgg19", weights=name, padding="replicate"))
        layers = tuple(layer for layer in backbone.layers if layer.startswith("relu") and layer not in taught)
        layers = tuple(layer for layer in layers if layer <= "relu5_1")
        if not layers:
            raise ConfigError(f"teacher {name} has no layer that the ones before it do not teach")
        taught |= set(layers)
        teachers.append(Teacher(laid_out(backbone, torch.channels_last), layers))
    rng = generator(seed, "teachers' scale")
    sample = torch.cat([(contents if i % 2 else styles).draw(rng) for i in range(32)])
    return Teachers(teachers, sample)


def _weights_of(student: Student) -> Weights:
    return Weights(
        state=dict(student.encoder.state_dict()),
        preprocessing="torchvision",
        padding="replicate",
        pooling="average",
        source="distilled by Velatura",
        licence="Apache-2.0",
    )


def _provenance(job: DistillJob, teachers: Teachers) -> Mapping[str, str]:
    hashes: dict[str, Any] = {t.backbone.source: t.backbone.weights_sha256 for t in teachers.teachers}
    return {"velatura.teachers": json.dumps(hashes), "velatura.recipe": json.dumps(to_mapping(job.config))}
