"""Writing picture files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from velatura.core.errors import ConfigError, ImageError, unknown_name
from velatura.core.files import atomic_path, check_writable, same_file
from velatura.imaging import _icc
from velatura.imaging._encode import FORMATS, Content, Format
from velatura.imaging._pillow import MALFORMED, collected_warnings, one_line
from velatura.imaging._planes import Samples, quantized
from velatura.imaging.picture import Picture

__all__ = ["LOSSLESS", "WRITABLE", "check_target", "write_picture"]

WRITABLE = tuple(FORMATS)
"""The file name extensions that are written."""

LOSSLESS = tuple(suffix for suffix, format_ in FORMATS.items() if format_.lossless)
"""Those of formats that never lose anything, and so have no quality."""

_QUALITY = 95
_BLOCK_PIXELS = 1 << 20


def write_picture(
    picture: Picture,
    path: str | os.PathLike[str],
    *,
    bits: Literal[8, 16] = 8,
    quality: int | None = None,
    icc: Literal["srgb", "keep"] = "srgb",
    metadata: Mapping[str, str] | None = None,
    protect: Iterable[str | os.PathLike[str]] = (),
) -> tuple[str, ...]:
    """Writes a picture to a file, whole or not at all.

    The extension of ``path`` names the format: PNG, JPEG (without chroma subsampling), WebP, TIFF
    or AVIF. Samples are rounded to the nearest, without dithering. Alpha is kept; JPEG has none,
    so there the picture is laid over white, which is noted. Missing folders are made.

    Args:
        picture: What to write.
        path: Where to. An existing file is replaced.
        bits: Depth of a sample; 16 for PNG and TIFF only.
        quality: 1 (small) to 100 (good), for JPEG, WebP and AVIF; WebP is lossless at 100. Unset,
            it is 95; PNG and TIFF never lose anything and have none.
        icc: ``"srgb"``, or ``"keep"`` to turn the colours back into the profile that the picture
            was read with, and embed that. A picture that was sRGB stays so.
        metadata: Texts by their names, such as ``{"velatura": job}``: ``iTXt`` chunks of a PNG,
            XMP attributes of the namespace ``urn:velatura:metadata`` elsewhere.
        protect: Files that must not be overwritten, such as those that the picture was made from.

    Returns:
        What a user should be told of how it was written, a line each.

    Raises:
        ConfigError: An option is unknown or out of range, or the format or the picture's profile
            cannot do what is asked; or ``path`` is one of the protected files.
        ImageError: The format cannot hold a picture so large.
        VelaturaError: The file cannot be written: no room, no permission, a folder.
    """
    texts = dict(metadata or {})
    check_target(
        path, bits=bits, quality=quality, icc=icc, metadata=texts, protect=protect, profile=picture.icc
    )
    notes: list[str] = []
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            format_ = _format(path)
            content = _content(picture, format_, bits, icc, texts, notes)
            content = replace(content, quality=_QUALITY if quality is None else quality)
            with collected_warnings() as warned:
                format_.write(content, file)
        except (ImageError, MemoryError, *MALFORMED) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # Of the disk, not of the picture.
            raise ImageError(f"cannot write {os.fspath(path)!r}: {one_line(error)}") from error
    return (*notes, *warned)


def check_target(
    path: str | os.PathLike[str],
    *,
    bits: int,
    quality: int | None,
    icc: str,
    metadata: Mapping[str, str] | None,
    protect: Iterable[str | os.PathLike[str]],
    profile: bytes | None,
) -> None:
    """Refuses, before a picture is made, what ``write_picture`` would refuse to do with it.

    Args:
        path: Where the picture shall go.
        bits: As for ``write_picture``, like the further options.
        quality: See there.
        icc: See there.
        metadata: See there.
        protect: See there.
        profile: The profile that the picture will carry.

    Raises:
        ConfigError: See ``write_picture``.
        VelaturaError: ``path`` is a folder, or cannot be written to.
    """
    format_ = _format(path)
    if bits not in format_.bits:
        able = ", ".join(suffix for suffix, other in FORMATS.items() if bits in other.bits)
        if not able:
            raise ConfigError(f"expected bits of 8 or 16, got {bits}")
        raise ConfigError(f"{format_.name} holds no {bits} bits a channel; those that do: {able}")
    if quality is not None and format_.lossless:
        raise ConfigError(
            f"quality has no meaning for {Path(path).suffix}, which loses nothing; leave it out"
        )
    if quality is not None and not 1 <= quality <= 100:
        raise ConfigError(f"expected a quality from 1 to 100, got {quality}")
    for name in metadata or {}:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,78}", name):
            raise ConfigError(f"expected a metadata name of at most 79 letters, digits, _ . -, got {name!r}")
    if icc not in ("srgb", "keep"):
        raise unknown_name("icc", icc, ("srgb", "keep"))
    if icc == "keep" and profile is not None:
        _check_profile(profile, bits)
    for other in protect:
        if same_file(path, other):
            raise ConfigError(
                f"{os.fspath(path)!r} is an input and would be overwritten; choose another name"
            )
    check_writable(path)


def _format(path: str | os.PathLike[str]) -> Format:
    suffix = Path(path).suffix.lower()
    if not suffix:
        raise ConfigError(
            f"{os.fspath(path)!r} has no extension to name a format; known: {', '.join(FORMATS)}"
        )
    if suffix not in FORMATS:
        raise unknown_name("picture format", suffix, FORMATS)
    return FORMATS[suffix]


def _check_profile(profile: bytes, bits: int) -> None:
    """Refuses to keep a profile into which an RGB picture of that depth cannot be turned."""
    advice = "use icc='srgb'"
    try:
        space = _icc.color_space(profile)
        if space != "RGB":
            raise ConfigError(f"icc='keep' wants an RGB profile, the picture had one for {space}; {advice}")
        if _icc.Shaper.of(profile) is None:
            if bits != 8:
                raise ConfigError(f"icc='keep' has 8 bits for a profile made of tables, not {bits}; {advice}")
            _icc.from_srgb(Image.new("RGB", (1, 1)), profile)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"icc='keep' cannot use the picture's profile: {error}; {advice}") from error


def _content(
    picture: Picture,
    format_: Format,
    bits: int,
    icc: str,
    metadata: Mapping[str, str],
    notes: list[str],
) -> Content:
    limit = format_.largest_side
    if limit is not None and max(picture.width, picture.height) > limit:
        size = f"{picture.width}x{picture.height}"
        raise ImageError(f"{format_.name} holds at most {limit} pixels a side, not {size}")
    if picture.alpha is not None and not format_.alpha:
        picture = picture.over()
        notes.append(f"laid over white: {format_.name} has no alpha")
    profile = picture.icc if icc == "keep" else None
    content = Content(
        blocks=lambda: _blocks(picture, bits, profile),
        shape=(picture.height, picture.width, 3 if picture.alpha is None else 4),
        bits=bits,
        profile=profile,
        exif=picture.exif,
        dpi=picture.dpi,
        metadata=metadata,
        quality=_QUALITY,
    )
    if format_.largest_xmp is not None and len(content.xmp()) > format_.largest_xmp:
        notes.append(
            f"metadata left out: more than the {format_.largest_xmp} bytes that {format_.name} holds"
        )
        content = replace(content, metadata={})
    return content


def _blocks(picture: Picture, bits: int, profile: bytes | None) -> Iterator[Samples]:
    """Samples in the colours of the profile, or in sRGB where it is None; alpha last; some rows at a time."""
    shaper = None if profile is None else _icc.Shaper.of(profile)
    rows = max(1, _BLOCK_PIXELS // picture.width)
    for first in range(0, picture.height, rows):
        pixels = picture.pixels[:, first : first + rows].detach().cpu()
        if shaper is not None:
            pixels = shaper.from_srgb(pixels)
        if picture.alpha is not None:
            pixels = torch.cat([pixels, picture.alpha[:, first : first + rows].detach().cpu()])
        samples = quantized(pixels, bits=bits)
        if profile is not None and shaper is None:
            colors = Image.fromarray(samples[..., :3].astype(np.uint8, copy=False))
            samples[..., :3] = np.asarray(_icc.from_srgb(colors, profile))
        yield samples
