"""The samples by name: drawing one, and writing them all to a folder."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch

from velatura.core.errors import ConfigError, ImageError, unknown_name
from velatura.imaging.picture import Picture
from velatura.imaging.read import read_picture
from velatura.imaging.samples.canvas import Canvas, Field
from velatura.imaging.samples.paintings import (
    flowing_strokes,
    hatching,
    mosaic,
    pointillism,
    stained_glass,
    watercolour,
    woodcut_waves,
)
from velatura.imaging.samples.photos import mountain_lake, old_town, still_life
from velatura.imaging.write import write_picture

__all__ = ["SAMPLES", "Sample", "draw_sample", "write_samples"]

ASPECT = 3 / 2
SIZES = (16, 4096)
OVERSAMPLED_UP_TO = 1536  # larger pictures have pixels fine enough, and would take too much memory


@dataclass(frozen=True)
class Sample:
    """A picture that can be drawn.

    Args:
        name: Short name, also that of its file.
        kind: Whether it is made as a content or as a style.
        title: What it shows, for a caption.
        draw: Draws it on a canvas, ``(H, W, 3)`` in [0, 1] without the canvas's oversampling.
    """

    name: str
    kind: Literal["photo", "painting"]
    title: str
    draw: Callable[[Canvas, np.random.Generator], Field]


_ALL = (
    Sample("mountain-lake", "photo", "A mountain lake at dusk", mountain_lake.draw),
    Sample("old-town", "photo", "Gabled houses along a canal", old_town.draw),
    Sample("still-life", "photo", "Fruit in a bowl, beside a jug", still_life.draw),
    Sample(
        "flowing-strokes", "painting", "Wheat under a turning sky, in thick strokes", flowing_strokes.draw
    ),
    Sample("hatching", "painting", "An oak and a windmill, hatched in ink", hatching.draw),
    Sample("mosaic", "painting", "Fish in a whirling sea, in tesserae", mosaic.draw),
    Sample("pointillism", "painting", "An afternoon by the river, in dots", pointillism.draw),
    Sample("stained-glass", "painting", "A tree at sunrise, in leaded glass", stained_glass.draw),
    Sample("watercolour", "painting", "A lagoon with sails, in thin washes", watercolour.draw),
    Sample("woodcut-waves", "painting", "Breakers under a red sun, cut in wood", woodcut_waves.draw),
)

SAMPLES: Mapping[str, Sample] = MappingProxyType({sample.name: sample for sample in _ALL})
"""Every sample by its name."""


def draw_sample(name: str, *, size: int = 768, seed: int = 0) -> Picture:
    """Draw one sample.

    The same name, size and seed give the same picture. The scene is the same at every size; another
    seed moves what chance moves: clouds, strokes, ripples.

    Args:
        name: Of a sample, see ``SAMPLES``.
        size: Long edge in pixels, 16 to 4096. The pictures are one and a half times as wide as high.
        seed: 0 or more.

    Raises:
        ConfigError: No sample has this name, or the size or the seed is out of range.
    """
    if name not in SAMPLES:
        raise unknown_name("sample", name, SAMPLES)
    _check(size, seed)
    canvas = Canvas.of_size(size, ASPECT, oversampling=2 if size <= OVERSAMPLED_UP_TO else 1)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    # Whole 255ths: a PNG file holds the picture to the last bit.
    levels = np.rint(np.clip(SAMPLES[name].draw(canvas, rng), 0, 1) * 255)
    pixels = torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1), np.float32)) / 255
    return Picture(pixels, name=name)


def write_samples(
    folder: str | os.PathLike[str], *, size: int = 768, seed: int = 0, overwrite: bool = False
) -> list[Path]:
    """Write every sample to a folder as ``NAME.png``.

    A file that already holds the sample is left as it is.

    Args:
        folder: Where to; it is made where it does not exist.
        size: See ``draw_sample``.
        seed: See ``draw_sample``.
        overwrite: Whether to replace files of the same names that hold something else.

    Returns:
        The files, in the order of ``SAMPLES``.

    Raises:
        ConfigError: The size or the seed is out of range; or files of the same names hold something
            else and ``overwrite`` is not set, in which case nothing is written.
        VelaturaError: A file cannot be written.
    """
    _check(size, seed)
    paths = {name: Path(folder) / f"{name}.png" for name in SAMPLES}
    present = {name for name, path in paths.items() if path.exists() and not overwrite}
    others = [paths[name].name for name in sorted(present) if not _holds(paths[name], name, size, seed)]
    if others:
        files = ", ".join(others)
        raise ConfigError(
            f"{os.fspath(folder)!r} has other pictures named {files}; use another folder or overwrite"
        )
    for name in SAMPLES:
        if name not in present:
            write_picture(draw_sample(name, size=size, seed=seed), paths[name])
    return list(paths.values())


def _check(size: int, seed: int) -> None:
    if not SIZES[0] <= size <= SIZES[1]:
        raise ConfigError(f"expected a size of {SIZES[0]} to {SIZES[1]} pixels, got {size}")
    if seed < 0:
        raise ConfigError(f"expected a seed of 0 or more, got {seed}")


def _holds(path: Path, name: str, size: int, seed: int) -> bool:
    """Whether a file holds this sample, pixel by pixel."""
    try:
        found = read_picture(path)
    except ImageError:
        return False
    return found.alpha is None and torch.equal(found.pixels, draw_sample(name, size=size, seed=seed).pixels)
