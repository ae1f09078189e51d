"""Draws the pictures of the page on colour, from the project's own samples.

python docs/controls/draw_color.py
"""

from __future__ import annotations

from pathlib import Path

from sheets import SIZE, grid, written

import velatura
from velatura.colors import colors
from velatura.imaging import Picture
from velatura.imaging.samples import draw_sample
from velatura.imaging.sheet import labelled_sheet

__all__ = ["draw"]

_PHOTO, _PAINTING = "old-town", "woodcut-waves"
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
    photo, painting = (draw_sample(name, size=2 * SIZE) for name in (_PHOTO, _PAINTING))
    given = {"photograph": photo, "painting": painting}
    recolored = {mode: _recolored(mode, photo, painting) for mode in _MODES}
    made = {mode: _stylized(photo, painting, color=mode) for mode in ("style", *_MODES)}
    palettes = {
        (mode, f"{palette:g}"): _stylized(photo, painting, color=mode, palette=palette)
        for mode in ("luminance", "match-monge")
        for palette in _PALETTES
    }
    sheets = {
        "color-modes": grid({"photograph": photo, **made}, columns=3),
        "color-paintings": grid({**given, **recolored}, columns=3),
        "color-palette": labelled_sheet(
            palettes, rows=("luminance", "match-monge"), columns=[f"{palette:g}" for palette in _PALETTES]
        ),
    }
    return [written(sheet, folder / f"{name}.jpg") for name, sheet in sheets.items()]


def _stylized(photo: Picture, painting: Picture, **options: object) -> Picture:
    return velatura.stylize(photo, painting, size=SIZE, device="cpu", **options).picture


def _recolored(mode: str, photo: Picture, painting: Picture) -> Picture:
    """The painting as the transfer sees it."""
    _, (style,) = colors[mode]().prepare(photo.pixels[None], [painting.pixels[None]])
    return Picture(style[0].clamp(0, 1))


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images"):
        print(file)
