"""Which pictures a sweep runs on: files, globs, or samples drawn by code; and what they are compared with."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError, WeightsError, unknown_name
from velatura.imaging.samples import SAMPLES
from velatura.jobs.pictures import pictures_in
from velatura.jobs.stylize import Stylization, stylization
from velatura.jobs.sweep.reading import At, Document

__all__ = ["USUAL_PAIRS", "Pair", "Reference", "Source", "parse_pairs", "parse_reference"]

USUAL_PAIRS = (("mountain-lake", "flowing-strokes"), ("old-town", "stained-glass"))
"""What a sweep runs on where it does not say: samples that are drawn by code."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One picture.

    Args:
        name: What it is called in tables.
        path: The file; None: the sample of that name.
    """

    name: str
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A photograph and a painting."""

    content: Source
    style: Source

    @property
    def name(self) -> str:
        """``photo+painting``."""
        return f"{self.content.name}+{self.style.name}"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What pixels are compared with in the place of the photograph: a pseudo ground truth.

    Args:
        how: Makes it from each pair.
        folder: Holds it for each pair, called ``photo+painting`` or, for one painting, ``photo``.
    """

    how: Stylization | None = None
    folder: Path | None = None


def parse_pairs(
    document: Document, at: At, *, folder: Path, contents: str | None, styles: str | None
) -> tuple[Pair, ...]:
    """The pairs of a sweep.

    .. code-block:: yaml

        pairs:
          - {content: mountain-lake, style: flowing-strokes}       # samples
          - {content: photos/*.jpg, style: paintings/*.jpg}        # every photograph with every painting

    Args:
        document: The file.
        at: Where in it the pairs stand; nothing there: the usual samples.
        folder: What its paths are relative to.
        contents: In the place of its photographs, relative to the current folder.
        styles: In the place of its paintings.

    Raises:
        ConfigError: A picture is missing, or two pairs have one name.
    """
    found = tuple(dict.fromkeys(_pairs(document, at, folder, contents, styles)))
    names = [pair.name for pair in found]
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise document.error(at, f"two pairs are called {twice}; give files names of their own")
    return found


def _pairs(
    document: Document, at: At, folder: Path, contents: str | None, styles: str | None
) -> Iterator[Pair]:
    if contents is not None and styles is not None:
        written = [{"content": contents, "style": styles}]
    else:
        value = document.value(at)
        usual = [{"content": content, "style": style} for content, style in USUAL_PAIRS]
        written = usual if value is None else value
        if not isinstance(written, list):
            raise document.error(at, f"expected a list of pairs, each with content and style, not {value!r}")
        if not written:
            raise document.error(at, "there is no pair of pictures, so that the grid is empty; give one")
    for number, entry in enumerate(written):
        here = (*at, number)
        if document.value(here) is not None and contents is None and styles is None:
            document.table(here, ("content", "style"))
        photos = _sources(document, (*here, "content"), _given(entry, "content", contents), folder, contents)
        paintings = _sources(document, (*here, "style"), _given(entry, "style", styles), folder, styles)
        yield from (Pair(content=photo, style=painting) for photo in photos for painting in paintings)


def _given(entry: Any, field: str, override: str | None) -> Any:
    if override is not None:
        return override
    return entry.get(field) if isinstance(entry, dict) else None


def _sources(document: Document, at: At, text: Any, folder: Path, override: str | None) -> list[Source]:
    """The pictures that a sample's name, a file, a folder or a glob names."""
    if not isinstance(text, str) or not text:
        raise document.error(at, f"expected a picture's file, a glob or a sample's name, not {text!r}")
    path = Path(text) if override is not None else folder / text
    if path.is_dir():
        files = pictures_in(path)
    elif path.exists():
        files = [path]
    elif glob.escape(text) != text:
        root = Path() if override is not None else folder
        found = glob.glob(text, root_dir=root, recursive=True)  # noqa: PTH207 - absolute patterns too
        files = [file for name in sorted(found) if (file := root / name).is_file()]
    elif text in SAMPLES:
        return [Source(name=text)]
    elif os.sep in text or "." in text:
        files = []
    else:
        raise _refusal(document, at, override, unknown_name("sample picture", text, SAMPLES))
    if not files:
        raise _refusal(document, at, override, f"no picture is found at {path}, so that the grid is empty")
    return [Source(name=file.stem, path=file.absolute()) for file in files]


def _refusal(document: Document, at: At, override: str | None, message: object) -> ConfigError:
    return document.error(at, message) if override is None else ConfigError(str(message))


def parse_reference(document: Document, *, folder: Path) -> Reference | None:
    """The pseudo ground truth: ``{preset: instant}`` or ``{folder: DIR}``; None where there is none.

    Raises:
        ConfigError: It names both or neither, or there is no such folder.
        WeightsError: The preset's network is not here.
    """
    at: At = ("reference",)
    given = document.table(at, ("preset", "folder", "settings"))
    if not given:
        return None
    if ("preset" in given) == ("folder" in given):
        raise document.error(at, "expected a preset that makes the reference, or a folder that holds it")
    if "preset" in given:
        try:
            changes = document.table((*at, "settings"))
            return Reference(how=stylization(str(given["preset"]), changes=changes, threads=1))
        except ConfigError as error:
            raise document.error(at, error) from None
        except WeightsError as error:
            raise WeightsError(f"the reference of {document.name} cannot be made: {error}") from None
    path = folder / str(given["folder"])
    if not path.is_dir():
        raise document.error((*at, "folder"), f"there is no folder {path}")
    return Reference(folder=path.absolute())
