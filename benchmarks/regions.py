"""Regions: how far each keeps to its own painting, beside a blend of both everywhere.

    python benchmarks/regions.py                                  # four pairs, the default guides
    python benchmarks/regions.py --mode inside --save pictures/   # other guides; the pictures too

Each photograph has a hard mask drawn by simple geometry and two paintings: one in the mask, the other in the
rest. A box inside each region is cut from the result and its style distance taken to the region's own
painting and to the other one, with a network that the stylization does not use: ResNet-18, if
``VELATURA_TEST_DATA`` names a folder with its weights, else VGG-19-slim, which the stylization does use. The
same boxes are cut from the unmasked blend of both paintings in equal parts. Without leaks the distance to the
own painting is below the blend's, and that to the other above.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import velatura
from velatura.backbones import Backbone, BackboneConfig, build_backbone
from velatura.imaging import Picture, read_picture
from velatura.imaging.samples import draw_sample
from velatura.metrics.style import StyleMoments
from velatura.ops.resize import fit, resize

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as parts of the picture."""


@dataclass(frozen=True)
class Pair:
    """A photograph with two regions and their paintings.

    Args:
        name: What it is called.
        photo: The photograph.
        inside: Whether a place is in the mask, from its column and row as parts of the picture.
        paintings: That of the mask, and that of the rest.
        boxes: One inside the mask, and one inside the rest.
    """

    name: str
    photo: Callable[[int], Picture]
    inside: Callable[[Tensor, Tensor], Tensor]
    paintings: tuple[str, str]
    boxes: tuple[Box, Box]

    def mask(self, photo: Picture) -> Picture:
        """White where the first painting goes."""
        rows, columns = torch.meshgrid(
            (torch.arange(photo.height) + 0.5) / photo.height,
            (torch.arange(photo.width) + 0.5) / photo.width,
            indexing="ij",
        )
        return Picture(self.inside(columns, rows).float().expand(3, -1, -1).contiguous())


def sample(name: str) -> Callable[[int], Picture]:
    """A sample of the project at a size."""
    return lambda size: draw_sample(name, size=2 * size)


def file_of(name: str) -> Callable[[int], Picture]:
    """A photograph of the test data."""
    return lambda _: read_picture(Path(os.environ["VELATURA_TEST_DATA"]) / "images" / "content" / name)


