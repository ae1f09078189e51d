"""Which files of a folder are taken for pictures, and which belong together, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from velatura.core.errors import ConfigError

__all__ = ["PICTURE_SUFFIXES", "is_picture", "namesake", "pictures_in"]

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
    return sorted(file for file in folder.iterdir() if is_picture(file) and file.is_file())


def is_picture(file: Path) -> bool:
    """Whether a file's extension is a picture's, and the file is not hidden."""
    return file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")


def namesake(output: Path, among: Path | Sequence[Path], what: str, *, part: int | None) -> Path:
    """The picture that belongs to an output.

    Args:
        output: A picture that was made.
        among: One picture that belongs to all; or several, of which the namesake is taken.
        what: What such a picture is, for messages: ``"photograph"``.
        part: Of an output called ``A+B``, the part that may name it too; None for neither.

    Raises:
        ConfigError: There is no namesake, or there are several.
    """
    if isinstance(among, Path):
        return among
    names = [output.stem]
    if part is not None and output.stem.count("+") == 1:
        names.append(output.stem.split("+")[part])
    namesakes = [path for path in among if path.stem in names]
    if len(namesakes) == 1:
        return namesakes[0]
    wanted = " or ".join(map(repr, names))
    if namesakes:
        raise ConfigError(f"{output}: several {what}s are called {wanted}: {', '.join(map(str, namesakes))}")
    known = ", ".join(sorted(path.stem for path in among)[:5])
    raise ConfigError(
        f"{output}: no {what} is called {wanted} (there are {known}{', ...' if len(among) > 5 else ''}); "
        f"outputs and {what}s are matched by name, or name one {what} for all"
    )
