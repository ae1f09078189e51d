"""The pictures of a page, brought to a size that a page can bear."""

from __future__ import annotations

from pathlib import Path

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture
from velatura.jobs.report.markup import Markup, element
from velatura.jobs.standalone import embedded

__all__ = ["Album", "sensible_edge"]

_EDGES = ((12, 1024), (40, 640), (120, 448))
_SMALLEST_EDGE = 320
_THUMBNAIL_EDGE = 160


def sensible_edge(num_pictures: int) -> int:
    """Longer edge for so many pictures, in pixels: a page of any number stays below about 10 MiB."""
    return next((edge for most, edge in _EDGES if num_pictures <= most), _SMALLEST_EDGE)


class Album:
    """Turns pictures into figures, each embedded once.

    Args:
        edge: Longer edge in the page, at most, in pixels.
        quality: Of WebP, 1 to 100.
    """

    def __init__(self, *, edge: int, quality: int) -> None:
        self.edge, self.quality = edge, quality
        self.notes: list[str] = []

    def figure(
        self, source: Picture | Path, caption: str, *, note: str = "", result: str | None = None
    ) -> Markup | None:
        """A figure; None, with a note, where the file cannot be read.

        Args:
            source: The picture, or its file.
            caption: What it is, in a word or two.
            note: A second line.
            result: What it is called among the results of all runs, if it is one.
        """
        picture = self._read(source)
        if picture is None:
            return None
        shown = embedded(picture, edge=self.edge, quality=self.quality)
        image = element(
            "img",
            src=shown.uri,
            width=str(shown.width),
            height=str(shown.height),
            alt=f"{caption}, {note}" if note else caption,
            decoding="async",
        )
        details = element("span", note) if note else ""
        return element(
            "figure",
            element("button", image, type="button", class_="enlarge"),
            element("figcaption", element("b", caption), " ", details),
            data_name=caption,
            data_result=result,
        )

    def thumbnail(self, source: Path) -> Markup | None:
        """A small picture without words; None, with a note, where the file cannot be read."""
        picture = self._read(source)
        if picture is None:
            return None
        shown = embedded(picture, edge=min(self.edge, _THUMBNAIL_EDGE), quality=self.quality)
        return element("img", src=shown.uri, width=str(shown.width), height=str(shown.height), alt="")

    def _read(self, source: Picture | Path) -> Picture | None:
        if isinstance(source, Picture):
            return source
        try:
            return read_picture(source)
        except ImageError as error:
            if str(error) not in self.notes:
                self.notes.append(str(error))
            return None
