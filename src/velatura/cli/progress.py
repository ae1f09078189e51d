"""How a long run shows itself on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from velatura.core.progress import OnProgress, Progress

__all__ = ["cancelled_by_interrupt", "duration", "progress_on_stderr"]

_PLAIN_EVERY_S = 5.0
_BAR = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"


@contextlib.contextmanager
def progress_on_stderr(*, quiet: bool, title: str = "") -> Iterator[OnProgress]:
    """A report of every step, drawn as the terminal allows.

    Args:
        quiet: Only messages, no progress.
        title: What is being made, for runs of several.
    """
    if quiet:
        yield _warnings_only
    elif sys.stderr.isatty():
        # Work is even over a run: what it took so far tells best what is left.
        settings: dict[str, Any] = {"bar_format": _BAR, "smoothing": 0, "miniters": 0}
        bar: tqdm[Any] = tqdm(total=1.0, desc=title or None, dynamic_ncols=True, leave=False, **settings)
        with bar:
            yield lambda progress: _draw(bar, progress)
    else:
        yield _PlainLines(title)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def _describe(progress: Progress) -> str:
    height, width = progress.size
    # A trained network's pass has no loss.
    loss = "" if math.isnan(progress.loss) else f", loss {progress.loss:.4g}"
    scale, step = f"{progress.scale}/{progress.scales}", f"{progress.step}/{progress.steps}"
    return f"scale {scale} {width}x{height}, step {step}{loss}"


def _messages_only(progress: Progress) -> None:
    if progress.message:
        print(f"velatura: {progress.message}", file=sys.stderr)  # noqa: T201


def _warnings_only(progress: Progress) -> None:
    """What is said before the first step is no warning."""
    if progress.step:
        _messages_only(progress)


def _draw(bar: tqdm[Any], progress: Progress) -> None:
    if progress.message:
        bar.write(f"velatura: {progress.message}", file=sys.stderr)
    if progress.step == 0:
        return
    if bar.n == 0 and progress.step > 1:
        # What a resumed run has done before took none of its time.
        bar.initial = bar.n = progress.done
    bar.set_postfix_str(_describe(progress), refresh=False)
    bar.update(progress.done - bar.n)


class _PlainLines:
    """A line at each new scale, every few seconds, and at the last step."""

    def __init__(self, title: str) -> None:
        self.title = f"{title}: " if title else ""
        self.began = self.said = time.monotonic()
        self.done_before: float | None = None
        self.scale = 0

    def __call__(self, progress: Progress) -> None:
        _messages_only(progress)
        if progress.step == 0:
            return
        now = time.monotonic()
        if self.done_before is None:
            self.done_before, self.began = progress.done, now
        new_scale = progress.scale != self.scale
        if not (new_scale or now - self.said > _PLAIN_EVERY_S or progress.step == progress.steps):
            return
        self.said, self.scale = now, progress.scale
        done = progress.done - self.done_before
        left = f", about {duration((now - self.began) / done * (1 - progress.done))} left" if done else ""
        print(f"{self.title}{_describe(progress)}{left}", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def cancelled_by_interrupt() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second one ends the program at once."""
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        # Not print: the signal may come in the middle of a line that is being printed.
        os.write(2, b"\nvelatura: stopping after this step (Ctrl-C again to stop at once)\n")

    before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
