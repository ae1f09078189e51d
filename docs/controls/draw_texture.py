"""Draws the pictures of the page on textures, from the project's own samples.

python docs/controls/draw_texture.py
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sheets import SIZE, grid, written

import velatura
from velatura.imaging import Picture
from velatura.imaging.samples import draw_sample

__all__ = ["draw"]

_PAINTINGS = ("woodcut-waves", "flowing-strokes", "mosaic", "stained-glass", "hatching", "watercolour")
_CLOTHS = ("flowing-strokes", "stained-glass", "watercolour")
_PAINTING, _TEXTURE, _TILE = 384, 256, 160
"""Longer edge of a painting, and edges of a texture and of a tile of cloth, in pixels."""


def draw(folder: Path) -> list[Path]:
    """Draws all pictures of the page.

    Args:
        folder: Where they go, as JPEG.

    Returns:
        The files.
    """
    pairs = {}
    for name in _PAINTINGS:
        pairs[f"{name}, a part"] = _middle(_sample(name))
        pairs[f"{name}, texture"] = _texture(name)
    copies = {
        "not tileable, four copies": _repeated(_texture(), 2),
        "--tileable both, four copies": _repeated(_texture(tileable="both"), 2),
    }
    cloths = {name: _repeated(_texture(name, tileable="both", size=_TILE, scale=0.6), 3) for name in _CLOTHS}
    scales = {f"--scale {scale:g}": _texture(scale=scale) for scale in (0.5, 1.0, 2.0)}
    sheets = {
        "texture-paintings": grid(pairs, columns=4, size=SIZE - SIZE // 4),
        "texture-tiles": grid(copies, columns=2, size=2 * SIZE),
        "texture-cloth": grid(cloths, columns=3, size=SIZE + SIZE // 3),
        "texture-scale": grid(scales, columns=3),
    }
    return [written(sheet, folder / f"{name}.jpg") for name, sheet in sheets.items()]


@cache
def _sample(name: str) -> Picture:
    return draw_sample(name, size=_PAINTING)


@cache
def _texture(painting: str = "woodcut-waves", *, size: int = _TEXTURE, **options: str | float) -> Picture:
    return velatura.texture(_sample(painting), size=size, device="cpu", **options).picture


def _middle(picture: Picture) -> Picture:
    """As much of the painting as a texture is large, from its middle."""
    top, left = ((edge - _TEXTURE) // 2 for edge in (picture.height, picture.width))
    return Picture(picture.pixels[:, top : top + _TEXTURE, left : left + _TEXTURE].clone())


def _repeated(tile: Picture, times: int) -> Picture:
    return Picture(tile.pixels.repeat(1, times, times))


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images"):
        print(file)
