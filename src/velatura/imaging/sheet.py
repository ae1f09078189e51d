"""Several pictures as one, in rows and columns with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from velatura.imaging.picture import Picture

__all__ = ["labelled_sheet"]

_PAPER, _INK, _GREY = (255, 255, 255), (30, 30, 30), (225, 225, 225)


def labelled_sheet(
    cells: Mapping[tuple[str, str], Picture],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    captions: Mapping[tuple[str, str], str] | None = None,
) -> Picture:
    """A table of pictures: names above the columns and beside the rows, a caption under each picture.

    Each place is as large as the largest picture, and smaller ones stand in its middle.

    Args:
        cells: By row and column; one that is absent is left grey.
        rows: Names in the order of the rows; one with ``+`` in it goes over several lines.
        columns: Names in the order of the columns.
        captions: A short line under a picture, by row and column.

    Raises:
        ValueError: There is no picture at all.
    """
    if not cells:
        raise ValueError("a sheet needs one picture at least")
    height = max(picture.height for picture in cells.values())
    width = max(picture.width for picture in cells.values())
    letters = max(11, height // 14)
    font = ImageFont.load_default(size=letters)
    line = round(1.6 * letters)
    gap = max(4, height // 32)
    labels = {row: row.replace("+", "\n+ ") for row in rows}
    left = max(round(font.getlength(part)) for row in rows for part in labels[row].split("\n")) + 2 * gap
    named = [*columns, *(captions or {}).values()]
    pitch = max(width, *(round(font.getlength(name)) for name in named)) + gap
    step = height + gap + (line if captions else 0)
    sheet = Image.new("RGB", (left + pitch * len(columns), line + gap + step * len(rows)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, column in enumerate(columns):
        draw.text((left + number * pitch + width // 2, line // 2), column, _INK, font, anchor="mm")
    for line_number, row in enumerate(rows):
        top = line + gap + line_number * step
        draw.text((left - gap, top + height // 2), labels[row], _INK, font, anchor="rm", align="right")
        for number, column in enumerate(columns):
            corner = (left + number * pitch, top)
            if (row, column) in cells:
                picture = cells[row, column]
                across, down = (width - picture.width) // 2, (height - picture.height) // 2
                sheet.paste(picture.over().to_pil(), (corner[0] + across, corner[1] + down))
            else:
                draw.rectangle((*corner, corner[0] + width - 1, top + height - 1), fill=_GREY)
            caption = (captions or {}).get((row, column), "")
            middle = (corner[0] + width // 2, top + height + line // 2)
            draw.text(middle, caption, _INK, font, anchor="mm")
    return Picture.of(sheet)
