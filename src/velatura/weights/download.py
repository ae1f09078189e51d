"""Downloads that go on where an earlier one stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from velatura.weights.remote import Remote, SourceError, stream

__all__ = ["OnProgress", "discard", "download"]

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here, and the bytes that there will be (None if nobody knows)."""

_NOTICE_BYTES = 2**18


def download(
    remote: Remote,
    path: Path,
    *,
    spans: Sequence[tuple[int, int | None]],
    limit_bytes: int,
    head: bytes = b"",
    on_progress: OnProgress | None = None,
) -> None:
    """Writes ``head`` and then the bytes of ``spans`` into ``path``.

    Beside ``path`` stands a note of what it will be (``path`` with ``.json`` behind it). Where ``path``
    was left unfinished with the same note, the download goes on behind its last byte.

    Args:
        remote: The file on the server.
        path: The unfinished file.
        spans: First byte and the byte behind the last one, of each piece; None for all that comes.
        limit_bytes: The most that ``path`` may become.
        head: Bytes to put before the first piece.
        on_progress: Called at the start, every 256 KiB and at the end.

    Raises:
        SourceError: The server does not deliver, or delivers more than ``limit_bytes``.
        OSError: ``path`` cannot be written. Nothing is left of it.
    """
    total = _total(len(head), spans)
    if total is not None and total > limit_bytes:
        raise SourceError(f"{remote.url}: {total} bytes, more than the {limit_bytes} expected at most")
    note: dict[str, object] = {
        "url": remote.url,
        "validator": remote.validator,
        "spans": [list(span) for span in spans],
        "head": hashlib.sha256(head).hexdigest(),
    }
    try:
        done = _resumable(path, note, total, least=len(head))
        with path.open("ab" if done else "wb") as file:
            if not done:
                _note_path(path).write_text(json.dumps(note))
                done = file.write(head)
            _append(remote, _left(spans, done - len(head)), file.write, done, total, limit_bytes, on_progress)
    except OSError:
        discard(path)
        raise


def discard(path: Path) -> None:
    """Removes an unfinished file and its note."""
    for leftover in (path, _note_path(path)):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _append(
    remote: Remote,
    spans: Sequence[tuple[int, int | None]],
    write: Callable[[bytes], int],
    done: int,
    total: int | None,
    limit_bytes: int,
    on_progress: OnProgress | None,
) -> None:
    noticed = -_NOTICE_BYTES
    for start, stop in spans:
        for chunk in stream(remote, start, stop):
            if done + len(chunk) > limit_bytes:
                raise SourceError(f"{remote.url}: more than the {limit_bytes} bytes expected at most")
            write(chunk)
            done += len(chunk)
            if on_progress is not None and done - noticed >= _NOTICE_BYTES:
                noticed = done
                on_progress(done, total)
    if on_progress is not None and noticed != done:
        on_progress(done, total)


def _total(head_bytes: int, spans: Sequence[tuple[int, int | None]]) -> int | None:
    total = head_bytes
    for start, stop in spans:
        if stop is None:
            return None
        total += stop - start
    return total


def _left(spans: Sequence[tuple[int, int | None]], done: int) -> list[tuple[int, int | None]]:
    """What is still to come when the first ``done`` bytes of ``spans`` are here."""
    left: list[tuple[int, int | None]] = []
    for start, stop in spans:
        skipped = done if stop is None else min(done, stop - start)
        done -= skipped
        if stop is None or start + skipped < stop:
            left.append((start + skipped, stop))
    return left


def _resumable(path: Path, note: dict[str, object], total: int | None, *, least: int) -> int:
    """How many bytes of an earlier download can be kept: 0 unless it was certainly of the same content."""
    try:
        same = json.loads(_note_path(path).read_text()) == note
        size = path.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0
    fits = least <= size and (total is None or size <= total)
    return size if same and note["validator"] and fits else 0


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")
