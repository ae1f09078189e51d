"""The loop of a training: load, learn, look, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from velatura.core.errors import VelaturaError
from velatura.core.progress import never
from velatura.engine.checkpoint import read_checkpoint, write_checkpoint, write_tensors
from velatura.engine.train.data import Batch, Batches, load_ahead
from velatura.engine.train.trainer import Trainer
from velatura.engine.train.validation import HeldOut, contact_sheet

__all__ = ["Cadence", "Report", "Saving", "resume", "train"]


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a run says something, looks and saves.

    Args:
        report: Steps between two reports.
        validate: Steps between two validations, each with a checkpoint.
        save_s: Seconds between two checkpoints.
    """

    report: int = 20
    validate: int = 500
    save_s: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Where a run is saved.

    Args:
        checkpoint: The file, replaced each time.
        fingerprint: What makes the run the one that it is, as JSON can hold it.
        on_saved: Called after each checkpoint, to write the model as well.
    """

    checkpoint: Path
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    on_saved: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Where a training stands.

    Args:
        step: Steps done.
        steps: Of the whole run.
        terms: Each weighted term: the mean since the last report, or that of the held-out pictures where
            ``held_out`` is set. Their sum is the loss.
        lr: Step size of the next step.
        images_per_second: Photographs learnt from, by all processes, since the last report.
        data_wait: Share of the time since the last report that went by waiting for pictures.
        seconds_left: Estimate, by the speed since the last report.
        held_out: Whether this is a validation.
        sheet: What the network makes of held-out pictures, ``(3, H, W)`` in [0, 1]; only of a validation.
        broken: Pictures that could not be read so far, a line each.
    """

    step: int
    steps: int
    terms: Mapping[str, float]
    lr: float
    images_per_second: float = float("nan")
    data_wait: float = 0.0
    seconds_left: float = float("nan")
    held_out: bool = False
    sheet: Tensor | None = None
    broken: tuple[str, ...] = ()

    @property
    def loss(self) -> float:
        """The sum of the terms."""
        return sum(self.terms.values())


