"""The weights that have a name: where they are published, under which hash and licence."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from velatura.core.errors import unknown_name
from velatura.weights.conventions import Padding, Pooling, Preprocessing

__all__ = ["CatalogueEntry", "catalogue", "entry_named", "official_entry"]


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One named set of weights.

    Args:
        name: What users call it.
        architecture: The network that the tensors belong to: ``vgg19_bn``, ``resnet50``.
        licence: SPDX identifier.
        shipped: Whether the file comes with the package.
        preprocessing: The input it was trained on; None where the file itself says so.
        padding: The padding it was trained with; None where the file itself says so.
        pooling: The pooling it was trained with; None where the file itself says so.
        files: Published file names, the current one first, each with the beginning of its SHA-256; empty
            where nobody has stated it.
        url: Where the current file is published; empty where it must be fetched by hand.
        page: The page that links to such a file, in the place of ``url``.
        safetensors_url: Where the same tensors can be fetched by ranges; empty if nowhere.
        tensors_sha256: Hash of the tensors fetched from there; empty if nobody has compared them.
        file_mib: Size of the published file, MiB.
        kept_mib: Size of the convolutions and normalisations in float32, MiB.
    """

    name: str
    architecture: str
    licence: str
    shipped: bool = False
    preprocessing: Preprocessing | None = None
    padding: Padding | None = None
    pooling: Pooling | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    page: str = ""
    safetensors_url: str = ""
    tensors_sha256: str = ""
    file_mib: float = 0.0
    kept_mib: float = 0.0

    @property
    def file(self) -> str:
        """The name under which the file is published, or under which it ships."""
        return next(iter(self.files), self.slim_file)

    @property
    def slim_file(self) -> str:
        """The name under which Velatura keeps these weights."""
        return f"{self.name}.safetensors"

    @property
    def sha256(self) -> str:
        """The first digits of the published file's SHA-256; empty for what ships, or where none is known."""
        return self.files.get(self.file, "")


@functools.cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """Every entry under its name, in the order of the catalogue."""
    tables = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: CatalogueEntry(name=name, **table) for name, table in tables.items()})


def entry_named(name: str) -> CatalogueEntry:
    """The entry of that name.

    Raises:
        ConfigError: The catalogue has no such name.
    """
    if name not in catalogue():
        raise unknown_name("weights", name, catalogue())
    return catalogue()[name]


def official_entry(sha256: str) -> CatalogueEntry | None:
    """The entry whose published file has this hash, if any.

    Args:
        sha256: A file's whole hash, 64 hexadecimal digits.
    """
    for entry in catalogue().values():
        if any(beginning and sha256.startswith(beginning) for beginning in entry.files.values()):
            return entry
    return None
