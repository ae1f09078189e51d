"""What a job writes: the picture, pictures on the way, checkpoints, record, history, plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path
from velatura.core.progress import OnProgress, Progress
from velatura.engine.optimization import Checkpoints
from velatura.imaging import Picture, check_target, write_picture
from velatura.jobs.plot import check_plot, plot_history
from velatura.jobs.result import Result

__all__ = ["Saving", "Writer"]

_LOSSLESS = (".png", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What is written besides the picture, and how."""

    quality: Annotated[int | None, Interval(ge=1, le=100), Setting("Quality of JPEG, WebP and AVIF")] = None
    bits: Annotated[Literal[8, 16], Setting("Bits a channel; 16 for PNG and TIFF")] = 8
    icc: Annotated[Literal["srgb", "keep"], Setting("Colour profile: sRGB, or the photo's own")] = "srgb"
    record: Annotated[str | None, Setting("JSON file for the whole job, versions and hashes")] = None
    history: Annotated[str | None, Setting("JSON file for the loss of every step")] = None
    plot: Annotated[str | None, Setting("Picture file for a plot of the losses")] = None
    checkpoint: Annotated[str | None, Setting("File that the run is saved to while it runs")] = None
    checkpoint_every: Annotated[float, Ge(0), Setting("Time between two saves", unit="seconds")] = 10.0
    resume: Annotated[str | None, Setting("Checkpoint to go on from")] = None
    save_every: Annotated[int | None, Gt(0), Setting("Steps between two pictures written on the way")] = None
    save_pattern: Annotated[
        str | None, Setting("File for each of those; {step}, {scale} and {name} are filled in")
    ] = None

    def __post_init__(self) -> None:
        if self.save_pattern is not None and self.save_every is None:
            raise ConfigError("save_pattern names pictures that nobody asked for; set save_every too")
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
        except (KeyError, IndexError, ValueError) as error:
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
            pattern = f"{output.with_suffix('')}-{{step:05d}}{output.suffix}".replace("{name}", "{{name}}")
            saving = replace(saving, save_pattern=pattern)
        self.saving, self.output, self.inputs = saving, output, list(inputs)
        if saving.plot is not None:
            check_plot(Path(saving.plot))
        resolved = {path.resolve() for path in inputs}
        extra = (saving.record, saving.history, saving.plot, saving.checkpoint)
        targets = [output, *(Path(path) for path in extra if path is not None)]
        for target in targets:
            if target.resolve() in resolved:
                raise ConfigError(
                    f"{target} is read by this job and will not be overwritten; choose another name"
                )
        if len({target.resolve() for target in targets}) < len(targets):
            raise ConfigError("two outputs have the same file name")

    def check(self, *, profile: bytes | None) -> None:
        """Refuses, before anything runs, a picture that could not be written.

        Args:
            profile: The colour profile that the picture will carry.

        Raises:
            ConfigError: The format cannot do what was asked for.
            VelaturaError: The file cannot be written.
        """
        if self.saving.quality is not None and self.output.suffix.lower() in _LOSSLESS:
            raise ConfigError(
                f"quality has no meaning for {self.output.suffix}, which loses nothing; leave it out"
            )
        check_target(
            self.output,
            bits=self.saving.bits,
            quality=self.saving.quality or 100,
            icc=self.saving.icc,
            metadata=None,
            protect=self.inputs,
            profile=profile,
        )

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"bits": self.saving.bits, "icc": self.saving.icc}
        return options if self.saving.quality is None else {**options, "quality": self.saving.quality}

    def checkpoints(self) -> Checkpoints:
        """Where the run is saved and what it goes on from."""
        saving = self.saving
        return Checkpoints(
            save_to=None if saving.checkpoint is None else Path(saving.checkpoint),
            resume_from=None if saving.resume is None else Path(saving.resume),
            every_s=saving.checkpoint_every,
        )

    def with_previews(self, on_progress: OnProgress, *, name: str) -> OnProgress:
        """``on_progress``, with a picture written every ``save_every`` steps."""
        every = self.saving.save_every
        if every is None:
            return on_progress

        def report(progress: Progress) -> None:
            if progress.step % every == 0 and progress.picture is not None:
                path = self.saving.preview(name, progress.step, progress.scale)
                write_picture(
                    Picture(pixels=progress.picture()), path, protect=self.inputs, **self._options()
                )
            on_progress(progress)

        return report

    def write(self, result: Result, job: Mapping[str, Any]) -> tuple[str, ...]:
        """Writes everything; returns what the user should know of it."""
        record = {"job": job, **result.record}
        metadata = {"velatura": json.dumps(record)}
        notes = write_picture(
            result.picture, self.output, metadata=metadata, protect=self.inputs, **self._options()
        )
        if self.saving.record is not None:
            _write_json(Path(self.saving.record), record)
        if self.saving.history is not None:
            _write_json(Path(self.saving.history), result.history)
        if self.saving.plot is not None:
            plot_history(result.history, Path(self.saving.plot))
        return tuple(notes)


def _write_json(path: Path, content: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
