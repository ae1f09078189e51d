"""The training loop of a distillation: label, remember, learn, save."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval, MultipleOf
from torch import Tensor

from velatura.core.config import Idle, Setting
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.engine.checkpoint import read_tensors, write_tensors
from velatura.engine.distill.diet import Chains, Crops, disturb, uniform
from velatura.engine.distill.student import Student, Teachers
from velatura.engine.precision import laid_out

__all__ = ["DistillationConfig", "Lesson", "distill", "relative_errors"]


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """How long and how fast a student learns."""

    widths: Annotated[tuple[int, int, int, int, int], Setting("Channels of the five blocks")] = (
        16,
        32,
        64,
        128,
        128,
    )
    steps: Annotated[int, Ge(0), Setting("Steps in all, those of an earlier run counted")] = 10_000
    cooldown: Annotated[int, Ge(0), Setting("Last steps, over which the step size falls to a hundredth")] = (
        2_000
    )
    batch: Annotated[int, Ge(1), Setting("Crops a step, drawn from those remembered")] = 8
    fresh: Annotated[int, Ge(1), Setting("Crops labelled a step")] = 2
    remembered: Annotated[int, Ge(1), Setting("Labelled crops kept")] = 256
    crop: Annotated[
        int, Ge(32), MultipleOf(16), Setting("Edge of a crop, a multiple of 16", unit="pixels")
    ] = 128
    lr: Annotated[float, Gt(0), Setting("Adam's step size")] = 1e-3
    warmup: Annotated[int, Ge(0), Setting("First steps, over which the step size rises")] = 100
    average: Annotated[float, Interval(ge=0, lt=1), Setting("Decay of the averaged weights")] = 0.998
    chains: Annotated[
        float, Interval(ge=0, le=1), Setting("Share of crops taken from stylizations in progress")
    ] = 0.5
    disturbed: Annotated[
        float,
        Interval(ge=0, le=1),
        Setting("Share of the other crops that are disturbed"),
        Idle("chains", (1,)),
    ] = 0.5
    seed: Annotated[int, Ge(0), Setting("Seed of everything that is drawn")] = 0


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Where a training stands.

    Args:
        step: Steps done.
        errors: Squared error by layer relative to the labels' mean square; a running mean, or the
            held-out figure where ``held_out`` is set.
        held_out: Whether ``errors`` were measured with the averaged weights on held-out crops.
        seconds: Wall time of this run.
    """

    step: int
    errors: dict[str, float]
    held_out: bool
    seconds: float


@dataclass
class _Remembered:
    image: Tensor  # (1, 3, H, W)
    labels: dict[str, Tensor]  # float16, thinned
    offset: tuple[int, int]


def _thin(maps: Tensor, layer: str, offset: tuple[int, int]) -> Tensor:
    """Every second row and column of the two shallow blocks, where neighbours say much the same."""
    if layer[4] in "12":
        return maps[..., offset[0] :: 2, offset[1] :: 2]
    return maps


