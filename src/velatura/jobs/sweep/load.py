"""A sweep from its file, or by the name of one that ships."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError
from velatura.jobs.sweep.reading import read_document
from velatura.jobs.sweep.spec import Sweep, parse_sweep
from velatura.sweeps import sweep_file

__all__ = ["load_sweep"]

_SUFFIXES = (".yaml", ".yml")


def load_sweep(
    name_or_path: str | Path,
    *,
    reduced: bool = False,
    changes: Mapping[str, Any] | None = None,
    contents: str | None = None,
    styles: str | None = None,
) -> Sweep:
    """Reads a sweep and checks it.

    Args:
        name_or_path: A YAML file, or the name of a sweep that ships.
        reduced: Take its reduced form: smaller pictures, fewer steps, networks that are at hand.
        changes: Settings laid over the base, by dotted field.
        contents: Photographs in the place of its own: a file, a folder, a glob, or a sample's name.
        styles: Likewise paintings.

    Raises:
        ConfigError: There is no such sweep, or it is wrong somewhere; with the line, where it has one.
    """
    text = os.fspath(name_or_path)
    is_file = isinstance(name_or_path, Path) or os.sep in text or text.endswith(_SUFFIXES)
    path = Path(text) if is_file else sweep_file(text)
    if is_file and path.suffix not in _SUFFIXES:
        raise ConfigError(f"expected a sweep in YAML, such as sweep.yaml, not {text!r}")
    return parse_sweep(
        read_document(path, name=text),
        folder=path.absolute().parent,
        reduced=reduced,
        changes=changes,
        contents=contents,
        styles=styles,
    )
