"""What a job returns."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velatura.imaging import Picture, write_picture

__all__ = ["Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A picture and how it came about.

    Args:
        picture: The stylization.
        history: One entry a step: ``scale``, ``step``, ``size``, ``loss``, ``terms``.
        interrupted: Whether the run was cancelled; the picture is then the best so far.
        record: All settings, versions, seed, and the hashes of pictures and weights.
        notes: What the user should know, one line each.
    """

    picture: Picture
    history: list[dict[str, Any]]
    interrupted: bool
    record: dict[str, Any]
    notes: tuple[str, ...] = field(default=())

    def save(self, path: str | Path, **options: Any) -> None:
        """Writes the picture, with the record inside where the format can hold text.

        Args:
            path: The file; its suffix decides the format.
            **options: Those of :func:`velatura.imaging.write_picture`: ``bits``, ``quality``, ``icc``.

        Raises:
            ConfigError: An option that the format cannot honour.
            OutputError: The file cannot be written.
        """
        write_picture(self.picture, path, metadata={"velatura": json.dumps(self.record)}, **options)

    def _repr_png_(self) -> bytes:
        return self.picture._repr_png_()
