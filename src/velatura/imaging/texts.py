"""Reading back the texts that ``write_picture`` puts into a file beside the pixels."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from velatura.core.errors import ImageError
from velatura.imaging._pillow import MALFORMED, collected_warnings, one_line

__all__ = ["read_text"]

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")
_XMP_TAG = 700


def read_text(path: str | os.PathLike[str], name: str) -> str | None:
    """One of the texts that were given to ``write_picture`` as ``metadata``; no pixel is decoded.

    Args:
        path: A picture.
        name: The text's.

    Returns:
        The text; None where the file has no such text, or is of a format that is not written here.

    Raises:
        ImageError: The file cannot be opened, or is broken.
    """
    try:
        with collected_warnings(), Path(path).open("rb") as file:
            try:
                image = Image.open(file, formats=_FORMATS)
            except UnidentifiedImageError:
                return None
            if image.format == "PNG":
                text = image.info.get(name)
                return text if isinstance(text, str) else None
            xmp = image.getexif().get(_XMP_TAG) if image.format == "TIFF" else image.info.get("xmp")
            return _attribute(xmp, name)
    except (*MALFORMED, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot read {os.fspath(path)!r}: {one_line(error)}") from error


def _attribute(xmp: object, name: str) -> str | None:
    """Out of the packet as ``write_picture`` writes it. No XML reader: the file may be anybody's."""
    if isinstance(xmp, tuple):
        xmp = bytes(xmp)
    if not isinstance(xmp, bytes):
        return None
    found = re.search(rf"""\svelatura:{re.escape(name)}=("[^"]*"|'[^']*')""", xmp.decode("utf-8", "replace"))
    return None if found is None else html.unescape(found[1][1:-1])