def below(row: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Everything under a row."""
    return lambda _, rows: rows > row


def ellipse(center: tuple[float, float], radii: tuple[float, float]) -> Callable[[Tensor, Tensor], Tensor]:
    """Everything in an upright ellipse."""
    (x, y), (across, down) = center, radii
    return lambda columns, rows: ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 < 1


PAIRS = (
    Pair(
        "lake and mountains",
        sample("mountain-lake"),
        below(0.58),
        ("woodcut-waves", "flowing-strokes"),
        ((0.05, 0.63, 0.95, 1), (0.05, 0, 0.95, 0.53)),
    ),
    Pair(
        "canal and town",
        sample("old-town"),
        below(0.7),
        ("watercolour", "stained-glass"),
        ((0, 0.75, 1, 1), (0, 0, 1, 0.65)),
    ),
    Pair(
        "wall and table",
        sample("still-life"),
        lambda _, rows: rows < 0.54,
        ("pointillism", "mosaic"),
        ((0, 0, 1, 0.49), (0, 0.6, 1, 1)),
    ),
)
FACE = Pair(
    "face",
    file_of("brad_pitt.jpg"),
    ellipse((0.52, 0.42), (0.24, 0.36)),
    ("hatching", "flowing-strokes"),
    ((0.36, 0.2, 0.68, 0.64), (0, 0, 0.22, 1)),
)
SKY = Pair(
    "sky and houses",
    sample("old-town"),
    lambda _, rows: rows < 0.2,
    ("flowing-strokes", "mosaic"),
    ((0, 0, 1, 0.17), (0, 0.26, 1, 1)),
)


class Judge:
    """Style distances by a network.

    Args:
        data: Folder of the test data, if there is one.
        size: Longer edge that paintings are looked at.
    """

    def __init__(self, data: str | None, size: int) -> None:
        file = None if data is None else Path(data) / "weights" / "resnet18_bnfolded_to_layer3.safetensors"
        if file is not None and file.exists():
            self.name, config = "resnet18", BackboneConfig(name="resnet18", weights=str(file))
        else:
            self.name, config = "vgg19-slim", BackboneConfig()
        self.backbone: Backbone = build_backbone(config)
        self.metric, self.size = StyleMoments(), size
        self.layers = self.metric.reads(self.backbone.layers)

    @torch.no_grad()
    def __call__(self, picture: Tensor, painting: Picture) -> float:
        """The distance of pixels ``(3, H, W)`` from a painting: 0 is its own statistics."""
        size = fit(painting.height, painting.width, self.size)
        target = resize(painting.over().pixels[None], size).clamp(0, 1)
        found, wanted = (self.backbone(one, self.layers) for one in (picture[None], target))
        return statistics.fmean(
            self.metric.distance(found[layer].double(), wanted[layer].double()) for layer in self.layers
        )


def cut(picture: Picture, box: Box) -> Tensor:
    """The pixels in a box."""
    left, top, right, bottom = box
    rows = slice(round(top * picture.height), round(bottom * picture.height))
    return picture.pixels[:, rows, round(left * picture.width) : round(right * picture.width)]


def measure(
    pair: Pair, judge: Judge, options: argparse.Namespace
) -> list[tuple[str, float, float, float, float]]:
    """For each region: its name, own and other distance by regions, own and other by the blend."""
    photo = pair.photo(options.size)
    paintings = [draw_sample(name, size=2 * options.size) for name in pair.paintings]
    settings = {"pyramid.steps": options.steps}
    common = {"size": options.size, "threads": options.threads, "device": "cpu"}
    began = time.perf_counter()
    blend = velatura.stylize(photo, paintings, settings=settings, **common).picture
    middle = time.perf_counter()
    guides = {"guides.mode": options.mode, "guides.weighing": options.weighing}
    if options.reach is not None:
        guides["guides.reach"] = options.reach
    regions = [
        velatura.Region(mask=pair.mask(photo), styles=paintings[0]),
        velatura.Region(mask="rest", styles=paintings[1]),
    ]
    result = velatura.stylize(photo, regions=regions, settings=settings | guides, **common)
    seconds = time.perf_counter() - middle, middle - began
    print(f"  {pair.name}: {seconds[0]:.1f} s in regions, {seconds[1]:.1f} s blended {result.notes or ''}")
    if options.save:
        for kind, made in (("regions", result.picture), ("blend", blend)):
            made.save(Path(options.save) / f"{pair.name.replace(' ', '-')}-{kind}-{options.mode}.png")
    rows = []
    for number, box in enumerate(pair.boxes):
        own, other = paintings[number], paintings[1 - number]
        masked, blended = (
            (judge(cut(made, box), own), judge(cut(made, box), other)) for made in (result.picture, blend)
        )
        rows.append((f"{pair.name}: {pair.paintings[number]}", *masked, *blended))
    return rows


def main() -> None:
    """Prints a table: a row for each region of each pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 30, 20])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=("simple", "inside", "all"), default="simple")
    parser.add_argument("--reach", type=float)
    parser.add_argument("--weighing", choices=("equal", "area"), default="area")
    parser.add_argument("--save", help="folder for the pictures")
    options = parser.parse_args()
    if options.save:
        Path(options.save).mkdir(parents=True, exist_ok=True)
    data = os.environ.get("VELATURA_TEST_DATA")
    judge = Judge(data, options.size)
    rows = [row for pair in (*PAIRS, FACE if data else SKY) for row in measure(pair, judge, options)]
    print(f"judge: {judge.name}; distances to the own painting and to the other one")
    print(f"{'region':36} {'own':>7} {'blend':>7} {'other':>7} {'blend':>7}")
    kept = 0
    for name, own, other, own_blended, other_blended in rows:
        holds = own < own_blended and other > other_blended
        kept += holds
        marks = "" if holds else "  leaks"
        print(f"{name:36} {own:7.3f} {own_blended:7.3f} {other:7.3f} {other_blended:7.3f}{marks}")
    print(f"{kept} of {len(rows)} regions: nearer to their own painting and farther from the other")


if __name__ == "__main__":
    main()
