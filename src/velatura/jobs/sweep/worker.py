"""What makes and judges one cell after another; each process of a sweep has one."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from velatura.core.config import to_mapping
from velatura.core.errors import Cancelled, VelaturaError
from velatura.core.progress import never
from velatura.imaging import Picture, read_picture, write_picture
from velatura.jobs.judging import Evaluation, Evaluator
from velatura.jobs.result import Result
from velatura.jobs.stylize import Stylization, stylize_pictures
from velatura.jobs.sweep.cells import Cell
from velatura.jobs.sweep.store import Measured, Store
from velatura.ops.threads import computing_threads

__all__ = ["Worker", "WorkerSettings"]

_PICTURES_KEPT = 16


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What all cells of a sweep share.

    Args:
        folder: The results'.
        evaluation: How outputs are judged.
        reference: Makes what pixels are compared with, for cells that have no file of it; None: nothing.
    """

    folder: Path
    evaluation: Evaluation
    reference: Stylization | None = None


class Worker:
    """Makes cells, and keeps what the next one can use: networks that judge, pictures that come again.

    Args:
        settings: What all cells share.
        cancelled: Asked before every step.
    """

    def __init__(self, settings: WorkerSettings, cancelled: Callable[[], bool] = never) -> None:
        self.settings, self.cancelled = settings, cancelled
        self.store = Store(settings.folder)
        self._evaluator: Evaluator | None = None
        self._read = lru_cache(_PICTURES_KEPT)(read_picture)

    def __call__(self, cell: Cell) -> Measured | None:
        """Makes one cell and keeps it in the folder; one that fails is kept with its error.

        Returns:
            What it came to; None if it was cancelled.

        Raises:
            OutputError: It cannot be written.
        """
        began = time.monotonic()
        measured = Measured(
            key=cell.key,
            labels=cell.point.labels,
            content=cell.pair.content.name,
            style=cell.pair.style.name,
            seed=cell.seed,
        )
        try:
            with computing_threads(1):
                measured = self._made(cell, measured)
        except Cancelled:
            return None
        except Exception as error:  # noqa: BLE001 - what is wrong with one cell need not be with the next
            measured = replace(measured, error=_reason(error))
        measured = replace(measured, seconds=round(time.monotonic() - began, 3))
        self.store.write(measured)
        return measured

    def _made(self, cell: Cell, measured: Measured) -> Measured:
        content, style = self._read(cell.content), self._read(cell.style)
        result = stylize_pictures(content, [style], cell.how, cancelled=self.cancelled)
        if result.interrupted:
            raise Cancelled("interrupted in the middle of a cell")
        values = self._judge(result, content, style, self._reference(cell, result.picture))
        result.save(self.store.picture(cell.key))
        self.store.write_losses(cell.key, result.history)
        return replace(
            measured,
            values=values,
            loss=result.history[-1]["loss"] if result.history else math.nan,
            steps=len(result.history),
            notes=result.notes,
        )

    def _judge(
        self, result: Result, content: Picture, style: Picture, reference: Picture | None
    ) -> dict[str, float]:
        if self._evaluator is None:
            self._evaluator = Evaluator(self.settings.evaluation)
        return self._evaluator(result.picture, content, style, reference=reference)

    def _reference(self, cell: Cell, output: Picture) -> Picture | None:
        """The picture that pixels are compared with; the first cell that needs one makes it."""
        how = self.settings.reference
        if cell.reference is not None:
            return self._read(cell.reference)
        if how is None:
            return None
        how = replace(how, size=max(output.height, output.width), seed=cell.seed)
        about = [to_mapping(how), str(cell.content), str(cell.style)]
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        path = self.settings.folder / "references" / f"{cell.pair.name}-{name}.png"
        if not path.exists():
            pictures = self._read(cell.content), [self._read(cell.style)]
            made = stylize_pictures(*pictures, how, cancelled=self.cancelled)
            if made.interrupted:
                raise Cancelled("interrupted in the middle of a reference")
            write_picture(made.picture, path, bits=16)
        return self._read(path)


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, VelaturaError) else f"unexpected {type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"
