"""Draws the pictures of the pages on textures, structure, start and end, from the project's own samples.

python docs/controls/draw_texture.py [NAME ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch

import velatura
from velatura.core.progress import Progress
from velatura.imaging import Picture, write_picture
from velatura.imaging.samples import draw_sample
from velatura.imaging.sheet import labelled_sheet

__all__ = ["draw"]

_MOST_BYTES, _MOST_PIXELS = 100_000, 1000
_PAINTINGS = ("woodcut-waves", "flowing-strokes", "mosaic", "stained-glass", "hatching", "watercolour")
_TEXTURE, _SIZE = 256, 320


def draw(folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """Draws the pictures.

    Args:
        folder: Where they go, as JPEG.
        names: Which; none: all.

    Returns:
        The files.
    """
    return [_written(_SHEETS[name](), folder / f"{name}.jpg") for name in names or _SHEETS]


@cache
def _sample(name: str, size: int = 2 * _SIZE) -> Picture:
    return draw_sample(name, size=size)


@cache
def _texture(painting: str = "woodcut-waves", **options: Any) -> Picture:
    size = options.pop("size", (_TEXTURE, _TEXTURE))
    return velatura.texture(_sample(painting, 384), size=size, device="cpu", **options).picture


@cache
def _stylized(photo: str = "still-life", painting: str = "woodcut-waves", **options: Any) -> Picture:
    size = options.pop("size", _SIZE)
    options["settings"] = dict(options.get("settings", ()))
    return velatura.stylize(_sample(photo), _sample(painting), size=size, device="cpu", **options).picture


def _paintings() -> Picture:
    """Each painting, and its texture."""
    cells = {}
    for name in _PAINTINGS:
        cells[f"{name}, a part"] = _middle(_sample(name, 384))
        cells[f"{name}, texture"] = _texture(name)
    return _grid(cells, columns=4)


def _tiles() -> Picture:
    """Four copies of a texture side by side: not tileable, and tileable."""
    return _grid(
        {
            "not tileable, four copies": _repeated(_texture()),
            "--tileable both, four copies": _repeated(_texture(tileable="both")),
        },
        columns=2,
    )


def _cloth() -> Picture:
    """Nine copies of three tiles."""
    tiles = {
        name: _texture(name, tileable="both", size=(160, 160), scale=0.6)
        for name in ("flowing-strokes", "stained-glass", "watercolour")
    }
    return _grid({name: _repeated(tile, 3) for name, tile in tiles.items()}, columns=3)


def _scales() -> Picture:
    return _grid({f"--scale {scale:g}": _texture(scale=scale) for scale in (0.5, 1.0, 2.0)}, columns=3)


def _structures() -> Picture:
    edges = (("terms.structure.loss", _Edges()),)
    return _grid(
        {
            "photograph": _fitted(_sample("still-life"), _SIZE),
            "--structure 0": _stylized(),
            "--structure 0.3": _stylized(structure=0.3),
            "--structure 1": _stylized(structure=1.0),
            "--structure 4": _stylized(structure=4.0),
            "edges, --structure 0.1": _stylized(structure=0.1, settings=edges),
        },
        columns=3,
    )


def _smoothness() -> Picture:
    return _grid(
        {"as it is": _stylized(), "--smooth": _stylized(smooth=True), "--tv 3": _stylized(tv=3.0)}, columns=3
    )


def _starts() -> Picture:
    return _grid(
        {
            f"--init {name}": _stylized(
                "old-town", "flowing-strokes", settings=(("initialization.name", name),)
            )
            for name in ("recolored", "content", "uniform", "patches")
        },
        columns=2,
    )


def _previews() -> Picture:
    """The picture every thirty steps."""
    seen: dict[str, Picture] = {}

    def keep(progress: Progress) -> None:
        if progress.step % 30 == 0 and progress.picture is not None:
            seen[f"step {progress.step}"] = Picture(progress.picture())

    velatura.stylize(
        _sample("old-town"), _sample("flowing-strokes"), size=_SIZE, device="cpu", on_progress=keep
    )
    return _grid({name: _enlarged(picture, _SIZE) for name, picture in seen.items()}, columns=len(seen))


def _refined() -> Picture:
    """A corner of a picture that was enlarged, and of one that was refined at the larger size."""
    small = _stylized("old-town", "flowing-strokes")
    refined = velatura.stylize(
        _sample("old-town"), _sample("flowing-strokes"), size=2 * _SIZE, refine=small, device="cpu"
    ).picture
    enlarged = _enlarged(small, 2 * _SIZE)
    return _grid({"enlarged": _corner(enlarged), "--refine at twice the size": _corner(refined)}, columns=2)


class _Edges(dict[str, str]):
    """The loss ``edges``, which a cache can hold."""

    def __init__(self) -> None:
        super().__init__(name="edges")

    def __hash__(self) -> int:  # type: ignore[override]
        return hash("edges")


_SHEETS: dict[str, Callable[[], Picture]] = {
    "texture-paintings": _paintings,
    "texture-tiles": _tiles,
    "texture-cloth": _cloth,
    "texture-scale": _scales,
    "structure": _structures,
    "structure-smooth": _smoothness,
    "start-init": _starts,
    "start-previews": _previews,
    "start-refine": _refined,
}


def _middle(picture: Picture) -> Picture:
    """The square in the middle, as large as a texture is here."""
    edge = min(picture.height, picture.width)
    left = (picture.width - edge) // 2
    return _enlarged(Picture(picture.pixels[:, :edge, left : left + edge].clone()), _TEXTURE)


def _repeated(tile: Picture, times: int = 2) -> Picture:
    return Picture(tile.pixels.repeat(1, times, times))


def _corner(picture: Picture) -> Picture:
    height, width = picture.height // 2, picture.width // 2
    return Picture(
        picture.pixels[:, height // 2 : height // 2 + height, width // 4 : width // 4 + width].clone()
    )


def _fitted(picture: Picture, edge: int) -> Picture:
    image = picture.to_pil()
    image.thumbnail((edge, edge))
    return Picture.of(image)


def _enlarged(picture: Picture, edge: int) -> Picture:
    scale = edge / max(picture.height, picture.width)
    size = (round(picture.height * scale), round(picture.width * scale))
    larger = torch.nn.functional.interpolate(picture.pixels[None], size, mode="bicubic", antialias=True)
    return Picture(larger[0].clamp(0, 1))


def _grid(pictures: dict[str, Picture], *, columns: int) -> Picture:
    """Pictures row by row, each with its name under it."""
    places = [(f"{'':{n // columns}}", f"{'':{n % columns}}") for n in range(len(pictures))]
    return labelled_sheet(
        dict(zip(places, pictures.values(), strict=True)),
        rows=list(dict.fromkeys(row for row, _ in places)),
        columns=list(dict.fromkeys(column for _, column in places)),
        captions=dict(zip(places, pictures, strict=True)),
    )


def _written(sheet: Picture, path: Path) -> Path:
    """As JPEG, as good as the size that a page may load allows."""
    image = sheet.to_pil()
    image.thumbnail((_MOST_PIXELS, 2 * _MOST_PIXELS))
    for quality in range(92, 30, -4):
        write_picture(Picture.of(image), path, quality=quality)
        if path.stat().st_size <= _MOST_BYTES:
            break
    return path


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images", sys.argv[1:]):
        print(file)
