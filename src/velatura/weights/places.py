"""Where weights files are looked for, and where they are kept.

Environment variables:

* ``VELATURA_WEIGHTS``: a folder of files under their published names (``vgg19-dcbb9e9d.pth``) or as
  ``NAME.safetensors``. It is looked at first.
* ``VELATURA_CACHE``: where Velatura keeps what it fetches, in a folder ``weights``, and what it measured
  of the machine, in a folder ``precision``; otherwise the platform's cache folder
  (``$XDG_CACHE_HOME/velatura`` or ``~/.cache/velatura`` on Linux).
* ``TORCH_HOME``: PyTorch's own cache, whose downloads are used where they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from velatura.core.errors import WeightsError
from velatura.weights.catalogue import CatalogueEntry, catalogue

__all__ = ["Found", "Place", "by_hand", "cache_folder", "cache_root", "find", "kept_names"]

Place = Literal["given", "shipped", "cached", "torch hub"]
"""Which folder a file was found in: ``VELATURA_WEIGHTS``, the package, the cache, or PyTorch's cache."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file that is here, and which kind of place it is in."""

    path: Path
    place: Place


def cache_root() -> Path:
    """The folder in which everything is kept that can be had again. It need not exist."""
    own = os.environ.get("VELATURA_CACHE")
    return Path(own).expanduser() if own else _platform_cache() / "velatura"


def cache_folder() -> Path:
    """The folder in which fetched and imported weights are kept. It need not exist."""
    return cache_root() / "weights"


def find(name: str) -> Found | None:
    """The file of named weights, if it is on this machine.

    Looked at are the folder that ``VELATURA_WEIGHTS`` names, the package, the cache and PyTorch's
    cache, in this order.

    Raises:
        WeightsError: ``VELATURA_WEIGHTS`` names no folder, or one of the folders may not be read.
    """
    entry = catalogue().get(name)
    slim = f"{name}.safetensors"
    published = tuple(entry.files) if entry else ()
    for place, folder in _folders():
        files = {"shipped": (slim,), "torch hub": published}.get(place, (slim, *published))
        try:
            path = next((folder / file for file in files if (folder / file).is_file()), None)
        except OSError as error:
            raise WeightsError(f"cannot look for weights in {folder}: {error.strerror or error}") from error
        if path is not None:
            return Found(path=path, place=place)
    return None


def kept_names() -> tuple[str, ...]:
    """Names of the weights in the given folder and in the cache, beside the catalogue's."""
    names = {
        file.name.removesuffix(".safetensors")
        for place, folder in _folders()
        if place in ("given", "cached")
        for file in folder.glob("*.safetensors")
        if not file.name.startswith(".")
    }
    return tuple(sorted(names - catalogue().keys()))


def by_hand(entry: CatalogueEntry, folder: Path) -> str:
    """How somebody gets these weights without ``fetch``, for the end of an error message."""
    sha256 = f"SHA-256 {entry.sha256}..." if entry.sha256 else "no hash of it is published"
    return (
        f"put {entry.file} ({sha256}, from {entry.url or entry.page}) into {folder}, "
        f"or into a folder that VELATURA_WEIGHTS names"
    )


def _folders() -> Iterator[tuple[Place, Path]]:
    given = os.environ.get("VELATURA_WEIGHTS")
    if given:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise WeightsError(f"VELATURA_WEIGHTS names {given}, which is no folder; correct or unset it")
        yield "given", folder
    yield "shipped", Path(__file__).parent
    yield "cached", cache_folder()
    yield "torch hub", _torch_hub_folder()


def _torch_hub_folder() -> Path:
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else _xdg_cache() / "torch") / "hub" / "checkpoints"


def _platform_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return _xdg_cache()


def _xdg_cache() -> Path:
    # The XDG specification has relative paths ignored.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"
