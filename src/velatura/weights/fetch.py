"""Fetching published weights: only the tensors that are needed, checked, and kept as slim safetensors.

``VELATURA_MIRROR`` names another server to fetch from: an https address under which the files lie by
their published names (``vgg19-dcbb9e9d.pth``) or as ``NAME.safetensors``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from velatura.core.errors import WeightsError
from velatura.core.files import sha256_file
from velatura.weights.catalogue import CatalogueEntry
from velatura.weights.download import OnProgress, discard, download
from velatura.weights.formats import place
from velatura.weights.header import LENGTH_BYTES, Header, TensorSpan, header_length, pack_header, parse_header
from velatura.weights.lock import locked
from velatura.weights.places import by_hand, cache_folder
from velatura.weights.remote import Remote, SourceError, probe, stream

if TYPE_CHECKING:
    from velatura.weights.load import Weights

__all__ = ["fetch"]

WAIT_S: Final = 3600.0
"""How long one process waits for another one that fetches the same weights."""

_NEIGHBOUR_BYTES: Final = 2**16
"""An unneeded tensor up to this size is fetched along, rather than asking twice around it."""

_MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class _Source:
    url: str
    by_ranges: bool


def fetch(
    entry: CatalogueEntry,
    *,
    folder: Path | None = None,
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Fetches published weights into ``folder`` as ``NAME.safetensors``, once.

    Where the tensors are served as safetensors, only the convolutions and normalisations are fetched;
    otherwise the published file, which is checked against its hash. A download that was cut goes on
    where it stopped. If another process fetches the same weights, its file is waited for.

    Args:
        entry: What to fetch.
        folder: Where to keep it; the cache unless given.
        on_progress: Called with the bytes that are here and the bytes there will be (None if unknown).
        on_note: Told in words what is being done: which source, and why another one.

    Returns:
        The file. Its metadata say where it came from and what was checked.

    Raises:
        WeightsError: No source delivers, a hash is wrong, the folder cannot be written, or the weights
            ship with the package, or have no hash to be checked by.
    """
    if entry.shipped:
        raise WeightsError(f"{entry.name} ships with Velatura; there is nothing to fetch")
    if entry.page and not os.environ.get("VELATURA_MIRROR"):
        raise WeightsError(
            f"{entry.name} cannot be fetched, its publisher gives no hash to check it by; "
            f"{by_hand(entry, folder or cache_folder())}"
        )
    folder = folder or cache_folder()
    target = folder / entry.slim_file
    note = on_note or _say_nothing
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"another process is fetching {entry.name}; waiting for it"
        with locked(folder / f".{entry.name}.lock", timeout_s=WAIT_S, on_wait=lambda: note(waiting)):
            if not target.is_file():
                _fetch_from_any(entry, target, on_progress, note)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsError(
            f"cannot keep weights in {folder}: {reason}; make room or name another folder"
        ) from error
    return target


def _fetch_from_any(
    entry: CatalogueEntry, target: Path, on_progress: OnProgress | None, note: Callable[[str], None]
) -> None:
    problems = []
    for source in _sources(entry):
        note(f"fetching {entry.name} from {source.url}")
        try:
            get = _get_ranges if source.by_ranges else _get_whole
            get(entry, source.url, target, on_progress)
        except SourceError as error:
            problems.append(str(error))
            note(str(error))
        else:
            return
    raise WeightsError(f"cannot fetch {entry.name}: {'; '.join(problems)}; {by_hand(entry, target.parent)}")


def _say_nothing(_: str) -> None:
    """For callers who do not ask."""


def _sources(entry: CatalogueEntry) -> list[_Source]:
    """Where to fetch from, in the order of the bytes that must be moved."""
    mirror = os.environ.get("VELATURA_MIRROR", "").rstrip("/")
    if mirror:
        return [
            _Source(url=f"{mirror}/{entry.slim_file}", by_ranges=True),
            _Source(url=f"{mirror}/{entry.file}", by_ranges=False),
        ]
    whole = _Source(url=entry.url, by_ranges=False)
    return [_Source(url=entry.safetensors_url, by_ranges=True), whole] if entry.safetensors_url else [whole]


