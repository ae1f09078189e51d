"""Where the pictures of a training lie: in folders, in a tar; and which of them only validate."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.engine.train import (
    Batches,
    Cropping,
    Framing,
    HeldOut,
    Location,
    Pictures,
    Processes,
    Training,
)
from velatura.jobs.pictures import is_picture
from velatura.networks import NetworkConfig

__all__ = ["Sources", "batches_of", "find_sources", "held_out_of", "hold_out", "pictures_under"]

T = TypeVar("T")

_HELD_OUT_EVERY = 20
_MOST_HELD_OUT = 16


def hold_out(pictures: Sequence[T], *, most: int | None = None) -> tuple[list[T], list[T]]:
    """Pictures to learn from, and every twentieth to validate on.

    Args:
        pictures: All there are.
        most: How many are held out at most; None: any number.
    """
    held = range(0, len(pictures), _HELD_OUT_EVERY)[:most]
    return [picture for n, picture in enumerate(pictures) if n not in held], [pictures[n] for n in held]


def pictures_under(source: Path) -> list[Location]:
    """The pictures of a folder and of all folders in it, or those in a tar, in the order of their names.

    Args:
        source: A folder, a tar that is not compressed, or one picture.

    Raises:
        ConfigError: There is no such file, or it is a broken or a compressed tar.
    """
    try:
        if source.is_dir():
            files = (file for file in source.rglob("*") if is_picture(file) and file.is_file())
            return [Location(file, file.relative_to(source).as_posix()) for file in sorted(files)]
        if is_picture(source):
            source.stat()
            return [Location(source, source.name)]
        with tarfile.open(source, "r:") as tar:
            members = [member for member in tar if member.isfile() and is_picture(Path(member.name))]
    except tarfile.TarError as error:
        raise ConfigError(
            f"{source} is no folder, no picture, and no tar that can be read in any order ({error}); "
            "unpack a compressed tar"
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read pictures from {source}: {error.strerror}") from error
    found = [Location(source, member.name, member.offset_data, member.size) for member in members]
    return sorted(found, key=lambda location: location.name)


@dataclass(frozen=True)
class Sources:
    """The pictures of a training, by where they lie.

    Args:
        contents: Photographs to learn from.
        held_contents: Photographs that only validate.
        styles: Paintings to learn from.
        held_styles: Paintings that only validate; of a network's own styles, the same.
        is_any: Whether the network takes any style.
    """

    contents: list[Location]
    held_contents: list[Location]
    styles: list[Location]
    held_styles: list[Location]
    is_any: bool

    @property
    def own(self) -> list[Location]:
        """Paintings of a network's own styles; none for a network of any."""
        return [] if self.is_any else self.styles

    @property
    def own_names(self) -> tuple[str, ...]:
        """What its own styles are called."""
        return tuple(Path(style.name).stem for style in self.own)

    @property
    def own_sha256(self) -> tuple[str, ...]:
        """Hash of each of their files."""
        return tuple(hashlib.sha256(style.content()).hexdigest() for style in self.own)

    def record(self) -> dict[str, Any]:
        """What the run has to do with these pictures and no others, as JSON can hold it."""
        return {
            "contents": _listing([*self.contents, *self.held_contents]),
            "styles": _listing([*self.styles, *self.held_styles]),
        }


def find_sources(contents: str, styles: Sequence[str], network: NetworkConfig) -> Sources:
    """The pictures that a network is to learn from.

    Args:
        contents: Folder, tar or file of photographs.
        styles: The same of paintings, several.
        network: What is to learn from them.

    Raises:
        ConfigError: There is none, one cannot be looked for, or there are too many paintings.
    """
    photographs = pictures_under(Path(contents))
    if not photographs:
        raise ConfigError(f"{contents} holds no picture to learn from")
    paintings = [location for source in styles for location in pictures_under(Path(source))]
    if not paintings:
        raise ConfigError(f"{', '.join(styles)}: no picture to take a style from")
    learnt, held = _shared_out(photographs)
    if network.styles == "any":
        return Sources(learnt, held, *_shared_out(paintings), is_any=True)
    if network.styles == "one" and len(paintings) != 1:
        raise ConfigError(
            f"a {network.name} network learns one style, and {len(paintings)} paintings were given"
        )
    sources = Sources(learnt, held, paintings, paintings, is_any=False)
    names = sources.own_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two styles would be called {', '.join(twice)}, after their files; rename one of the files"
        )
    return sources


def _shared_out(locations: list[Location]) -> tuple[list[Location], list[Location]]:
    """To learn from, and to validate on; a single picture is both."""
    learnt, held = hold_out(locations, most=_MOST_HELD_OUT)
    return learnt or locations, held


def _listing(locations: Sequence[Location]) -> dict[str, Any]:
    names = "\n".join(location.name for location in locations)
    return {"pictures": len(set(locations)), "names_sha256": hashlib.sha256(names.encode()).hexdigest()}


def batches_of(sources: Sources, config: Training, processes: Processes) -> Batches:
    """What a run learns from."""
    cropping = _cropping(config)
    return Batches(
        Pictures(sources.contents, cropping),
        Pictures(sources.styles, cropping) if sources.is_any else None,
        num_styles=len(sources.own) if config.network.styles == "many" else 0,
        batch=config.batch,
        seed=config.seed,
        rank=processes.rank,
        world=processes.world,
    )


def held_out_of(sources: Sources, config: Training) -> tuple[HeldOut, list[str]]:
    """The middle of each held-out picture, and what could not be read, a line each."""
    framing: Framing = "square" if config.framing == "square" else "centre"
    cropping = replace(_cropping(config), framing=framing, mirror=False)
    contents = Pictures(sources.held_contents, cropping)
    styles = Pictures(sources.held_styles, cropping) if sources.is_any else None
    held = HeldOut(
        contents=_all_of(contents),
        styles=None if styles is None else _all_of(styles),
        num_styles=len(sources.own) if config.network.styles == "many" else 0,
    )
    return held, [*contents.broken.values(), *(styles.broken.values() if styles else ())]


def _cropping(config: Training) -> Cropping:
    return Cropping(
        framing=config.framing, crop=config.crop, short_edge=config.short_edge, mirror=config.mirror
    )


def _all_of(pictures: Pictures) -> Tensor:
    rng = generator(0, "held out")
    return torch.stack([pictures.square(n, rng) for n in range(len(pictures.locations))])
