"""Draws the pictures of the pages on controls, from the project's own samples.

python docs/controls/draw.py [PAGE...]

A page is a function here, or a module ``draw_PAGE`` with a function ``draw``: it is given a folder, writes
JPEG files of at most 100 KB there, and returns their paths.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import draw_color
import draw_start_and_end
import draw_structure
import draw_texture
import torch
from sheets import SIZE, grid, written

import velatura
from velatura.backbones import build_backbone
from velatura.engine.method import Optimization
from velatura.imaging import Picture
from velatura.imaging.samples import draw_sample
from velatura.jobs.scale_mixing import fine_method
from velatura.jobs.stylize import stylization, stylize_pictures

__all__ = ["PAGES", "regions", "several_styles"]


def regions(folder: Path) -> list[Path]:
    """The page on regions: masks, labels, guide modes, what is protected."""
    return [_by_masks(folder), _by_labels(folder), _by_mode(folder), _protected(folder)]


def _by_masks(folder: Path) -> Path:
    photo, woodcut, strokes = _samples("mountain-lake", "woodcut-waves", "flowing-strokes")
    lake = _mask(photo, lambda _, rows: rows > 0.58)
    both = [velatura.Region(mask=lake, styles=woodcut), velatura.Region(mask="rest", styles=strokes)]
    cells = {
        "photograph": photo,
        "mask of the lake": lake,
        "both, blended": _painted(photo, [woodcut, strokes]),
        "for the lake": woodcut,
        "for the rest": strokes,
        "in regions": _painted(photo, regions=both),
    }
    return written(grid(cells, columns=3), folder / "regions-masks.jpg")


def _by_labels(folder: Path) -> Path:
    photo, *paintings = _samples("old-town", "flowing-strokes", "stained-glass", "watercolour")
    sky = _mask(photo, _is_sky(photo)).pixels[0]
    water = _mask(photo, lambda _, rows: rows > 0.7).pixels[0]
    labels = Picture(
        torch.stack([(1 - sky) * (1 - water), torch.zeros_like(sky), (sky + water).clamp(max=1)])
    )
    labels.pixels[1] = water
    colors = ("#0000ff", "#ff0000", "#00ffff")
    placed = [
        velatura.Region(mask=color, styles=painting)
        for color, painting in zip(colors, paintings, strict=True)
    ]
    cells = {
        "photograph": photo,
        "labels": labels,
        "in regions": _painted(photo, regions=placed, labels=labels),
        "for blue": paintings[0],
        "for red": paintings[1],
        "for cyan": paintings[2],
    }
    return written(grid(cells, columns=3), folder / "regions-labels.jpg")


def _by_mode(folder: Path) -> Path:
    photo, points, mosaic = _samples("still-life", "pointillism", "mosaic")
    wall = _mask(photo, lambda _, rows: rows < 0.54)
    placed = [velatura.Region(mask=wall, styles=points), velatura.Region(mask="rest", styles=mosaic)]
    cells = {
        mode: _painted(photo, regions=placed, settings={"guides.mode": mode})
        for mode in ("simple", "inside", "all")
    }
    return written(grid(cells, columns=3), folder / "regions-modes.jpg")


def _protected(folder: Path) -> Path:
    photo, strokes = _samples("still-life", "flowing-strokes")
    bowl = _mask(photo, lambda x, y: ((x - 0.5) / 0.23) ** 2 + ((y - 0.47) / 0.32) ** 2 < 1)
    cells = {
        "white is protected": bowl,
        "as drawn": _painted(photo, strokes, protect=bowl),
        "feathered by 10": _painted(photo, strokes, protect=bowl, feather=10),
    }
    return written(grid(cells, columns=3), folder / "regions-protected.jpg")


def several_styles(folder: Path) -> list[Path]:
    """The page on several styles: blends, scales, groups of layers."""
    return [_blends(folder), _scales(folder), _mixed(folder)]


def _blends(folder: Path) -> Path:
    photo, woodcut, glass = _samples("old-town", "woodcut-waves", "stained-glass")
    cells = {
        f"{1 - part:g} and {part:g}": _painted(photo, [woodcut, glass], blend=(1 - part, part))
        for part in (0.0, 0.5, 1.0)
    }
    return written(grid(cells, columns=3), folder / "styles-blends.jpg")


def _scales(folder: Path) -> Path:
    photo, mosaic = _samples("old-town", "mosaic")
    cells = {
        f"--style-scale {scale:g}": _painted(photo, mosaic, settings={"style_scale": scale})
        for scale in (0.5, 1.0, 2.0)
    }
    return written(grid(cells, columns=3), folder / "styles-scales.jpg")


def _mixed(folder: Path) -> Path:
    photo, coarse, fine = _samples("old-town", "flowing-strokes", "mosaic")
    terms = stylization().method.terms["style"]
    low = [layer for layer in terms.layers if layer.startswith(("relu1", "relu2"))]
    groups = {
        "terms.fine": {
            "of": "style",
            "loss": {"name": "wasserstein", "reduction": "relative"},
            "layers": {layer: terms.layers[layer] for layer in low},
            "blend": [0, 1],
        },
        "terms.style.layers": {layer: w for layer, w in terms.layers.items() if layer not in low},
        "terms.style.blend": [1, 0],
    }
    cells = {
        "composition": coarse,
        "fine texture": fine,
        "both, mixed": _laid_on(coarse, fine),
        "the first alone": _painted(photo, coarse),
        "--fine-style": _painted(photo, coarse, fine_style=fine),
        "groups of layers": _painted(photo, [coarse, fine], settings=groups),
    }
    return written(grid(cells, columns=3), folder / "styles-mixed.jpg")


def _laid_on(coarse: Picture, fine: Picture) -> Picture:
    """The painting that ``--fine-style`` makes first."""
    how = stylization(size=SIZE, device="cpu")
    assert isinstance(how.method, Optimization)
    method = fine_method(how.method, build_backbone(how.method.backbone))
    return stylize_pictures(coarse, [fine], replace(how, method=method)).picture


def _samples(*names: str) -> list[Picture]:
    return [draw_sample(name, size=2 * SIZE) for name in names]


def _painted(photo: Picture, style: object = None, **options: object) -> Picture:
    return velatura.stylize(photo, style, size=SIZE, device="cpu", **options).picture


def _mask(photo: Picture, inside: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Picture:
    """White where ``inside`` says, from columns and rows as parts of the picture."""
    rows, columns = torch.meshgrid(
        (torch.arange(photo.height) + 0.5) / photo.height,
        (torch.arange(photo.width) + 0.5) / photo.width,
        indexing="ij",
    )
    return Picture(inside(columns, rows).float().expand(3, -1, -1).contiguous())


def _is_sky(photo: Picture) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Above the roofs: from the top down to the first pixel of each column that is neither blue nor white."""
    red, _, blue = photo.pixels
    is_air = ((blue > red - 0.04) & (blue > 0.5)).int()
    return lambda _, rows: (is_air.cumprod(dim=0) > 0) & (rows < 0.45)


PAGES: dict[str, Callable[[Path], list[Path]]] = {
    "color": draw_color.draw,
    "regions": regions,
    "several-styles": several_styles,
    "texture": draw_texture.draw,
    "structure": draw_structure.draw,
    "start-and-end": draw_start_and_end.draw,
}


def main() -> None:
    """Draws the pages named, or all."""
    for page in sys.argv[1:] or PAGES:
        for file in PAGES[page](Path(__file__).parent / "images"):
            print(file)


if __name__ == "__main__":
    main()
