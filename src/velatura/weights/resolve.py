"""From a name or a path to a weights file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from velatura.core.errors import ConfigError, WeightsError, unknown_name
from velatura.weights.catalogue import catalogue
from velatura.weights.places import by_hand, cache_folder, find, kept_names

__all__ = ["resolve"]

_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


def resolve(
    name_or_path: str | os.PathLike[str],
    *,
    fetch: bool = True,
    on_progress: Callable[[int, int | None], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """The file of some weights, fetched if need be.

    A path is what contains a separator, ends like a weights file, or comes as a ``Path``. A name is
    looked for in the folder that ``VELATURA_WEIGHTS`` names, in the package, in the cache and in
    PyTorch's cache; then it is fetched, once, unless ``VELATURA_OFFLINE`` is set.

    Args:
        name_or_path: ``"vgg19"``, or a file.
        fetch: Whether to go to the network for a file that is not here.
        on_progress: Called with the bytes that are here and the bytes there will be (None if unknown).
        on_note: Told in words what is being done: which source, and why another one.

    Raises:
        ConfigError: No weights have this name.
        WeightsError: The file is not here and is not fetched; the message says where to get it.
    """
    if not isinstance(name_or_path, str) or _is_path(name_or_path):
        return _existing(Path(name_or_path))
    found = find(name_or_path)
    if found is not None:
        return found.path
    if name_or_path not in catalogue():
        if os.path.exists(name_or_path):  # noqa: PTH110 - Path.exists raises where a name is too long
            raise ConfigError(f"no weights are named {name_or_path!r}; for that file, say ./{name_or_path}")
        raise unknown_name("weights", name_or_path, (*catalogue(), *kept_names()))
    entry = catalogue()[name_or_path]
    if entry.shipped:
        raise WeightsError(
            f"{entry.name} ships with Velatura, but {entry.file} is not in it; install it again"
        )
    if entry.page and not os.environ.get("VELATURA_MIRROR"):
        raise WeightsError(f"weights {entry.name} are not here; {by_hand(entry, cache_folder())}")
    if not fetch or os.environ.get("VELATURA_OFFLINE"):
        how = "VELATURA_OFFLINE is set" if fetch else f"run 'velatura weights fetch {entry.name}'"
        raise WeightsError(f"weights {entry.name} are not here ({how}); {by_hand(entry, cache_folder())}")
    # Imported late: most runs find their file, and the network's modules take their time to load.
    from velatura.weights.fetch import fetch as fetch_entry

    return fetch_entry(entry, on_progress=on_progress, on_note=on_note)


def _existing(path: Path) -> Path:
    try:
        if not path.is_file():
            raise WeightsError(f"no weights file {path}" + ("; it is a folder" if path.is_dir() else ""))
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}") from error
    return path


def _is_path(text: str) -> bool:
    separators = {os.sep, os.altsep or os.sep}
    return any(separator in text for separator in separators) or text.endswith(_SUFFIXES)
