"""Sheets of pictures for the pages of this folder."""

from __future__ import annotations

from pathlib import Path

from velatura.imaging import Picture, write_picture
from velatura.imaging.sheet import labelled_sheet

__all__ = ["SIZE", "grid", "small_copy", "written"]

SIZE = 232
"""Longer edge of a picture in a sheet, in pixels."""

_MOST_BYTES, _MOST_PIXELS = 100_000, 1000


def grid(pictures: dict[str, Picture], *, columns: int, size: int = SIZE) -> Picture:
    """Pictures row by row, each with its name under it, and none larger than a size in pixels."""
    small = {name: small_copy(picture, size) for name, picture in pictures.items()}
    places = [(f"{'':{n // columns}}", f"{'':{n % columns}}") for n in range(len(small))]
    cells = dict(zip(places, small.values(), strict=True))
    return labelled_sheet(
        cells,
        rows=list(dict.fromkeys(row for row, _ in places)),
        columns=list(dict.fromkeys(column for _, column in places)),
        captions=dict(zip(places, small, strict=True)),
    )


def small_copy(picture: Picture, size: int = SIZE) -> Picture:
    """A copy whose longer edge is that of a sheet's pictures."""
    image = picture.to_pil()
    image.thumbnail((size, size))
    return Picture.of(image)


def written(sheet: Picture, path: Path) -> Path:
    """As JPEG, as large and as good as the size that a page may load allows."""
    for most in range(_MOST_PIXELS, 400, -100):
        image = sheet.to_pil()
        image.thumbnail((most, 2 * most))
        for quality in range(92, 68, -4):
            write_picture(Picture.of(image), path, quality=quality)
            if path.stat().st_size <= _MOST_BYTES:
                return path
    return path
