"""From samples to the bytes of a file, one function for each format."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin

from velatura.imaging import _icc
from velatura.imaging._png import encode_png16
from velatura.imaging._tiff import encode_tiff

__all__ = ["FORMATS", "Content", "Format"]

_XMP_TAG, _ICC_TAG = 700, 34675
_PERCEPTUAL = b"\0"


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """Everything that a file shall hold.

    Args:
        samples: RGB or RGBA, ``(H, W, 3 or 4)``, 8 or 16 bits.
        profile: What the samples mean; None for sRGB.
        exif: EXIF bytes, beginning with their header.
        metadata: Texts by their names.
        quality: 1 to 100, for the formats that lose something.
    """

    samples: NDArray[np.uint8] | NDArray[np.uint16]
    profile: bytes | None
    exif: bytes | None
    metadata: Mapping[str, str]
    quality: int

    def encoded(self, name: str, **options: Any) -> bytes:
        """The file that Pillow makes of it, with EXIF."""
        buffer = io.BytesIO()
        if self.exif is not None:
            options["exif"] = self.exif
        Image.fromarray(self.samples).save(buffer, name, **options)
        return buffer.getvalue()

    def xmp(self) -> bytes:
        """The metadata as an XMP packet, each text an attribute; empty where there is none."""
        if not self.metadata:
            return b""
        texts = " ".join(f"velatura:{name}={quoteattr(text)}" for name, text in self.metadata.items())
        return (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" xmlns:velatura="urn:velatura:metadata" {texts}/>'
            "</rdf:RDF></x:xmpmeta>"
        ).encode()


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format that is written.

    Args:
        name: What users call it.
        suffixes: The file name extensions, the usual one first.
        encode: The bytes of a file.
        bits: The depths that it can hold.
        alpha: Whether it can hold alpha.
        lossless: Whether it never loses anything, so that there is no quality to choose.
        largest_side: The most pixels that a side may have, or None where nobody gets there.
        largest_xmp: The most bytes of metadata, likewise.
    """

    name: str
    suffixes: tuple[str, ...]
    encode: Callable[[Content], bytes]
    bits: tuple[int, ...] = (8,)
    alpha: bool = True
    lossless: bool = False
    largest_side: int | None = None
    largest_xmp: int | None = None


def _png(content: Content) -> bytes:
    if content.samples.dtype == np.uint16:
        return encode_png16(content.samples.astype(np.uint16, copy=False), _png_chunks(content))
    texts = PngImagePlugin.PngInfo()
    for name, text in content.metadata.items():
        texts.add_itxt(name, text)
    if content.profile is not None:
        return content.encoded("PNG", pnginfo=texts, icc_profile=content.profile)
    texts.add(b"sRGB", _PERCEPTUAL)
    return content.encoded("PNG", pnginfo=texts)


def _png_chunks(content: Content) -> list[tuple[bytes, bytes]]:
    chunks = [(b"sRGB", _PERCEPTUAL)]
    if content.profile is not None:
        chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(content.profile))]
    if content.exif is not None:
        chunks.append((b"eXIf", content.exif.removeprefix(b"Exif\0\0")))
    # After the name: not compressed, no language, no translated name.
    texts = ((name.encode(), text.encode()) for name, text in content.metadata.items())
    return [*chunks, *((b"iTXt", name + b"\0\0\0\0\0" + text) for name, text in texts)]


def _tiff(content: Content) -> bytes:
    tags: dict[int, Any] = {_ICC_TAG: content.profile or _icc.srgb_profile()}
    if xmp := content.xmp():
        tags[_XMP_TAG] = xmp
    if content.exif is not None:
        exif = Image.Exif()
        exif.load(content.exif)
        tags |= {**exif, ExifTags.IFD.Exif: exif.get_ifd(ExifTags.IFD.Exif)}
    return encode_tiff(content.samples, tags)


def _jpeg(content: Content) -> bytes:
    profile = content.profile or _icc.srgb_profile()
    options = {"quality": content.quality, "subsampling": 0, "icc_profile": profile, "xmp": content.xmp()}
    return content.encoded("JPEG", **options)


def _webp(content: Content) -> bytes:
    profile = content.profile or _icc.srgb_profile()
    # Lossy WebP always halves the colours' resolution; and, unless told, forgets those under alpha.
    options = {"lossless": content.quality == 100, "quality": content.quality, "exact": True}
    return content.encoded("WEBP", icc_profile=profile, xmp=content.xmp(), **options)


def _avif(content: Content) -> bytes:
    # Speed 9 takes a tenth of the time of the usual 6, and costs 0.3 dB at the same size.
    options = {"quality": content.quality, "subsampling": "4:4:4", "speed": 9, "xmp": content.xmp()}
    if content.profile is not None:
        options["icc_profile"] = content.profile  # Without one, AVIF says sRGB in its own words.
    return content.encoded("AVIF", **options)


_ALL = (
    Format(name="PNG", suffixes=(".png",), encode=_png, bits=(8, 16), lossless=True),
    Format(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        encode=_jpeg,
        alpha=False,
        largest_side=65_500,
        largest_xmp=65_000,
    ),
    Format(name="WebP", suffixes=(".webp",), encode=_webp, largest_side=16_383),
    Format(name="TIFF", suffixes=(".tif", ".tiff"), encode=_tiff, bits=(8, 16), lossless=True),
    Format(name="AVIF", suffixes=(".avif",), encode=_avif, largest_side=65_536),
)

FORMATS: Mapping[str, Format] = {suffix: entry for entry in _ALL for suffix in entry.suffixes}
"""The formats that are written, by file name extension in lower case."""
