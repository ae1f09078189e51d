"""Which files of a folder are taken for pictures, by their names."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PICTURE_SUFFIXES", "pictures_in"]

PICTURE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff"),
    ".webp",
)
"""Extensions of the formats that are read, in lower case."""


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder whose extension is a picture's, in the order of their names.

    Hidden files are left out, such as those that a camera's or a system's previews are kept in.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
