"""What a job writes: the picture, pictures on the way, checkpoints, record, history, plot."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from velatura.core.config import Idle, Setting
from velatura.core.errors import ConfigError, OutputError
from velatura.core.files import atomic_path, check_writable, same_file
from velatura.core.progress import OnProgress, Progress
from velatura.engine.checkpoint import Checkpoints
from velatura.imaging import LOSSLESS, Picture, check_target, write_picture
from velatura.jobs.plot import check_plot, plot_history
from velatura.jobs.result import Result

__all__ = ["Saving", "Writer"]


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What is written besides the picture, and how."""

    quality: Annotated[int | None, Interval(ge=1, le=100), Setting("Quality of JPEG, WebP and AVIF")] = None
    bits: Annotated[Literal[8, 16], Setting("Bits a channel; 16 for PNG and TIFF")] = 8
    icc: Annotated[Literal["srgb", "keep"], Setting("Colour profile: sRGB, or the photo's own")] = "srgb"
    dpi: Annotated[
        int | None,
        Interval(ge=1, le=10_000),
        Setting("How fine the file says it is to print; unset: as the photo says", unit="pixels an inch"),
    ] = None
    record: Annotated[str | None, Setting("JSON file for the whole job, versions and hashes")] = None
    history: Annotated[str | None, Setting("JSON or CSV file for the loss of every step")] = None
    plot: Annotated[str | None, Setting("Picture file for a plot of the losses")] = None
    checkpoint: Annotated[str | None, Setting("File that the run is saved to while it runs")] = None
    checkpoint_every: Annotated[
        float | None,
        Ge(0),
        Setting("Time between two saves; unset: 10", unit="seconds"),
        Idle("checkpoint", (None,)),
    ] = None
    resume: Annotated[str | None, Setting("Checkpoint to go on from")] = None
    save_every: Annotated[int | None, Gt(0), Setting("Steps between two pictures written on the way")] = None
    save_pattern: Annotated[
        str | None,
        Setting("File for each of those; {step}, {scale} and {name} are filled in"),
        Idle("save_every", (None,)),
    ] = None

    def __post_init__(self) -> None:
        if self.save_pattern is not None and self.preview("name", 1, 1) == self.preview("name", 2, 1):
            raise ConfigError("save_pattern must have {step} in it, or each picture overwrites the last")

    def preview(self, name: str, step: int, scale: int) -> Path:
        """Where the picture of one step goes.

        Raises:
            ConfigError: The pattern has fields other than step, scale and name.
        """
        assert self.save_pattern is not None
        try:
            return Path(self.save_pattern.format(name=name, step=step, scale=scale))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"save_pattern {self.save_pattern!r} takes {{step}}, {{scale}} and {{name}} only: {error}"
            ) from None


