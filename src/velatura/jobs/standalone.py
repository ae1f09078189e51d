"""Pages in one file that ask for nothing else: sheet, script and pictures are part of it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from velatura.imaging import Picture
from velatura.ops.resize import fit, resize

__all__ = ["Embedded", "embedded", "script_json", "standalone"]

_ID_DIGITS = 16


@dataclass(frozen=True)
class Embedded:
    """A picture as a page holds it.

    Args:
        id: Hash of the picture, which does not tell where it is from.
        uri: The picture itself, as a ``data:`` address.
        width: In pixels.
        height: In pixels.
    """

    id: str
    uri: str
    width: int
    height: int


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
    uri = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    return Embedded(name, uri, picture.width, picture.height)


def script_json(content: Any) -> str:
    """JSON that may stand within a script element."""
    # Only "<" could end the element or begin a comment in it.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def standalone(package: str, name: str, **parts: str) -> str:
    """The page ``template/NAME.html`` of a package, with the sheet and the script beside it, as HTML.

    Its policy admits the one script and the one sheet that are in it, by their hashes, and pictures
    that are part of it; it can load nothing and send nothing. The sheet that all pages share comes
    before the page's own.

    Args:
        package: Holds a folder ``template`` with ``NAME.html``, ``NAME.css`` and ``NAME.js``.
        name: The page's.
        **parts: What stands for ``$part`` in the template, as HTML.
    """
    folder = files(package) / "template"
    own, script = ((folder / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    shared = (files("velatura.jobs") / "template" / "standalone.css").read_text(encoding="utf-8")
    sheet = f"{shared}\n{own}"
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash_of(sheet)}; script-src {_hash_of(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template((folder / f"{name}.html").read_text(encoding="utf-8")).substitute(
        policy=html.escape(policy, quote=True).replace("&#x27;", "'"), sheet=sheet, script=script, **parts
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
