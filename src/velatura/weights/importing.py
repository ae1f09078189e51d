"""Taking a user's own weights file into the cache, under a name."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Final

from velatura.core.errors import ConfigError, WeightsError
from velatura.weights.catalogue import catalogue
from velatura.weights.conventions import Preprocessing
from velatura.weights.load import Weights, load_weights
from velatura.weights.places import cache_folder
from velatura.weights.slim import write_slim

__all__ = ["import_weights"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def import_weights(
    path: str | os.PathLike[str], name: str, *, preprocessing: Preprocessing | None = None
) -> Weights:
    """Reads a weights file, keeps what is needed of it as ``NAME.safetensors``, and returns that.

    What is returned also says what kind of file it was, and what of it was left out.

    Args:
        path: A file that ``load_weights`` reads.
        name: What to call it from now on. A name of the catalogue stands for those very weights, so
            network and preprocessing must be theirs.
        preprocessing: What the network was trained on, for a file that does not say.

    Raises:
        ConfigError: The name is taken by what ships, or no name for a file.
        WeightsError: The file cannot be used, is of a network that no backbone builds, is not what the
            name stands for, or cannot be kept.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name weights; use letters, digits, '.', '_' and '-', at most 64")
    entry = catalogue().get(name)
    if entry is not None and entry.shipped:
        raise ConfigError(f"{name!r} is what ships with Velatura; import the file under another name")
    weights = load_weights(path, preprocessing=preprocessing)
    _check_built(weights)
    if entry is not None:
        _check_fits(weights, entry.name, entry.architecture, entry.preprocessing)
    target = cache_folder() / f"{name}.safetensors"
    origin = {"velatura.source": weights.source, "velatura.source_sha256": weights.sha256}
    write_slim(weights, target, metadata=origin)
    return replace(
        load_weights(target),
        style=weights.style,
        convention_from=weights.convention_from,
        prefixes=weights.prefixes,
        left_out={**weights.left_out, **({"heads": tuple(weights.heads)} if weights.heads else {})},
    )


def _check_built(weights: Weights) -> None:
    found = weights.architecture
    if not found.built:
        widths = ", ".join(map(str, found.widths))
        raise WeightsError(
            f"{weights.source} is a {found} of {widths} channels, which no backbone builds; "
            "'velatura backbones' lists those that are built"
        )


def _check_fits(weights: Weights, name: str, architecture: str, preprocessing: Preprocessing | None) -> None:
    found = weights.architecture
    if architecture not in found.names:
        raise WeightsError(
            f"{weights.source} is a {found}, and {name!r} names a {architecture}; choose another name"
        )
    if weights.preprocessing != preprocessing:
        raise WeightsError(
            f"{weights.source} takes {weights.preprocessing} input, and {name!r} names weights that take "
            f"{preprocessing} input; choose another name"
        )
