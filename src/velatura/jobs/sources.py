"""Where the pictures of a training lie: in folders, in a tar; and which of them only validate."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from velatura.core.errors import ConfigError
from velatura.engine.train import Location
from velatura.jobs.pictures import is_picture

__all__ = ["hold_out", "pictures_under"]

T = TypeVar("T")

_HELD_OUT_EVERY = 20


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
