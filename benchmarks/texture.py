"""Measures seams of textures, and what the controls of structure and of smoothness do.

python benchmarks/texture.py [seams | structure | smooth | refine ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from torch import Tensor

import velatura
from velatura.imaging.samples import draw_sample

_PAINTINGS = ("woodcut-waves", "flowing-strokes", "mosaic", "stained-glass", "hatching", "watercolour")
_PAIRS = (("old-town", "flowing-strokes"), ("still-life", "woodcut-waves"))
_METRICS = ("style-moments", "cfsd", "edge-similarity", "high-frequency")


_STRIDE = 16
"""Of the deepest layer: edges of things like to lie at its multiples, and the border is one of them."""


def seam(pixels: Tensor) -> tuple[float, float]:
    """The step across the border over the mean, and over the largest, of those at multiples of the stride.

    The worse of both axes.
    """
    found = []
    for axis in (1, 2):
        steps = (pixels.roll(-1, dims=axis) - pixels).abs().mean(dim=(0, 3 - axis))
        border, others = steps[-1], steps[_STRIDE - 1 : -1 : _STRIDE]
        found.append((float(border / others.mean()), float(border / others.max())))
    return max(found)


def seams() -> None:
    print("the step across the border over the mean, and the largest, of the other steps on its grid")
    print(f"{'painting':16} {'plain':>12} {'both':>12} {'seconds':>8}")
    for name in _PAINTINGS:
        painting = draw_sample(name, size=384)
        plain = velatura.texture(painting, size=256, device="cpu").picture
        began = time.perf_counter()
        tile = velatura.texture(painting, size=256, tileable="both", device="cpu").picture
        seconds = time.perf_counter() - began
        ratios = (f"{mean:5.2f}, {most:5.2f}" for mean, most in (seam(plain.pixels), seam(tile.pixels)))
        print(f"{name:16}", *ratios, f"{seconds:8.1f}", flush=True)


def compared(**variants: dict[str, object]) -> None:
    print(f"{'':40}", *(f"{metric:>15}" for metric in _METRICS), f"{'seconds':>9}")
    for photo, painting in _PAIRS:
        pair = [draw_sample(name, size=640) for name in (photo, painting)]
        for label, options in variants.items():
            began = time.perf_counter()
            result = velatura.stylize(*pair, size=320, device="cpu", **options)
            seconds = time.perf_counter() - began
            found = velatura.evaluate(result.picture, *pair, metrics=_METRICS)
            values = (f"{found[metric]:15.3f}" for metric in _METRICS)
            print(f"{photo} {painting} {label:>12}"[-40:].ljust(40), *values, f"{seconds:9.1f}", flush=True)


def structure() -> None:
    edges = {"terms.structure.loss": {"name": "edges"}}
    factors = {f"{factor:g}": {"structure": factor} for factor in (0.0, 0.3, 1.0, 4.0)}
    compared(**factors, edges={"structure": 0.1, "settings": edges})


def smooth() -> None:
    compared(plain={}, smooth={"smooth": True}, tv={"tv": 3.0})


def refine() -> None:
    for photo, painting in _PAIRS:
        pair = [draw_sample(name, size=640) for name in (photo, painting)]
        first = velatura.stylize(*pair, size=320, device="cpu")
        for size in (320, 512):
            began = time.perf_counter()
            again = velatura.stylize(*pair, size=size, refine=first.picture, device="cpu")
            losses = [first.history[-1]["loss"], again.history[0]["loss"], again.history[-1]["loss"]]
            seconds = time.perf_counter() - began
            print(f"{photo} {size}:", *(f"{loss:.4f}" for loss in losses), f"{seconds:.1f} s", flush=True)


_PARTS: dict[str, Callable[[], None]] = {part.__name__: part for part in (seams, structure, smooth, refine)}

if __name__ == "__main__":
    for name in sys.argv[1:] or _PARTS:
        print(name)
        _PARTS[name]()
