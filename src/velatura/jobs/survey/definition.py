"""What a survey is: which pictures are compared, under which question; and the seal on that.

The page and the answers carry the definition sealed: packed, so that nobody reads by chance which
method a picture is from. It is no secret from someone who sets out to unpack it. The survey's id is
the definition's hash, so that a seal that was changed does not fit its id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from annotated_types import Ge, Len
from pydantic import TypeAdapter, ValidationError

from velatura.core.errors import ConfigError

__all__ = ["Definition", "Origin", "unseal"]

_MAX_BYTES = 2**24


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a picture is from: indices of its method and of its item."""

    method: Annotated[int, Ge(0)]
    item: Annotated[int, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One survey.

    Args:
        title: Heading of the page.
        question: What is asked of every pair.
        methods: Names, two or more; a method is a folder of pictures.
        items: Names; an item is what each method made one picture of.
        pictures: Origin of each picture by its id, which is a hash of the picture.
        pairs: Ids of the pictures that are compared, two each.
        seed: Together with the rater's id, it decides order and sides.
        repeat: Pairs that are shown a second time, with sides changed.
        checks: Times that a rater is told what to choose.
    """

    title: str
    question: str
    methods: Annotated[tuple[str, ...], Len(2)]
    items: Annotated[tuple[str, ...], Len(1)]
    pictures: Mapping[str, Origin]
    pairs: Annotated[tuple[tuple[str, str], ...], Len(1)]
    seed: int
    repeat: Annotated[int, Ge(0)]
    checks: Annotated[int, Ge(0)]

    def packed(self) -> bytes:
        """The definition as JSON, the same bytes for the same survey."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @property
    def id(self) -> str:
        """SHA-256 of the definition, and so of its pictures: 64 hexadecimal digits."""
        return hashlib.sha256(self.packed()).hexdigest()

    def seal(self) -> str:
        """The definition packed into letters, which do not show what they say."""
        return base64.b64encode(zlib.compress(self.packed(), level=9)).decode()

    def origins(self, pair: tuple[str, str]) -> tuple[Origin, Origin]:
        """Where the two pictures of a pair are from."""
        return self.pictures[pair[0]], self.pictures[pair[1]]


_SHAPE: TypeAdapter[Definition] = TypeAdapter(Definition)


def unseal(sealed: str, *, id: str) -> Definition:  # noqa: A002 - the survey's id
    """The definition in a seal.

    Args:
        sealed: What :meth:`Definition.seal` made.
        id: The survey's id, which the seal must fit.

    Raises:
        ConfigError: The seal is broken, or is that of another survey.
    """
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(sealed, validate=True), _MAX_BYTES)
        if not unpacker.eof:
            raise ConfigError("the seal is not whole")
        if hashlib.sha256(data).hexdigest() != id:
            raise ConfigError("the seal is not that of survey " + id[:12])
        definition = _SHAPE.validate_json(data)
    except (binascii.Error, zlib.error, ValueError, ValidationError) as error:
        reason = str(error) if isinstance(error, ConfigError) else "the seal is broken"
        raise ConfigError(f"{reason}; what the pictures are cannot be told") from error
    _check(definition)
    return definition


def _check(definition: Definition) -> None:
    known: Mapping[str, Any] = definition.pictures
    for pair in definition.pairs:
        if not all(picture in known for picture in pair):
            raise ConfigError("the seal names pictures that it does not have; what they are cannot be told")
    for origin in definition.pictures.values():
        if origin.method >= len(definition.methods) or origin.item >= len(definition.items):
            raise ConfigError("the seal names methods that it does not have; what they are cannot be told")
