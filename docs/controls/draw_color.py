"""Draws the pictures of the page on colour, from the project's own samples.

python docs/controls/draw_color.py
"""

from __future__ import annotations

from pathlib import Path

import velatura
from velatura.colors import colors
from velatura.imaging import Picture, write_picture
from velatura.imaging.samples import draw_sample
from velatura.imaging.sheet import labelled_sheet

__all__ = ["draw"]

_PHOTO, _PAINTING = "old-town", "woodcut-waves"
_SIZE = 232
_MOST_BYTES, _MOST_PIXELS = 100_000, 1000
_MODES = (
    "luminance",
    "match-mean-std",
    "match-cholesky",
    "match-pca",
    "match-monge",
    "histogram",
    "histogram-3d",
)
_PALETTES = (0.0, 0.33, 0.67, 1.0)


def draw(folder: Path) -> list[Path]:
    """Draws all pictures of the page.

    Args:
        folder: Where they go, as JPEG.

    Returns:
        The files.
    """
    photo, painting = (draw_sample(name, size=2 * _SIZE) for name in (_PHOTO, _PAINTING))
    given = {"photograph": photo, "painting": painting}
    recolored = {mode: _recolored(mode, photo, painting) for mode in _MODES}
    made = {mode: _stylized(photo, painting, color=mode) for mode in ("style", *_MODES)}
    palettes = {
        (mode, f"{palette:g}"): _stylized(photo, painting, color=mode, palette=palette)
        for mode in ("luminance", "match-monge")
        for palette in _PALETTES
    }
    sheets = {
        "color-modes": _grid({"photograph": photo, **made}, columns=3),
        "color-paintings": _grid({**given, **recolored}, columns=3),
        "color-palette": labelled_sheet(
            palettes, rows=("luminance", "match-monge"), columns=[f"{palette:g}" for palette in _PALETTES]
        ),
    }
    return [_written(sheet, folder / f"{name}.jpg") for name, sheet in sheets.items()]


def _stylized(photo: Picture, painting: Picture, **options: object) -> Picture:
    return velatura.stylize(photo, painting, size=_SIZE, device="cpu", **options).picture


def _recolored(mode: str, photo: Picture, painting: Picture) -> Picture:
    """The painting as the transfer sees it."""
    _, (style,) = colors[mode]().prepare(photo.pixels[None], [painting.pixels[None]])
    return Picture(style[0].clamp(0, 1))


def _grid(pictures: dict[str, Picture], *, columns: int) -> Picture:
    """Pictures row by row, each with its name under it."""
    small = {name: _small(picture) for name, picture in pictures.items()}
    places = [(f"{'':{n // columns}}", f"{'':{n % columns}}") for n in range(len(small))]
    cells = dict(zip(places, small.values(), strict=True))
    return labelled_sheet(
        cells,
        rows=list(dict.fromkeys(row for row, _ in places)),
        columns=list(dict.fromkeys(column for _, column in places)),
        captions=dict(zip(places, small, strict=True)),
    )


def _small(picture: Picture) -> Picture:
    image = picture.to_pil()
    image.thumbnail((_SIZE, _SIZE))
    return Picture.of(image)


def _written(sheet: Picture, path: Path) -> Path:
    """As JPEG, as good as the size that a page may load allows."""
    image = sheet.to_pil()
    image.thumbnail((_MOST_PIXELS, 2 * _MOST_PIXELS))
    for quality in range(92, 40, -4):
        write_picture(Picture.of(image), path, quality=quality)
        if path.stat().st_size <= _MOST_BYTES:
            break
    return path


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images"):
        print(file)
