"""From samples to a file, one function for each format."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from velatura.imaging import _icc
from velatura.imaging._planes import Samples
from velatura.imaging._png import write_png
from velatura.imaging._resolution import with_resolution
from velatura.imaging._tiff import write_tiff

__all__ = ["FORMATS", "Content", "Format"]

_XMP_TAG, _ICC_TAG = 700, 34675
_PERCEPTUAL = b"\0"
_METRE = 1
_IN_STRIPS_ABOVE = 32_000_000
"""Pixels beyond which memory counts more than time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """Everything that a file shall hold.

    Args:
        blocks: RGB or RGBA, ``(any, W, 3 or 4)``, from the top down, as often as it is called.
        shape: Height, width and channels of the whole.
        bits: 8 or 16, of a sample.
        profile: What the samples mean; None for sRGB.
        exif: EXIF bytes, beginning with their header.
        dpi: Pixels an inch; None: not said.
        metadata: Texts by their names.
        quality: 1 to 100, for the formats that lose something.
    """

    blocks: Callable[[], Iterator[Samples]]
    shape: tuple[int, int, int]
    bits: int
    profile: bytes | None
    exif: bytes | None
    dpi: float | None
    metadata: Mapping[str, str]
    quality: int

    @property
    def pixels(self) -> int:
        """Of the whole."""
        return self.shape[0] * self.shape[1]

    def save(self, file: BinaryIO, name: str, **options: Any) -> None:
        """Writes the file that Pillow makes of it, with EXIF."""
        # Not to the file at once: Pillow does not tell that a disk is full.
        buffer = io.BytesIO()
        if self.exif is not None:
            options["exif"] = self.exif
        samples = np.empty(self.shape, np.uint8)
        first = 0
        for block in self.blocks():
            samples[first : first + len(block)] = block
            first += len(block)
        Image.fromarray(samples).save(buffer, name, **options)
        file.write(buffer.getbuffer())

    def exif_with_dpi(self) -> Content:
        """The same, with the pixels an inch in its EXIF, for formats that have no other place."""
        return self if self.dpi is None else replace(self, exif=with_resolution(self.exif, self.dpi))

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
        write: Writes a file.
        bits: The depths that it can hold.
        alpha: Whether it can hold alpha.
        lossless: Whether it never loses anything, so that there is no quality to choose.
        largest_side: The most pixels that a side may have, or None where nobody gets there.
        largest_xmp: The most bytes of metadata, likewise.
    """

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Content, BinaryIO], None]
    bits: tuple[int, ...] = (8,)
    alpha: bool = True
    lossless: bool = False
    largest_side: int | None = None
    largest_xmp: int | None = None


def _png(content: Content, file: BinaryIO) -> None:
    # Pillow holds samples and file whole, and is faster.
    if content.bits == 16 or content.pixels > _IN_STRIPS_ABOVE:
        write_png(file, content.blocks(), content.shape, bits=content.bits, chunks=_png_chunks(content))
        return
    texts = PngImagePlugin.PngInfo()
    for name, text in content.metadata.items():
        texts.add_itxt(name, text)
    options: dict[str, Any] = {} if content.dpi is None else {"dpi": (content.dpi, content.dpi)}
    if content.profile is not None:
        options["icc_profile"] = content.profile
    else:
        texts.add(b"sRGB", _PERCEPTUAL)
    content.save(file, "PNG", pnginfo=texts, **options)


def _png_chunks(content: Content) -> list[tuple[bytes, bytes]]:
    chunks = [(b"sRGB", _PERCEPTUAL)]
    if content.profile is not None:
        chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(content.profile))]
    if content.dpi is not None:
        a_metre = round(content.dpi / 0.0254)
        chunks.append((b"pHYs", struct.pack(">IIB", a_metre, a_metre, _METRE)))
    if content.exif is not None:
        chunks.append((b"eXIf", content.exif.removeprefix(b"Exif\0\0")))
    # After the name: not compressed, no language, no translated name.
    texts = ((name.encode(), text.encode()) for name, text in content.metadata.items())
    return [*chunks, *((b"iTXt", name + b"\0\0\0\0\0" + text) for name, text in texts)]


def _tiff(content: Content, file: BinaryIO) -> None:
    tags: dict[int, Any] = {_ICC_TAG: content.profile or _icc.srgb_profile()}
    if xmp := content.xmp():
        tags[_XMP_TAG] = xmp
    if content.exif is not None:
        exif = Image.Exif()
        exif.load(content.exif)
        tags |= {**exif, ExifTags.IFD.Exif: exif.get_ifd(ExifTags.IFD.Exif)}
    if content.dpi is not None:
        dpi = TiffImagePlugin.IFDRational(round(content.dpi * 100), 100)
        tags |= {ExifTags.Base.XResolution: dpi, ExifTags.Base.YResolution: dpi}
    write_tiff(file, content.blocks(), content.shape, bits=content.bits, tags=tags)


def _jpeg(content: Content, file: BinaryIO) -> None:
    profile = content.profile or _icc.srgb_profile()
    options: dict[str, Any] = {"quality": content.quality, "subsampling": 0, "icc_profile": profile}
    options["xmp"] = content.xmp()
    if content.dpi is not None:
        options["dpi"] = (content.dpi, content.dpi)  # Rounded to whole pixels: JPEG has no others.
    content.save(file, "JPEG", **options)


def _webp(content: Content, file: BinaryIO) -> None:
    profile = content.profile or _icc.srgb_profile()
    # Lossy WebP always halves the colours' resolution; and, unless told, forgets those under alpha.
    options = {"lossless": content.quality == 100, "quality": content.quality, "exact": True}
    content.exif_with_dpi().save(file, "WEBP", icc_profile=profile, xmp=content.xmp(), **options)


def _avif(content: Content, file: BinaryIO) -> None:
    # Speed 9 takes a tenth of the time of the usual 6, and costs 0.3 dB at the same size.
    options = {"quality": content.quality, "subsampling": "4:4:4", "speed": 9, "xmp": content.xmp()}
    if content.profile is not None:
        options["icc_profile"] = content.profile  # Without one, AVIF says sRGB in its own words.
    content.exif_with_dpi().save(file, "AVIF", **options)


_ALL = (
    Format(name="PNG", suffixes=(".png",), write=_png, bits=(8, 16), lossless=True),
    Format(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        write=_jpeg,
        alpha=False,
        largest_side=65_500,
        largest_xmp=65_000,
    ),
    Format(name="WebP", suffixes=(".webp",), write=_webp, largest_side=16_383),
    Format(name="TIFF", suffixes=(".tif", ".tiff"), write=_tiff, bits=(8, 16), lossless=True),
    Format(name="AVIF", suffixes=(".avif",), write=_avif, largest_side=65_536),
)

FORMATS: Mapping[str, Format] = {suffix: entry for entry in _ALL for suffix in entry.suffixes}
"""The formats that are written, by file name extension in lower case."""
