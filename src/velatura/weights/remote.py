"""Ranges of a file on a web server: tried again where they were cut, and never mixed with another file's."""

from __future__ import annotations

import contextlib
import errno
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import IO, Final

from velatura._version import __version__
from velatura.core.errors import WeightsError

__all__ = ["Remote", "SourceError", "probe", "stream"]

TIMEOUT_S: Final = 20.0
"""Patience with a server that says nothing, at connecting and between two pieces of a file."""

NUM_RETRIES: Final = 4
BACKOFF_S: Final = 0.5
"""Pause before the first retry; each further one is twice as long. A piece that arrives resets both."""

_CHUNK_BYTES: Final = 2**16
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_NO_ROUTE: Final = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH)


class SourceError(WeightsError):
    """A server does not give the file; another one may."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file on a server.

    Args:
        url: Its address.
        size: Its length in bytes; None if the server does not tell.
        validator: The ETag or date that changes with the content; empty if there is none.
    """

    url: str
    size: int | None
    validator: str


class _Lost(Exception):  # noqa: N818 (an event that is dealt with here, no error for the caller)
    """The connection broke, or the server is busy: worth another try."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def probe(url: str) -> Remote:
    """Asks for a file's size and validator, by its first byte.

    Raises:
        SourceError: The server cannot be reached, refuses, or is no https server.
    """
    for chance in range(NUM_RETRIES + 1):
        try:
            with contextlib.closing(_open(url, 0, 1, "")) as response:
                return Remote(url=url, size=_size(response), validator=_validator(response.headers))
        except _Lost as lost:
            _pause(url, lost, chance)
    raise AssertionError("unreachable: the last chance raises")


def stream(remote: Remote, start: int, stop: int | None) -> Iterator[bytes]:
    """The bytes from ``start`` up to ``stop``, in pieces; a cut connection is taken up where it broke.

    A server that knows no ranges sends everything: what was not asked for is skipped.

    Args:
        remote: The file, as ``probe`` found it.
        start: The first byte.
        stop: The byte behind the last one; None for all that comes.

    Raises:
        SourceError: The server cannot be reached, refuses, keeps breaking off, or the file there has
            changed meanwhile.
    """
    position, failures = start, 0
    while stop is None or position < stop:
        try:
            for chunk in _chunks(remote, position, stop):
                position += len(chunk)
                failures = 0
                yield chunk
            if stop is None:
                return
            if position < stop:
                raise _Lost(f"the connection was cut at byte {position} of {stop}")
        except _Lost as lost:
            _pause(remote.url, lost, failures)
            failures += 1


def _pause(url: str, lost: _Lost, failures: int) -> None:
    if failures >= NUM_RETRIES:
        raise SourceError(f"{url}: {lost}, {failures + 1} times in a row; try again later") from lost
    time.sleep(BACKOFF_S * 2**failures)


def _chunks(remote: Remote, position: int, stop: int | None) -> Iterator[bytes]:
    with contextlib.closing(_open(remote.url, position, stop, remote.validator)) as response:
        skip = position - _first_byte(response, remote, position)
        wanted = None if stop is None else stop - position
        while wanted is None or wanted > 0:
            chunk = _read(response)
            if not chunk:
                return
            skipped = min(skip, len(chunk))
            skip -= skipped
            chunk = chunk[skipped:] if wanted is None else chunk[skipped : skipped + wanted]
            if chunk:
                wanted = None if wanted is None else wanted - len(chunk)
                yield chunk


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(f"the connection was cut ({type(error).__name__})") from error


def _open(url: str, start: int, stop: int | None, validator: str) -> http.client.HTTPResponse:
    _check_scheme(url)
    headers = {
        "User-Agent": f"velatura/{__version__}",
        "Accept-Encoding": "identity",
        "Range": f"bytes={start}-{'' if stop is None else stop - 1}",
    }
    if validator:
        headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the scheme is checked above)
    try:
        response = urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 429 or error.code >= 500:
            raise _Lost(f"the server answered {error.code} {error.reason}") from error
        raise SourceError(f"{url}: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _unreachable(url, error.reason) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(url, error) from error
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _unreachable(url: str, reason: object) -> Exception:
    hopeless = isinstance(
        reason, socket.gaierror | ssl.SSLCertVerificationError | http.client.InvalidURL | ValueError | str
    )
    if hopeless or (isinstance(reason, OSError) and reason.errno in _NO_ROUTE):
        return SourceError(f"{url}: the server cannot be reached ({reason})")
    return _Lost(f"the connection failed ({reason})")


def _check_scheme(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SourceError(f"{url}: weights are fetched over https only")


def _first_byte(response: http.client.HTTPResponse, remote: Remote, position: int) -> int:
    """Where the response begins in the file; checks that it is still the same file."""
    if remote.validator and _validator(response.headers) != remote.validator:
        raise SourceError(f"{remote.url}: the file changed while it was fetched; try again")
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    start, size = _content_range(response)
    if start != position or (size is not None and remote.size is not None and size != remote.size):
        raise SourceError(f"{remote.url}: the server sent another range than was asked for")
    return position


def _size(response: http.client.HTTPResponse) -> int | None:
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        return _content_range(response)[1]
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    match = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", "")
    )
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _validator(headers: Message) -> str:
    etag = headers.get("ETag", "")
    # A weak ETag says "alike", not "the same bytes": RFC 9110 forbids it in If-Range.
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
