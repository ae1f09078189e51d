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


def seam(pixels: Tensor) -> float:
    """Mean step across the border over the mean step between neighbours elsewhere; the worse of both axes."""
    found = []
    for axis in (1, 2):
        length = pixels.shape[axis]
        inner = (pixels.narrow(axis, 1, length - 1) - pixels.narrow(axis, 0, length - 1)).abs().mean()
        found.append(float((pixels.select(axis, 0) - pixels.select(axis, -1)).abs().mean() / inner))
    return max(found)


def seams() -> None:
    print(f"{'painting':16} {'plain':>6} {'both':>6} {'seconds':>8}  (step across the border over others)")
    for name in _PAINTINGS:
        painting = draw_sample(name, size=384)
        plain = velatura.texture(painting, size=256, device="cpu").picture
        began = time.perf_counter()
        tile = velatura.texture(painting, size=256, tileable="both", device="cpu").picture
        seconds = time.perf_counter() - began
        print(f"{name:16} {seam(plain.pixels):6.2f} {seam(tile.pixels):6.2f} {seconds:8.1f}", flush=True)


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
    compared(**factors, edges={"structure": 1.0, "settings": edges})


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
