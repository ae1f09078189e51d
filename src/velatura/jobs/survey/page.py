"""The survey's page: template, pictures and definition in one file that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from velatura.imaging import Picture
from velatura.jobs.survey.definition import Definition
from velatura.ops.resize import fit, resize

__all__ = ["Comparison", "Embedded", "embedded", "page"]

_ID_DIGITS = 16


@dataclass(frozen=True)
class Embedded:
    """A picture as the page holds it.

    Args:
        id: Hash of the picture, which does not tell where it is from.
        uri: The picture itself, as a ``data:`` address.
    """

    id: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two pictures to choose from, and what they were made of, if that is shown."""

    first: Embedded
    second: Embedded
    content: Embedded | None = None
    style: Embedded | None = None

    @property
    def ids(self) -> tuple[str, str]:
        """The two pictures' ids."""
        return self.first.id, self.second.id


def embedded(picture: Picture, *, edge: int, quality: int, salt: str = "") -> Embedded:
    """A picture as WebP in a ``data:`` address, without anything but its pixels.

    Args:
        picture: Laid over white where it has alpha.
        edge: Longer edge, at most, in pixels; a smaller picture is not enlarged.
        quality: 1 to 100.
        salt: Enters the id, so that one picture under two names has two.
    """
    picture = picture.over()
    if max(picture.height, picture.width) > edge:
        size = fit(picture.height, picture.width, edge)
        picture = Picture(resize(picture.pixels[None], size)[0].clamp_(0, 1))
    buffer = io.BytesIO()
    picture.to_pil().save(buffer, "WEBP", quality=quality, method=4)
    data = buffer.getvalue()
    name = hashlib.sha256(salt.encode() + b"\0" + data).hexdigest()[:_ID_DIGITS]
    return Embedded(name, f"data:image/webp;base64,{base64.b64encode(data).decode()}")


def page(definition: Definition, comparisons: Sequence[Comparison]) -> str:
    """The whole page, as HTML.

    Its policy admits the one script and the one sheet that are in it, by their hashes, and pictures
    that are part of it; it can load nothing and send nothing.
    """
    parts = files("velatura.jobs.survey") / "template"
    sheet, script = ((parts / f"survey.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash_of(sheet)}; script-src {_hash_of(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    template = Template((parts / "survey.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=html.escape(policy, quote=True).replace("&#x27;", "'"),
        title=html.escape(definition.title),
        sheet=sheet,
        script=script,
        survey=_as_json(_content(definition, comparisons)),
    )


def _content(definition: Definition, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What the script knows: everything but the methods and the names, which are sealed."""
    pictures: dict[str, str] = {}
    pairs = []
    for comparison in comparisons:
        for one in (comparison.first, comparison.second, comparison.content, comparison.style):
            if one is not None:
                pictures[one.id] = one.uri
        pairs.append(
            {
                "pictures": comparison.ids,
                "content": comparison.content and comparison.content.id,
                "style": comparison.style and comparison.style.id,
            }
        )
    return {
        "id": definition.id,
        "sealed": definition.seal(),
        "title": definition.title,
        "question": definition.question,
        "seed": definition.seed,
        "repeat": definition.repeat,
        "checks": definition.checks,
        "pairs": pairs,
        "pictures": dict(sorted(pictures.items())),
    }


def _as_json(content: dict[str, Any]) -> str:
    # Within a script element, only "<" could end it or begin a comment.
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
