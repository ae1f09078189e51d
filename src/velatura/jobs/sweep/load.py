"""A sweep from its file, or by the name of one that ships."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError
from velatura.jobs.sweep.reading import Document, read_document
from velatura.jobs.sweep.spec import Sweep, parse_sweep
from velatura.sweeps import sweep_file

__all__ = ["load_sweep"]

_SUFFIXES = (".yaml", ".yml")
_IN_PYTHON = "the sweep"


def load_sweep(
    spec: str | Path | Mapping[str, Any],
    *,
    reduced: bool = False,
    changes: Mapping[str, Any] | None = None,
    contents: str | None = None,
    styles: str | None = None,
    reference: str | None = None,
) -> Sweep:
    """Reads a sweep and checks it.

    Args:
        spec: A YAML file, the name of a sweep that ships, or what such a file says as a mapping, whose paths
            are relative to the current folder.
        reduced: Take its reduced form: smaller pictures, fewer steps, networks that are at hand.
        changes: Settings laid over the base, by dotted field.
        contents: Photographs in the place of its own: a file, a folder, a glob, or a sample's name.
        styles: Likewise paintings.
        reference: Folder of pictures to compare with in the place of its reference, called
            ``photo+painting`` or, for one painting, ``photo``.

    Raises:
        ConfigError: There is no such sweep, or it is wrong somewhere; with the line, where it has one.
    """
    document, folder = _document(spec)
    return parse_sweep(
        document,
        folder=folder,
        reduced=reduced,
        changes=changes,
        contents=contents,
        styles=styles,
        reference=reference,
    )


def _document(spec: str | Path | Mapping[str, Any]) -> tuple[Document, Path]:
    """What a sweep says, and the folder that its paths are relative to."""
    if isinstance(spec, Mapping):
        return Document(name=_IN_PYTHON, content=_as_of_yaml(spec), lines={}), Path.cwd()
    text = os.fspath(spec)
    is_file = isinstance(spec, Path) or os.sep in text or text.endswith(_SUFFIXES)
    path = Path(text) if is_file else sweep_file(text)
    if is_file and path.suffix not in _SUFFIXES:
        raise ConfigError(f"expected a sweep in YAML, such as sweep.yaml, not {text!r}")
    return read_document(path, name=text), path.absolute().parent


def _as_of_yaml(value: Any) -> Any:
    """A value of Python as YAML would have it."""
    if isinstance(value, Mapping):
        return {key: _as_of_yaml(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_of_yaml(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value