def _get_whole(entry: CatalogueEntry, url: str, target: Path, on_progress: OnProgress | None) -> None:
    part = target.with_name(f".{entry.file}.part")
    remote = probe(url)
    limit_bytes = int((1.05 * entry.file_mib + 1) * _MIB)
    download(remote, part, spans=[(0, remote.size)], limit_bytes=limit_bytes, on_progress=on_progress)
    sha256 = sha256_file(part)
    if not sha256.startswith(entry.sha256):
        discard(part)
        raise SourceError(
            f"{url}: its SHA-256 begins {sha256[:8]}, the published file's {entry.sha256}; "
            f"what came is deleted"
        )
    _keep(entry, url, part, target, source_sha256=sha256)


def _get_ranges(entry: CatalogueEntry, url: str, target: Path, on_progress: OnProgress | None) -> None:
    part = target.with_name(f".{entry.slim_file}.part")
    remote = probe(url)
    try:
        data_start, header = _remote_header(remote)
        placement = place({tensor.name: tensor.shape for tensor in header.tensors})
    except SourceError:
        raise
    except WeightsError as error:
        raise SourceError(f"{url}: {error}") from error
    spans, tensors = _needed(header, {*placement.keys, *(placement.normaliser or ())})
    download(
        remote,
        part,
        spans=[(data_start + start, data_start + stop) for start, stop in spans],
        limit_bytes=int((1.25 * entry.kept_mib + 1) * _MIB),
        head=pack_header(tensors, header.metadata),
        on_progress=on_progress,
    )
    _keep(entry, url, part, target)


def _remote_header(remote: Remote) -> tuple[int, Header]:
    """Where the tensors of a safetensors file on a server begin, and what they are."""
    length = header_length(b"".join(stream(remote, 0, LENGTH_BYTES)))
    data_start = LENGTH_BYTES + length
    text = b"".join(stream(remote, LENGTH_BYTES, data_start))
    return data_start, parse_header(
        text, data_bytes=None if remote.size is None else remote.size - data_start
    )


def _needed(header: Header, names: set[str]) -> tuple[list[tuple[int, int]], list[TensorSpan]]:
    """The byte ranges to ask for, and the tensors in them: the named ones and small neighbours between."""
    spans: list[tuple[int, int]] = []
    tensors: list[TensorSpan] = []
    between: list[TensorSpan] = []
    for tensor in header.tensors:
        if tensor.name not in names:
            between.append(tensor)
            continue
        if spans and tensor.start - spans[-1][1] <= _NEIGHBOUR_BYTES:
            spans[-1] = (spans[-1][0], tensor.stop)
            tensors += between
        else:
            spans.append((tensor.start, tensor.stop))
        tensors.append(tensor)
        between = []
    return spans, tensors


def _keep(entry: CatalogueEntry, url: str, part: Path, target: Path, *, source_sha256: str = "") -> None:
    """Turns the fetched file into the one that is kept.

    Args:
        entry: What it must be.
        url: Where it came from.
        part: The fetched file, which is removed in the end.
        target: The file to make of it.
        source_sha256: Hash of the published file, if it came whole and was checked.
    """
    from velatura.weights.load import load_weights
    from velatura.weights.slim import write_slim

    try:
        weights = load_weights(part, preprocessing=entry.preprocessing)
        found = weights.architecture
        if entry.architecture not in found.names or not found.complete:
            raise WeightsError(f"expected all of a {entry.architecture}, got a {found} to {found.deepest}")
        checks = (
            {"velatura.source_sha256": source_sha256, "velatura.verified": "SHA-256 of the published file"}
            if source_sha256
            else _check_tensors(entry, weights)
        )
    except WeightsError as error:
        discard(part)
        raise SourceError(f"{url}: {error}") from error
    named = dataclasses.replace(
        weights,
        licence=weights.licence or entry.licence,
        padding=entry.padding or weights.padding,
        pooling=entry.pooling or weights.pooling,
    )
    try:
        write_slim(named, target, metadata={"velatura.source_url": url, **checks})
    finally:
        discard(part)


def _check_tensors(entry: CatalogueEntry, weights: Weights) -> dict[str, str]:
    """What can be said about tensors fetched by ranges, of a file that nobody has seen whole."""
    from velatura.weights.slim import tensors_sha256

    sha256 = tensors_sha256(weights.state)
    if entry.tensors_sha256 and sha256 != entry.tensors_sha256:
        raise WeightsError(f"the SHA-256 of its tensors is {sha256}, expected {entry.tensors_sha256}")
    verified = (
        "SHA-256 of the tensors" if entry.tensors_sha256 else "no: ranges fetched over https, no hash known"
    )
    return {"velatura.tensors_sha256": sha256, "velatura.verified": verified}
