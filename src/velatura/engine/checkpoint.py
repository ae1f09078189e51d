"""Checkpoints: a run as tensors and a record, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path

__all__ = ["read_checkpoint", "write_checkpoint"]

_KEY = "velatura.checkpoint"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Replaces ``path`` in one move, so that a kill at any moment leaves a whole checkpoint.

    Args:
        path: The file.
        tensors: Any shapes and types; memory formats are not kept.
        record: What JSON can hold.

    Raises:
        VelaturaError: The file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, {_KEY: json.dumps(record)})


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a checkpoint.

    Raises:
        ConfigError: The file is missing, broken, or no checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})[_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except FileNotFoundError:
        raise ConfigError(f"cannot resume: there is no checkpoint {path}") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ConfigError(f"cannot resume: {path} is no checkpoint of Velatura ({error})") from error
