"""What a training leaves behind to be looked at: a log of lines, and a picture at each validation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from velatura.core.errors import OutputError
from velatura.core.files import atomic_path
from velatura.engine.train import Report
from velatura.imaging import Picture

__all__ = ["TrainingLog"]


class TrainingLog:
    """``log.jsonl``, ``validation/step-000500.png`` and what TensorBoard reads, in the folder of a run.

    Args:
        folder: The run's.
        after: Step that the run goes on from: what was written of later ones is taken off.
        is_writing: Whether this process writes; the others only pass through.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, folder: Path, *, after: int, is_writing: bool = True) -> None:
        self.folder, self.after, self.is_writing = folder, after, is_writing
        self.broken: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._file: TextIO | None = None
        self._board: Any = None

    def __enter__(self) -> TrainingLog:
        if self.is_writing:
            path = self.folder / "log.jsonl"
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
            with atomic_path(path) as temporary:
                temporary.write_text("".join(line for line in lines if self._stays(line)), encoding="utf-8")
            self._file = path.open("a", encoding="utf-8")
            self._board = _board(self.folder / "tensorboard", after=self.after)
            if self._board is None:
                self.notes = ("nothing was written for TensorBoard: pip install 'velatura[train]' brings it",)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def _stays(self, line: str) -> bool:
        try:
            return line.endswith("\n") and int(json.loads(line)["step"]) <= self.after and self.after > 0
        except (ValueError, KeyError, TypeError):
            return False

    def add(self, report: Report) -> None:
        """Writes one report, and its picture where it has one."""
        assert self._file is not None
        new = [name for name in report.broken if name not in self.broken]
        self.broken = report.broken
        line = {**_line(report), **({"unreadable": new} if new else {})}
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.folder / 'log.jsonl'}: {error.strerror}") from error
        if self._board is not None:
            _show(self._board, report)
        if report.sheet is not None:
            Picture(report.sheet).save(self.folder / "validation" / f"step-{report.step:06d}.png")


def _board(folder: Path, *, after: int) -> Any:
    """What writes for TensorBoard; None where that is not installed."""
    try:
        # Imported late: it is an extra, and takes its time.
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=after + 1)


def _show(board: Any, report: Report) -> None:
    kind = "validation" if report.held_out else "training"
    for name, value in {"loss": report.loss, **report.terms}.items():
        board.add_scalar(f"{kind}/{name}", value, report.step)
    if not report.held_out:
        board.add_scalar("pace/lr", report.lr, report.step)
        board.add_scalar("pace/images per second", report.images_per_second, report.step)
        board.add_scalar("pace/share of time waiting for pictures", report.data_wait, report.step)
    if report.sheet is not None:
        board.add_image("held out", report.sheet, report.step)
    board.flush()


def _line(report: Report) -> dict[str, Any]:
    held = {"step": report.step, "held_out": True, "loss": report.loss, "terms": dict(report.terms)}
    if report.held_out:
        return held
    return {
        **held,
        "held_out": False,
        "lr": report.lr,
        "images_per_second": _rounded(report.images_per_second),
        "data_wait": _rounded(report.data_wait),
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