class Writer:
    """Writes what one job was asked for, and never over what it reads.

    Args:
        saving: What to write.
        output: Where the finished picture goes.
        inputs: Files that must not be written to.

    Raises:
        ConfigError: Something would overwrite an input, or cannot be done in the format asked for.
            Found before anything runs.
    """

    def __init__(self, saving: Saving, *, output: Path, inputs: Sequence[Path]) -> None:
        if saving.save_every is not None and saving.save_pattern is None:
            saving = replace(saving, save_pattern=_numbered(output))
        self.saving, self.output, self.inputs = saving, output, list(inputs)
        self.num_previews, self.failed = 0, False
        self.extras = {
            name: Path(path)
            for name in ("record", "history", "plot", "checkpoint")
            if (path := getattr(saving, name)) is not None
        }
        if saving.plot is not None:
            check_plot(Path(saving.plot))
        self._check_names()

    def _check_names(self) -> None:
        read = [*self.inputs, *([] if self.saving.resume is None else [Path(self.saving.resume)])]
        seen: list[Path] = []
        for name, target in {"output": self.output, **self.extras}.items():
            # A run may go on in the checkpoint that it goes on from.
            if any(same_file(target, path) for path in (self.inputs if name == "checkpoint" else read)):
                raise ConfigError(
                    f"{target} is read by this job and will not be overwritten; choose another name"
                )
            if any(same_file(target, other) for other in seen):
                raise ConfigError(f"two outputs have the same file name, {target}; choose another for {name}")
            seen.append(target)

    def check(self, *, profile: bytes | None, name: str) -> None:
        """Refuses, before anything runs, what could not be written.

        Args:
            profile: The colour profile that the picture will carry.
            name: What pictures on the way are called.

        Raises:
            ConfigError: The format cannot do what was asked for.
            OutputError: A file cannot be written.
        """
        pictures = [(self.output, profile)]
        if self.saving.save_every is not None:
            pictures.append((self.saving.preview(name, self.saving.save_every, 1), None))
        lossy = [path for path, _ in pictures if path.suffix.lower() not in LOSSLESS]
        for path in (*(path for path, _ in pictures), *self.extras.values()):
            check_writable(path)
        for path, own_profile in pictures:
            check_target(
                path,
                bits=self.saving.bits,
                # One picture that it is for is enough; if there is none, the first refuses it.
                quality=self.saving.quality if path in lossy or not lossy else None,
                icc=self.saving.icc,
                metadata=None,
                protect=self.inputs,
                profile=own_profile,
            )

    def _write(self, picture: Picture, path: Path, **options: Any) -> tuple[str, ...]:
        """Writes the picture as asked for; ``options`` are further ones of ``write_picture``."""
        quality = None if path.suffix.lower() in LOSSLESS else self.saving.quality
        if self.saving.dpi is not None:
            picture = replace(picture, dpi=float(self.saving.dpi))
        return write_picture(
            picture,
            path,
            bits=self.saving.bits,
            quality=quality,
            icc=self.saving.icc,
            protect=self.inputs,
            **options,
        )

    def checkpoints(self) -> Checkpoints:
        """Where the run is saved and what it goes on from."""
        saving = self.saving
        checkpoints = Checkpoints(
            save_to=self.extras.get("checkpoint"),
            resume_from=None if saving.resume is None else Path(saving.resume),
        )
        every_s = saving.checkpoint_every
        return checkpoints if every_s is None else replace(checkpoints, every_s=every_s)

    def with_previews(self, on_progress: OnProgress, *, name: str) -> OnProgress:
        """``on_progress``, with a picture written every ``save_every`` steps.

        One that cannot be written ends nothing: the first is told of, as a message of its step.
        """
        every = self.saving.save_every
        if every is None:
            return on_progress

        def report(progress: Progress) -> None:
            if progress.step % every == 0 and progress.picture is not None:
                path = self.saving.preview(name, progress.step, progress.scale)
                self.num_previews += 1
                try:
                    self._write(Picture(pixels=progress.picture()), path)
                except OutputError as error:
                    progress = self._with_failure(progress, error)
            on_progress(progress)

        return report

    def _with_failure(self, progress: Progress, error: OutputError) -> Progress:
        if self.failed:
            return progress
        self.failed = True
        note = f"{error}; the run goes on, without pictures on the way where they cannot be written"
        return replace(progress, message="; ".join(filter(None, [progress.message, note])))

    def write(self, result: Result, job: Mapping[str, Any]) -> tuple[str, ...]:
        """Writes everything, the picture first.

        Args:
            result: What the job came to.
            job: The job as plain values, for the record.

        Returns:
            What the user should know of it, a line each.

        Raises:
            OutputError: A file cannot be written.
        """
        record = {"job": job, **result.record}
        notes = self._write(result.picture, self.output, metadata={"velatura": json.dumps(record)})
        if self.saving.save_every is not None and self.num_previews == 0:
            every = self.saving.save_every
            notes += (f"no picture was written on the way: no step of the run is a multiple of {every}",)
        for name, path in self.extras.items():
            match name:
                case "record":
                    _write_json(path, record)
                case "history":
                    _write_history(path, result.history)
                case "plot":
                    plot_history(result.history, path)
        return notes


def _numbered(output: Path) -> str:
    """A pattern beside ``output`` with the step in it."""
    stem, suffix = (
        text.replace("{", "{{").replace("}", "}}")
        for text in (str(output.parent / output.stem), output.suffix)
    )
    return f"{stem}-{{step:05d}}{suffix}"


def _without_nan(value: Any) -> Any:
    """JSON has no number for a loss that was not finite: null stands for it."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    if path.suffix.lower() != ".csv":
        return _write_json(path, [_without_nan(entry) for entry in history])
    terms = list(history[0]["terms"]) if history else []
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("scale", "step", "height", "width", "loss", *terms))
        for entry in history:
            values = (entry["loss"], *(entry["terms"][term] for term in terms))
            rows.writerow((entry["scale"], entry["step"], *entry["size"], *map(repr, values)))
    return None


def _write_json(path: Path, content: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
