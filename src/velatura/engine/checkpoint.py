"""Checkpoints: a run as tensors and a record, in one safetensors file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from velatura.core.errors import ConfigError, OutputError
from velatura.core.files import atomic_path

__all__ = [
    "Checkpoints",
    "checkpointed_run",
    "read_checkpoint",
    "read_tensors",
    "write_checkpoint",
    "write_tensors",
]

_KEY = "velatura.checkpoint"
_OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Where a run is saved, and what it goes on from.

    A checkpoint that cannot be written does not end a stylization: that is said once on the way, and at the
    end where the last one could not be written.

    Args:
        save_to: File to save to; none: nowhere.
        resume_from: File to go on from; none: start anew.
        every_s: Seconds between two saves.
        fingerprint: What a checkpoint must agree with to be taken up: settings and hashes.
    """

    save_to: Path | None = None
    resume_from: Path | None = None
    every_s: float = 10.0
    fingerprint: Mapping[str, Any] = field(default_factory=dict)


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any], *, of: Mapping[str, Any]
) -> None:
    """Replaces ``path`` in one move, so that a kill at any moment leaves a whole checkpoint.

    Args:
        path: The file.
        tensors: Any shapes and types; memory formats are not kept.
        record: Where the run stands, as JSON can hold it.
        of: What makes the run the one that it is, as JSON can hold it: settings and hashes.

    Raises:
        OutputError: The file cannot be written.
    """
    write_tensors(path, tensors, {_KEY: json.dumps({**record, "fingerprint": of})})


def read_checkpoint(path: Path, *, of: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a checkpoint of this very run.

    Args:
        path: The file.
        of: What makes the run the one that it is; the checkpoint's must be equal.

    Raises:
        ConfigError: The file is missing, broken, no checkpoint, or one of another run.
    """
    tensors, metadata = read_tensors(path)
    record = _record(path, metadata)
    ours = json.loads(json.dumps(of))
    if differing := _differing(ours, record.pop("fingerprint")):
        raise ConfigError(
            f"cannot resume from {path}: it is of a run with another {', '.join(differing)}; "
            "give the settings and pictures of that run, or start anew"
        )
    return tensors, record


def checkpointed_run(path: Path) -> dict[str, Any]:
    """What makes the run that a checkpoint is of the one that it is: what it was written with.

    Raises:
        ConfigError: The file is missing, broken or no checkpoint.
    """
    run: dict[str, Any] = _record(path, read_tensors(path)[1])["fingerprint"]
    return run


def _record(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if _KEY not in metadata:
        raise ConfigError(f"cannot resume: {path} is no checkpoint of a stylization")
    record: dict[str, Any] = json.loads(metadata[_KEY])
    return record


def _differing(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Dotted paths at which two JSON values are not equal."""
    if ours == theirs:
        return []
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return [at]
    return [
        path
        for key in dict.fromkeys([*ours, *theirs])
        for path in _differing(ours.get(key), theirs.get(key), f"{at}.{key}" if at else key)
    ]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes safetensors whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            save_file(plain, temporary, dict(metadata))
        except SafetensorError as error:
            # What the system says of a full disk, in words: there is no OSError behind it.
            if (number := _OF_THE_SYSTEM.search(str(error))) is not None:
                raise OSError(int(number[1]), str(error)) from error
            raise OutputError(f"cannot write {str(path)!r}: {error}") from error
        # It may put a file of its own there (0.8 does), which nobody but its owner may read.
        temporary.chmod(mode)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file to go on from.

    Raises:
        ConfigError: The file is missing or broken.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise ConfigError(f"cannot resume: there is no checkpoint {path}") from None
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot resume: {path} is not a whole checkpoint ({error})") from error
