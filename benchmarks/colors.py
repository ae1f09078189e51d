"""Whose colours a result has, by colour mode: what is kept of the photograph's, and what it costs.

    VELATURA_TEST_DATA=FOLDER python benchmarks/colors.py [FOLDER]

Four photographs, each with a painting of other colours, by a few steps of the default preset and by the
preset ``instant``. Prints, for each mode, the mean CIELAB a*b* difference from the photograph, as computed
and as read again from a file of 8 bits; and for ``luminance`` the share of pixels whose lightness had to give
way in the second. The measure: below 1.5 with ``luminance``. Pictures go to FOLDER, where one is named.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import velatura
from velatura.colors import colors
from velatura.imaging import Picture, read_picture
from velatura.ops.color_spaces import chroma_distance, srgb_to_lab
from velatura.ops.resize import fit, resize

PAIRS = (
    ("brad_pitt.jpg", "rotes_und_blaues_pferd.jpg"),
    ("tubingen.jpg", "the_scream.jpg"),
    ("golden_gate.jpg", "starry_night.jpg"),
    ("flowers.jpg", "composition_vii.jpg"),
)
SIZE = 256
WAYS = {"instant": {}, "fast": {"pyramid.steps": [6]}}
YIQ = "luminance in yiq"
MODES = {
    "instant": ["luminance", YIQ, *(mode for mode in colors if mode != "luminance")],
    "fast": ["luminance", YIQ, "style", "match-monge"],
}


def stylized(
    mode: str, preset: str, photo: Path | Picture, painting: Path | Picture
) -> tuple[Picture, float]:
    color = {"name": "luminance", "space": "yiq"} if mode == YIQ else mode
    began = time.monotonic()
    result = velatura.stylize(
        photo, painting, preset=preset, size=SIZE, color=color, settings=WAYS[preset], device="cpu"
    )
    return result.picture, time.monotonic() - began


def measured(picture: Picture, photo: Picture, file: Path) -> tuple[float, float]:
    """The difference as computed, and from a file of 8 bits."""
    content = resize(photo.pixels[None], (picture.height, picture.width)).clamp(0, 1)
    picture.save(file)
    pixels = (picture.pixels, read_picture(file).pixels)
    exact, rounded = (chroma_distance(one[None], content).item() for one in pixels)
    return exact, rounded


def gave_way(photo: Picture, painting: Picture) -> float:
    """Share of pixels whose L* is more than 1 from what the network came to."""
    # Of a grey photograph, every lightness is one that a screen has.
    photo = Picture(resize(photo.pixels[None], fit(photo.height, photo.width, SIZE))[0].clamp(0, 1))
    grey = Picture(colors["luminance"]().prepare(photo.pixels[None], [])[0][0])
    results = (stylized("luminance", "instant", one, painting)[0] for one in (photo, grey))
    light = [srgb_to_lab(result.pixels[None])[:, 0] for result in results]
    return float(((light[0] - light[1]).abs() > 1).float().mean())


def rows(folder: Path, data: Path) -> Iterator[tuple[str, str, list[tuple[float, float]], float]]:
    for preset in WAYS:
        for mode in MODES[preset]:
            found, seconds = [], 0.0
            for content, style in PAIRS:
                photo, painting = data / "content" / content, data / "style" / style
                picture, took = stylized(mode, preset, photo, painting)
                name = f"{photo.stem}-{painting.stem}-{preset}-{mode.replace(' ', '-')}.png"
                found.append(measured(picture, read_picture(photo), folder / name))
                seconds += took
            yield preset, mode, found, seconds / len(PAIRS)


def main() -> None:
    where = os.environ.get("VELATURA_TEST_DATA")
    if where is None:
        sys.exit("VELATURA_TEST_DATA names no folder; it needs one with images/content and images/style")
    data = Path(where) / "images"
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="velatura-colors-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"long edge {SIZE} px; fast: 6 steps a scale; a*b* difference, and that of a file of 8 bits")
    print(f"| preset | mode | {' | '.join(Path(content).stem for content, _ in PAIRS)} | mean | seconds |")
    print("|---|---|" + "---|" * (len(PAIRS) + 2))
    for preset, mode, found, seconds in rows(folder, data):
        cells = [f"{exact:.2f} ({rounded:.2f})" for exact, rounded in found]
        mean = sum(rounded for _, rounded in found) / len(found)
        print(f"| {preset} | {mode} | {' | '.join(cells)} | {mean:.2f} | {seconds:.1f} |", flush=True)
    shares = [
        gave_way(read_picture(data / "content" / content), read_picture(data / "style" / style))
        for content, style in PAIRS
    ]
    said = ", ".join(f"{share:.0%}" for share in shares)
    print(f"luminance, instant: lightness gave way in {said} of the pixels")


if __name__ == "__main__":
    main()
