"""Pictures of a grid that an earlier run finished: told by what they carry, and not made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velatura.core.config import to_mapping
from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture, read_text
from velatura.jobs.dream import Dreaming
from velatura.jobs.result import Result
from velatura.jobs.stylization import Stylization, fingerprint

__all__ = ["carried", "carried_history", "finished"]

_LOSSES = "velatura-losses"
_OF_VERSIONS = ("velatura", "torch")


def carried(result: Result) -> dict[str, str]:
    """The texts that a picture of a grid carries: its record and, if it was finished, its losses."""
    texts = {"velatura": json.dumps(result.record)}
    if not result.interrupted:
        losses = [[entry["scale"], entry["step"], entry["loss"]] for entry in result.history]
        texts[_LOSSES] = json.dumps(losses)
    return texts


def carried_history(path: Path) -> list[dict[str, Any]] | None:
    """The losses that a finished picture of a grid carries, its steps without terms; None if it has none.

    Raises:
        ImageError: The file cannot be read.
        ValueError: What it carries is no list of losses.
        TypeError: Likewise.
    """
    text = read_text(path, _LOSSES)
    if text is None:
        return None
    return [
        {"scale": scale, "step": step, "loss": float(loss), "terms": {}}
        for scale, step, loss in json.loads(text)
    ]


def finished(
    path: Path,
    how: Stylization | Dreaming,
    image: Picture,
    *,
    weights_sha256: str | None,
    versions: Mapping[str, str],
) -> Result | None:
    """The result that a file holds, if it is that of these settings, this picture and these weights.

    Args:
        path: Where the picture would be written.
        how: The settings that would be run.
        image: The picture that would be looked at.
        weights_sha256: Of the network's weights; None: random ones.
        versions: Those that are installed; another Velatura or torch may give other pixels.

    Returns:
        The result, its steps without terms; None where there is none.
    """
    try:
        text, history = read_text(path, "velatura"), carried_history(path)
        record = None if text is None else json.loads(text)
        if record is None or history is None or not _is_of(record, how, image, weights_sha256, versions):
            return None
        return Result(picture=read_picture(path), history=history, interrupted=False, record=record)
    except (ImageError, OSError, ValueError, TypeError, KeyError):
        return None  # Whatever it is, it is not what would be made.


def _is_of(
    record: Mapping[str, Any],
    how: Stylization | Dreaming,
    image: Picture,
    weights_sha256: str | None,
    versions: Mapping[str, str],
) -> bool:
    kind = "dreaming" if isinstance(how, Dreaming) else "stylization"
    settings = json.loads(json.dumps(to_mapping(how)))
    return (
        record.get(kind) == settings
        and record["pictures"]["content"] == fingerprint(Picture(image.over().pixels))
        and record["weights"]["sha256"] == weights_sha256
        and all(record["versions"][name] == versions[name] for name in _OF_VERSIONS)
    )
