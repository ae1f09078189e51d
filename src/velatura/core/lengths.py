"""Lengths on paper, as pixels."""

from __future__ import annotations

import re

from velatura.core.errors import ConfigError

__all__ = ["pixels_of"]

_INCHES = {"mm": 1 / 25.4, "cm": 1 / 2.54, "m": 100 / 2.54, "in": 1.0}
_LENGTH = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)")


def pixels_of(text: str, *, dpi: int | None) -> int:
    """The longer edge of a picture in pixels: ``512``, or a length in mm, cm, m or in such as ``60cm``.

    Args:
        text: What was asked for.
        dpi: Pixels an inch; a length needs it.

    Raises:
        ConfigError: It is neither, or a length without ``dpi``.
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or (found[2] and found[2] not in _INCHES) or (not found[2] and "." in found[1]):
        raise ConfigError(
            f"--size: expected whole pixels, or the length of the longer edge such as 60cm, 600mm or 24in, "
            f"not {text!r}"
        )
    if not found[2]:
        return int(found[1])
    if dpi is None:
        raise ConfigError(
            f"a size of {text} is so many pixels only at so many an inch: give --dpi too, such as 300"
        )
    return max(1, round(float(found[1]) * _INCHES[found[2]] * dpi))