class _Memory:
    """Labelled crops; a new one takes the place of a random one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.crops: list[_Remembered] = []

    def add(self, crop: _Remembered, rng: torch.Generator) -> None:
        if len(self.crops) < self.size:
            self.crops.append(crop)
        else:
            self.crops[int(torch.randint(self.size, (), generator=rng))] = crop

    def draw(self, count: int, rng: torch.Generator) -> list[_Remembered]:
        return [self.crops[i] for i in torch.randint(len(self.crops), (count,), generator=rng).tolist()]


def relative_errors(student: Student, crops: list[_Remembered]) -> dict[str, Tensor]:
    """By layer, the mean over crops of squared error over the labels' mean square.

    Args:
        student: Whose heads predict the labels.
        crops: Of one size, whose labels are every second row and column in the two shallow blocks.
    """
    images = torch.cat([crop.image for crop in crops])
    features = student.features(images.contiguous(memory_format=torch.channels_last))
    errors = {}
    for layer, maps in features.items():
        thinned = torch.cat([_thin(maps[i : i + 1], layer, crop.offset) for i, crop in enumerate(crops)])
        wanted = torch.cat([crop.labels[layer] for crop in crops]).float()
        squared = (student.heads[layer](thinned) - wanted).square().mean((1, 2, 3))
        # Flat crops have next to no signal; the offset keeps them from ruling the mean.
        errors[layer] = (squared / (wanted.square().mean((1, 2, 3)) + 0.1)).mean()
    return errors


def _lr(config: DistillationConfig, step: int) -> float:
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    left = min(1.0, max(0, config.steps - step) / max(1, config.cooldown))
    return config.lr * rise * (0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * left)))


class _Training:
    """Everything that a distillation carries from step to step."""

    def __init__(
        self, config: DistillationConfig, teachers: Teachers, contents: Crops, styles: Crops, held_out: Crops
    ) -> None:
        self.config, self.teachers = config, teachers
        self.contents, self.styles, self.held_out = contents, styles, held_out
        self.student = laid_out(Student(config.widths, teachers.channels), torch.channels_last)
        self.averaged = laid_out(Student(config.widths, teachers.channels), torch.channels_last)
        self.optimizer = torch.optim.Adam(self.student.parameters(), lr=config.lr, betas=(0.9, 0.99))
        self.chains = Chains(contents, styles)
        self.memory = _Memory(config.remembered)
        self.step = 0

    def start(self) -> None:
        rng = generator(self.config.seed, "start")
        batches = [
            torch.cat([(self.contents if i % 2 else self.styles).draw(rng) for i in range(8)])
            for _ in range(6)
        ]
        self.student.start_from(self.teachers, batches)
        self.averaged.load_state_dict(self.student.state_dict())

    def _label(self, images: Tensor, rng: torch.Generator) -> Iterator[_Remembered]:
        labels = self.teachers.label(images.contiguous(memory_format=torch.channels_last))
        for i in range(len(images)):
            offset = (int(torch.randint(2, (), generator=rng)), int(torch.randint(2, (), generator=rng)))
            own = {name: _thin(maps[i : i + 1], name, offset).half() for name, maps in labels.items()}
            yield _Remembered(images[i : i + 1], own, offset)

    def _fresh(self, rng: torch.Generator) -> Tensor:
        if uniform(rng) < self.config.chains:
            self.student.requires_grad_(False)
            canvas = self.chains.advance(self.student.features, rng)
            self.student.requires_grad_(True)
            return canvas
        crop = (self.contents if uniform(rng) < 0.5 else self.styles).draw(rng)
        return disturb(crop, self.styles.draw(rng), rng) if uniform(rng) < self.config.disturbed else crop

    def advance(self) -> dict[str, Tensor]:
        """One step; returns each layer's error on the crops that it learnt from."""
        rng = generator(self.config.seed, f"step {self.step}")
        # The first step of a run fills the memory with four batches.
        count = self.config.fresh if self.memory.crops else 4 * self.config.batch
        for _ in range(0, count, self.config.fresh):
            images = torch.cat([self._fresh(rng) for _ in range(self.config.fresh)])
            for crop in self._label(images, rng):
                self.memory.add(crop, rng)
        for group in self.optimizer.param_groups:
            group["lr"] = _lr(self.config, self.step)
        self.optimizer.zero_grad()
        errors = relative_errors(self.student, self.memory.draw(self.config.batch, rng))
        torch.autograd.backward(torch.stack(list(errors.values())).mean())
        self.optimizer.step()
        self.step += 1
        decay = min(self.config.average, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(self.averaged.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return {layer: error.detach() for layer, error in errors.items()}

    @torch.no_grad()
    def validate(self, count: int = 32) -> dict[str, float]:
        """The averaged student's errors on crops of pictures that it never learns from."""
        rng = generator(self.config.seed, "held out")
        total: dict[str, float] = {}
        for _ in range(count // 4):
            images = torch.cat([self.held_out.draw(rng) for _ in range(4)])
            for layer, error in relative_errors(self.averaged, list(self._label(images, rng))).items():
                total[layer] = total.get(layer, 0.0) + float(error) / (count // 4)
        return total

    def save(self, path: Path) -> None:
        """A checkpoint of safetensors, from which the run goes on."""
        tensors = {f"student.{key}": value for key, value in self.student.state_dict().items()}
        tensors |= {f"averaged.{key}": value for key, value in self.averaged.state_dict().items()}
        tensors |= {f"scale.{layer}": value for layer, value in self.teachers.scales.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        write_tensors(path, tensors, {"step": str(self.step), "config": json.dumps(asdict(self.config))})

    def restore(self, path: Path) -> None:
        """Continues from a checkpoint, with the labels that it was taken with.

        Weights, averaged weights, Adam's state, the labels' scales and the step are those of the
        checkpoint; crops are drawn and labelled anew, and stylizations in progress start anew.

        Raises:
            ConfigError: The file is broken, or of a student of other widths or of other teachers.
        """
        tensors, metadata = read_tensors(path)
        if not {"step", "config"} <= set(metadata):
            raise ConfigError(f"cannot resume: {path} is no checkpoint of a distillation")
        widths = tuple(json.loads(metadata["config"])["widths"])
        if widths != self.config.widths:
            raise ConfigError(f"{path} trains widths {widths}, not {self.config.widths}")
        if _shapes(_under("student.", tensors)) != _shapes(self.student.state_dict()):
            raise ConfigError(f"{path} learns from teachers of other layers or channels; give it those")
        self.student.load_state_dict(_under("student.", tensors))
        self.averaged.load_state_dict(_under("averaged.", tensors))
        # Checkpoints of before they were kept have none.
        self.teachers.scales |= _under("scale.", tensors)
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("adam.", tensors).items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step = int(metadata["step"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}


def distill(
    config: DistillationConfig,
    teachers: Teachers,
    *,
    contents: Crops,
    styles: Crops,
    held_out: Crops,
    checkpoint: Path,
    on_lesson: Callable[[Lesson], None],
    cancelled: Callable[[], bool] = lambda: False,
    log_every: int = 20,
    validate_every: int = 500,
) -> Student:
    """Trains a student, from the checkpoint if there is one.

    Args:
        config: How long and how fast.
        teachers: What the student is to see.
        contents: Photographs to learn from.
        styles: Paintings to learn from.
        held_out: Pictures that only validate.
        checkpoint: Where the run is saved and, if the file is there, continued.
        on_lesson: Told of the errors, every ``log_every`` steps and at each validation.
        cancelled: Asked at each step; the run is saved before it ends.
        log_every: Steps between two reports.
        validate_every: Steps between two validations, each with a checkpoint.

    Returns:
        The averaged student.
    """
    training = _Training(config, teachers, contents, styles, held_out)
    if checkpoint.exists():
        training.restore(checkpoint)
    else:
        training.start()
    began = time.monotonic()
    running: dict[str, float] = {}

    def report(errors: dict[str, float], *, held: bool) -> None:
        seconds = time.monotonic() - began
        on_lesson(Lesson(step=training.step, errors=dict(errors), held_out=held, seconds=seconds))

    report(training.validate(), held=True)
    while training.step < config.steps and not cancelled():
        for layer, error in training.advance().items():
            running[layer] = 0.98 * running.get(layer, float(error)) + 0.02 * float(error)
        if training.step % log_every == 0:
            report(running, held=False)
        if training.step % validate_every == 0:
            report(training.validate(), held=True)
            training.save(checkpoint)
    training.save(checkpoint)
    report(training.validate(), held=True)
    return training.averaged
