"""Draws the pictures of the page on start and end, from the project's own samples.

python docs/controls/draw_start_and_end.py
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sheets import SIZE, grid, written

import velatura
from velatura.core.progress import Progress
from velatura.imaging import Picture
from velatura.imaging.samples import draw_sample
from velatura.ops.resize import fit, resize

__all__ = ["draw"]

_PHOTO, _PAINTING = "old-town", "flowing-strokes"
_EDGE = 320
_EVERY = 30
_STARTS = ("recolored", "content", "uniform", "patches")


def draw(folder: Path) -> list[Path]:
    """Draws all pictures of the page.

    Args:
        folder: Where they go, as JPEG.

    Returns:
        The files.
    """
    pair = [draw_sample(name, size=2 * _EDGE) for name in (_PHOTO, _PAINTING)]
    stylize = partial(velatura.stylize, *pair, device="cpu")
    starts = {
        f"--init {name}": stylize(size=_EDGE, settings={"initialization.name": name}).picture
        for name in _STARTS
    }
    seen: dict[str, Picture] = {}

    def keep(progress: Progress) -> None:
        if progress.step % _EVERY == 0 and progress.picture is not None:
            seen[f"step {progress.step}"] = _at(Picture(progress.picture()), SIZE)

    small = stylize(size=_EDGE, on_progress=keep).picture
    refined = stylize(size=2 * _EDGE, refine=small).picture
    ends = {
        "enlarged": _middle(_at(small, 2 * _EDGE)),
        "--refine at twice the size": _middle(refined),
    }
    sheets = {
        "start-init": grid(starts, columns=2, size=2 * SIZE),
        "start-previews": grid(seen, columns=4),
        "start-refine": grid(ends, columns=2, size=2 * SIZE),
    }
    return [written(sheet, folder / f"{name}.jpg") for name, sheet in sheets.items()]


def _at(picture: Picture, edge: int) -> Picture:
    """A picture at another size of its longer edge."""
    resized = resize(picture.pixels[None], fit(picture.height, picture.width, edge))
    return Picture(resized[0].clamp(0, 1))


def _middle(picture: Picture) -> Picture:
    """Half its height and half its width, from its middle."""
    height, width = picture.height // 2, picture.width // 2
    top, left = height // 2, width // 2
    return Picture(picture.pixels[:, top : top + height, left : left + width].clone())


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images"):
        print(file)
