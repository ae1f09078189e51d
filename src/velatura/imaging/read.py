"""Reading picture files."""

from __future__ import annotations

import mmap
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from velatura.core.errors import ImageError
from velatura.imaging._decode import Decoded, decode
from velatura.imaging._pillow import MALFORMED, collected_warnings, one_line, pixel_limit
from velatura.imaging._png import check_png
from velatura.imaging.picture import Picture

__all__ = ["MAX_BYTES", "MAX_PIXELS", "READABLE", "read_picture"]

READABLE = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WebP")
"""The formats that are read."""

MAX_PIXELS = 110_000_000
"""Pixels beyond which a file is refused unless asked otherwise. So many take up to 2 GiB and 10 s."""

MAX_BYTES = 512 * 2**20
"""Size beyond which a file is refused unless asked otherwise."""

_FORMATS = [name.upper() for name in READABLE if name != "TGA"] + ["TGA"]  # TGA has no signature: last.
_BEGINNINGS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"BM": "BMP",
}
_MAX_SCANS = 64
_MOST_WARNINGS = 3
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_COUNTED_FRAMES = ("AVIF", "PNG", "WEBP")


def read_picture(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> Picture:
    """The picture in a file, upright and in sRGB.

    The content decides the format, not the name. The EXIF orientation is applied, a colour
    profile is turned into sRGB, and of several frames the first is read. A PNG file's ``gAMA``
    and ``cHRM`` are not looked at.

    Args:
        path: A file in one of the formats of ``READABLE``.
        max_pixels: Larger pictures are refused before they are decoded; in WebP, from nine tenths on.
        max_bytes: Larger files are refused before they are opened.

    Returns:
        The picture. Its notes say what was not read as it stands in the file.

    Raises:
        ImageError: The file cannot be read, in one line that names it and says why.
    """
    try:
        decoded = _decoded(Path(path), max_pixels, max_bytes)
        return Picture(
            decoded.pixels(),
            alpha=decoded.opacity(),
            icc=decoded.icc,
            exif=decoded.exif,
            dpi=decoded.dpi,
            name=Path(path).stem,
            notes=decoded.notes,
        )
    except (ImageError, *MALFORMED) as error:
        raise ImageError(f"cannot read {os.fspath(path)!r}: {_reason(error)}") from error
    except MemoryError as error:
        raise ImageError(f"cannot read {os.fspath(path)!r}: there is not enough memory") from error


def _decoded(path: Path, max_pixels: int, max_bytes: int) -> Decoded:
    check_file(path, max_bytes)
    with path.open("rb") as file, pixel_limit(max_pixels), collected_warnings() as warned:
        try:
            check_png(file)
            file.seek(0)
            with Image.open(file, formats=_FORMATS) as image:
                _check_size(image, file, max_pixels)
                decoded = decode(image, file)
                frames = frame_notes(image)
        except UnidentifiedImageError:
            raise ImageError(_unidentified(file)) from None
        except Image.DecompressionBombError as error:
            raise ImageError(too_large(int(re.findall(r"\d+", str(error))[0]), max_pixels)) from None
    decoded.notes = (*frames, *decoded.notes, *warned[:_MOST_WARNINGS])
    return decoded


def check_file(path: Path, max_bytes: int) -> None:
    """Refuses what is no file, or too large a one.

    Raises:
        ImageError: It is.
        OSError: There is no such file.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ImageError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("it is no ordinary file")
    if status.st_size == 0:
        raise ImageError("the file is empty")
    if status.st_size > max_bytes:
        size, limit = (f"{value / 2**20:.0f} MiB" for value in (status.st_size, max_bytes))
        raise ImageError(f"the file has {size}, more than the limit of {limit}")


def _check_size(image: Image.Image, file: BinaryIO, max_pixels: int) -> None:
    """Refuses what would take too much memory or time, before anything is decoded."""
    if image.format == "WEBP":
        max_pixels = max_pixels * 9 // 10  # Its decoder holds the picture four times.
    if image.width * image.height > max_pixels:
        raise ImageError(too_large(image.width * image.height, max_pixels))
    tags = getattr(image, "tag_v2", {})
    tile_width, tile_height = (int(tags.get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    if tile_width * tile_height > max_pixels:
        raise ImageError(f"in a tile, {too_large(tile_width * tile_height, max_pixels)}")
    check_scans(image, file)


def check_scans(image: Image.Image, file: BinaryIO) -> None:
    """Refuses a JPEG that is made to take time.

    Raises:
        ImageError: Each scan of a progressive JPEG goes over the whole picture, and an empty one costs no
            byte: it has too many.
    """
    if image.info.get("progressive") and (scans := _count(file, b"\xff\xda")) > _MAX_SCANS:
        raise ImageError(f"it has {scans} scans, more than the limit of {_MAX_SCANS}")


def too_large(pixels: int, max_pixels: int) -> str:
    """What to say of a picture of too many pixels."""
    return f"it has {pixels / 1e6:.6g} megapixels, more than the limit of {max_pixels / 1e6:.6g}"


def _count(file: BinaryIO, marker: bytes) -> int:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at, count = content.find(marker), 0
        while at >= 0 and count <= _MAX_SCANS:
            at, count = content.find(marker, at + len(marker)), count + 1
    return count


def frame_notes(image: Image.Image) -> tuple[str, ...]:
    """A note where the file has more than the frame that was read."""
    try:
        if image.format == "MPO" or not getattr(image, "is_animated", False):
            return ()  # What a camera puts behind its photograph is no further frame.
    except MALFORMED:
        return ("only the first frame was read; what follows it is broken",)
    # Where the header does not tell the number, finding it means reading the whole file.
    if image.format in _COUNTED_FRAMES:
        return (f"only the first of its {getattr(image, 'n_frames', 1)} frames was read",)
    return ("only the first of its frames was read",)


def _unidentified(file: BinaryIO) -> str:
    file.seek(0)
    beginning = file.read(12)
    for signature, name in _BEGINNINGS.items():
        if beginning.startswith(signature):
            return f"it begins like a {name} file, but its header is broken or of a kind that is not read"
    return f"it is in no format that is read ({', '.join(READABLE)})"


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    line = one_line(error)
    return "its text unpacks to more than the limit of 1 MiB" if "MAX_TEXT" in line else line