class _Window:
    """What has happened since the last report."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.waited = 0.0
        self.steps = 0
        self.terms: dict[str, float] = {}

    def add(self, terms: Mapping[str, float], *, waited: float) -> None:
        self.steps += 1
        self.waited += waited
        for name, value in terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value

    def report(self, trainer: Trainer, broken: set[str]) -> Report:
        seconds = max(time.monotonic() - self.began, 1e-9)
        config = trainer.config
        return Report(
            step=trainer.step,
            steps=config.steps,
            terms={name: value / self.steps for name, value in self.terms.items()},
            lr=trainer.lr,
            images_per_second=self.steps * config.batch / seconds,
            data_wait=self.waited / seconds,
            seconds_left=seconds / self.steps * (config.steps - trainer.step),
            broken=tuple(sorted(broken)),
        )


def resume(trainer: Trainer, saving: Saving) -> None:
    """Goes on from the checkpoint.

    Raises:
        ConfigError: It is missing, broken, or of another run; the message names what differs.
    """
    tensors, record = read_checkpoint(saving.checkpoint, of=saving.fingerprint)
    trainer.restore(tensors, step=record["step"])


def train(
    trainer: Trainer,
    batches: Batches,
    held_out: HeldOut,
    *,
    saving: Saving,
    on_report: Callable[[Report], None],
    cancelled: Callable[[], bool] = never,
    workers: int = 0,
    cadence: Cadence | None = None,
) -> bool:
    """Trains from where the trainer stands to the last step.

    Args:
        trainer: The network and how far it is.
        batches: What it learns from.
        held_out: What validates.
        saving: Where the run is saved.
        on_report: Told now and then, in the first process only.
        cancelled: Asked before each step; the run is saved before it ends.
        workers: Processes that decode pictures.
        cadence: How often the run says something, looks and saves.

    Returns:
        Whether it was cancelled before the last step.

    Raises:
        ConfigError: No picture can be read; a term does not fit the pictures.
        OutputError: A checkpoint cannot be written; the one before stays.
        VelaturaError: Loss or gradient is not finite; the batch was saved.
    """
    run = _Run(trainer, held_out, saving, on_report, cadence or Cadence())
    if trainer.step == 0:
        run.look()
    steps = range(trainer.step, trainer.config.steps)
    stream, waiting = load_ahead(batches, steps, workers=workers), 0.0
    for _ in steps:
        if trainer.processes.any(cancelled()):
            run.save()
            return True
        began = time.monotonic()
        batch = next(stream)
        waiting = time.monotonic() - began
        run.advance(batch, waited=waiting)
    run.finish()
    return False


class _Run:
    """One run of the loop: the trainer, and what is said and saved of it."""

    def __init__(
        self,
        trainer: Trainer,
        held_out: HeldOut,
        saving: Saving,
        on_report: Callable[[Report], None],
        cadence: Cadence,
    ) -> None:
        self.trainer, self.held_out, self.saving, self.cadence = trainer, held_out, saving, cadence
        self.on_report = on_report
        self.window = _Window()
        self.broken: set[str] = set()
        self.saved_at, self.saved_step, self.looked_step = time.monotonic(), trainer.step, -1

    def advance(self, batch: Batch, *, waited: float) -> None:
        lesson = self.trainer.advance(batch)
        if not lesson.is_finite:
            raise VelaturaError(self._not_finite(batch, lesson.terms, is_culprit=not lesson.own_is_finite))
        self.broken.update(batch.broken)
        self.window.add(lesson.terms, waited=waited)
        step = self.trainer.step
        if step % self.cadence.report == 0:
            self._report()
        if step % self.cadence.validate == 0:
            self.look()
            self.save()
        elif time.monotonic() - self.saved_at > self.cadence.save_s:
            self.save()

    def finish(self) -> None:
        if self.window.steps:
            self._report()
        if self.looked_step != self.trainer.step:
            self.look()
        self.save()

    def _report(self) -> None:
        if self.trainer.processes.is_first:
            self.on_report(self.window.report(self.trainer, self.broken))
        self.window = _Window()

    def look(self) -> None:
        """Validates, in the first process; the others wait for it at the next step."""
        began = time.monotonic()
        trainer = self.trainer
        self.looked_step = trainer.step
        if trainer.processes.is_first:
            share = max(1, trainer.config.batch // trainer.processes.world)
            terms = trainer.judge(self.held_out.batches(share))
            self.on_report(
                Report(
                    step=trainer.step,
                    steps=trainer.config.steps,
                    terms=terms,
                    lr=trainer.lr,
                    held_out=True,
                    sheet=contact_sheet(trainer, self.held_out),
                    broken=tuple(sorted(self.broken)),
                )
            )
        self.window.began += time.monotonic() - began

    def save(self) -> None:
        if self.trainer.processes.is_first and not (self.saved_step == self.trainer.step > 0):
            record = {"step": self.trainer.step}
            write_checkpoint(self.saving.checkpoint, self.trainer.state(), record, of=self.saving.fingerprint)
            self.saving.on_saved()
        self.saved_at, self.saved_step = time.monotonic(), self.trainer.step

    def _not_finite(self, batch: Batch, terms: Mapping[str, float], *, is_culprit: bool) -> str:
        step = self.trainer.step
        values = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        advice = "try a smaller lr, a gradient_clip, or precision float32, and --resume from the checkpoint"
        if not is_culprit:
            return f"loss or gradient is not finite at step {step} in another process; {advice}"
        path = self.saving.checkpoint.with_name(
            f"not-finite-step-{step:06d}-process-{self.trainer.processes.rank}.safetensors"
        )
        held = {"contents": batch.contents, "styles": batch.styles, "chosen": batch.chosen}
        tensors = {name: tensor for name, tensor in held.items() if tensor is not None}
        write_tensors(path, tensors, {"step": str(step), "terms": values})
        return f"loss or gradient is not finite at step {step} ({values}); its batch is in {path}; {advice}"
