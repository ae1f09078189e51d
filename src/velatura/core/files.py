"""Files that are written whole or not at all, and the hash that names their content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from velatura.core.errors import OutputError

__all__ = ["atomic_path", "check_writable", "same_file", "sha256_file"]

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "no file can be made in that folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the name ``path`` once the block ends without an error.

    The block gets an empty file beside ``path``, of the same suffix. Leaving the block flushes it
    to the disk and renames it, so that ``path`` holds either its old content or all of the new.
    On an error or an interrupt the temporary file is removed and ``path`` is as it was. Missing
    parent folders are made, and stay. A symbolic link is followed: what it points to is replaced.

    Args:
        path: The file to write. It may exist.

    Raises:
        OutputError: The file cannot be written: no room, no permission, a read-only disk, or
            ``path`` is a folder or a device. An ``OSError`` raised in the block is turned into
            this too, unless it names another file.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(6)}.tmp{target.suffix}")
    try:
        _check_kind(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: it creates files that only their owner may read.
        temporary.touch(exist_ok=False)
        yield temporary
        _flush(temporary)
        temporary.replace(target)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in _own_paths(temporary):
            raise
        raise OutputError(f"cannot write {os.fspath(path)!r}: {_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _flush_folder(target.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuses a path that ``atomic_path`` would refuse, before any work is done for it.

    A file is made beside it, or in the nearest folder that exists, and removed again: a folder
    can refuse new files whatever its rights say. Whether the disk has room is not known.

    Raises:
        OutputError: ``path`` is a folder or a device, or its folder cannot be written to.
    """
    try:
        _check_kind(path)
        folder = Path(os.path.realpath(path)).parent
        while not folder.exists():
            folder = folder.parent
        temporary = folder / f".{secrets.token_hex(6)}.tmp"
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)!r}: {_reason(error)}") from error


def _check_kind(path: str | os.PathLike[str]) -> None:
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "no ordinary file"
        raise OutputError(f"cannot write {os.fspath(path)!r}: it is {kind}; name a file")


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)


def _own_paths(temporary: Path) -> set[Path]:
    return {temporary, *temporary.parents}


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    # The new name itself reaches the disk with its folder. Not every system lets a folder be
    # flushed, and the file is whole either way.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file, by links of either kind too; neither needs to exist."""
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:
        return Path(one).samefile(other)
    except OSError:  # One is missing, out of reach, or has a name that is too long for any file.
        return False


def sha256_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, as 64 lowercase hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
