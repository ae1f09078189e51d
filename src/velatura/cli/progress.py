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

__all__ = ["cancelled_by_interrupt", "progress_on_stderr"]

_PLAIN_EVERY_S = 5.0


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
        bar: tqdm[Any] = tqdm(desc=title or None, unit="step", dynamic_ncols=True, leave=False)
        with bar:
            yield lambda progress: _draw(bar, progress)
    else:
        yield _PlainLines(title)


def _describe(progress: Progress) -> str:
    height, width = progress.size
    return f"scale {progress.scale}/{progress.scales} {width}x{height}"


def _loss(progress: Progress) -> str:
    """A trained network's pass has none."""
    return "" if math.isnan(progress.loss) else f", loss {progress.loss:.4g}"


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
    bar.total = progress.steps
    bar.set_postfix_str(f"{_describe(progress)}{_loss(progress)}", refresh=False)
    bar.update(progress.step - bar.n)


class _PlainLines:
    """A line at each new scale, every few seconds, and at the last step."""

    def __init__(self, title: str) -> None:
        self.title = f"{title}: " if title else ""
        self.began = self.said = time.monotonic()
        self.first_step = 0
        self.scale = 0

    def __call__(self, progress: Progress) -> None:
        _messages_only(progress)
        if progress.step == 0:
            return
        now = time.monotonic()
        if not self.first_step:
            self.first_step, self.began = progress.step, now
        new_scale = progress.scale != self.scale
        if not (new_scale or now - self.said > _PLAIN_EVERY_S or progress.step == progress.steps):
            return
        self.said, self.scale = now, progress.scale
        done = progress.step - self.first_step
        left = (now - self.began) / done * (progress.steps - progress.step) if done else float("nan")
        print(  # noqa: T201
            f"{self.title}{_describe(progress)}, step {progress.step}/{progress.steps}{_loss(progress)}"
            + (f", about {left:.0f} s left" if done else ""),
            file=sys.stderr,
            flush=True,
        )


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
