"""Keeping Pillow within bounds: its size limit, its warnings, its many kinds of error."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

__all__ = ["MALFORMED", "collected_warnings", "loaded", "one_line", "pixel_limit"]

# What Pillow's readers raise on bytes that are not as they should be.
MALFORMED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, AssertionError, RuntimeError, struct.error, zlib.error),
)

# Pillow's size limit and Python's warning filters belong to the whole process.
_LOCK = threading.RLock()


@contextlib.contextmanager
def pixel_limit(pixels: int | None) -> Iterator[None]:
    """Within the block, Pillow raises ``DecompressionBombError`` beyond so many pixels.

    Threads take turns in such blocks.
    """
    with _LOCK:
        before = Image.MAX_IMAGE_PIXELS
        # Pillow itself raises beyond twice its limit.
        Image.MAX_IMAGE_PIXELS = None if pixels is None else max(1, pixels // 2)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Within the block, what Pillow warns of is put on the list, once each, in one line.

    Warnings that are not about the picture, such as deprecations, are issued after the block.
    Threads take turns in such blocks.
    """
    messages: list[str] = []
    others: list[warnings.WarningMessage] = []
    # Without any handler, Python prints what Pillow logs.
    handler, logger = logging.NullHandler(), logging.getLogger("PIL")
    with _LOCK:
        logger.addHandler(handler)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("always", RuntimeWarning)
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                yield messages
            finally:
                logger.removeHandler(handler)
                for warning in caught:
                    if not issubclass(warning.category, UserWarning | RuntimeWarning):
                        others.append(warning)
                    elif (line := one_line(warning.message)) not in messages:
                        messages.append(line)
        for warning in others:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def loaded(image: Image.Image) -> None:
    """Decodes an image, in silence.

    libtiff writes its complaints past Python to the standard error of the process, and Pillow
    raises an error for them anyway. What other threads write there meanwhile is lost too.

    Raises:
        MALFORMED: The file is broken.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        if image.format == "TIFF":
            with contextlib.suppress(OSError):  # There may be no standard error.
                before = os.dup(2)
                stack.callback(os.close, before)
                stack.callback(os.dup2, before, 2)
                with Path(os.devnull).open("wb") as nowhere:
                    os.dup2(nowhere.fileno(), 2)
        image.load()


def one_line(error: object) -> str:
    """The text of an error or warning in one line of at most 200 characters, without a full stop.

    What does not print goes: the text may quote the file, and a terminal obeys.
    """
    words = "".join(sign if sign.isprintable() else " " for sign in str(error)).split()
    line = " ".join(words).rstrip(".") or type(error).__name__
    return line if len(line) <= 200 else line[:197] + "..."
