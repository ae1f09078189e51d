"""Draws the pictures of the page on strength and structure, from the project's own samples.

python docs/controls/draw_structure.py
"""

from __future__ import annotations

from pathlib import Path

from sheets import SIZE, grid, written

import velatura
from velatura.imaging import Picture
from velatura.imaging.samples import draw_sample

__all__ = ["draw"]

_PHOTO, _PAINTING = "still-life", "woodcut-waves"
_EDGE = 320


def draw(folder: Path) -> list[Path]:
    """Draws all pictures of the page.

    Args:
        folder: Where they go, as JPEG.

    Returns:
        The files.
    """
    photo, painting = (draw_sample(name, size=2 * _EDGE) for name in (_PHOTO, _PAINTING))

    def stylized(**options: object) -> Picture:
        return velatura.stylize(photo, painting, size=_EDGE, device="cpu", **options).picture

    plain = stylized()
    strengths = {f"--strength {factor:g}": stylized(strength=factor) for factor in (0.1, 0.3, 3.0)}
    structures = {f"--structure {factor:g}": stylized(structure=factor) for factor in (0.3, 1.0, 4.0)}
    edges = stylized(structure=0.1, settings={"terms.structure.loss": {"name": "edges"}})
    outlines = {"photograph": photo, "as it is": plain, **structures, "edges, --structure 0.1": edges}
    smooth = {"as it is": plain, "--smooth": stylized(smooth=True), "--tv 3": stylized(tv=3.0)}
    sheets = {
        "structure-strength": grid({**strengths}, columns=3),
        "structure": grid(outlines, columns=3),
        "structure-smooth": grid(smooth, columns=3, size=SIZE + SIZE // 3),
    }
    return [written(sheet, folder / f"{name}.jpg") for name, sheet in sheets.items()]


if __name__ == "__main__":
    for file in draw(Path(__file__).parent / "images"):
        print(file)
