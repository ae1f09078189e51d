"""Whether bfloat16 is faster than float32 here: measured once a machine and network, and remembered.

A processor that says it multiplies bfloat16 does not say how fast. The Intel Xeon that this was written on
says so (AVX512-BF16, no AMX), and takes 1.1 to 2.4 times as long for a convolution in bfloat16 as in
float32, whatever the number of channels: 16 to 512 were measured. Nor is it the processor alone: wide layers
have a faster way in float32 (:mod:`velatura.ops.winograd`), narrow ones have not. So a flag can only
tell that there is nothing to measure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velatura._version import __version__
from velatura.backbones import Backbone
from velatura.core.errors import OutputError
from velatura.core.files import atomic_path
from velatura.weights.places import cache_root

__all__ = ["bfloat16_wins"]

# A verdict that noise could turn would make two runs of one seed differ: near a tie it is float32.
_MARGIN = 1.15
_EDGE = 128
_ROUNDS = 2


def bfloat16_wins(backbone: Backbone) -> bool:
    """Whether ``backbone`` is at least 1.15 times as fast in bfloat16 as in float32, on this machine's CPU.

    One pass of a picture of 128 pixels, forward and back to the pixels, is timed in both, in turns; the
    faster of two counts. That takes 0.2 s with ``vgg19-slim`` and 3 s with VGG-19 on two cores. The verdict
    is kept in the folder ``precision`` of the cache, by processor, number of threads, versions and network,
    so that the next run computes as this one did. Where it cannot be kept or read, it is measured anew by
    every process.

    Args:
        backbone: The network, frozen, on the CPU, laid out as it will be used.
    """
    key = json.dumps(_key(backbone), sort_keys=True)
    return _remembered(key, lambda: _seconds(backbone))


def _key(backbone: Backbone) -> dict[str, Any]:
    """What the verdict depends on."""
    return {
        "processor": dict(torch.cpu.get_capabilities()),
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "velatura": __version__},
        "network": repr(backbone),
    }


def _remembered(key: str, measure: Callable[[], tuple[float, float]]) -> bool:
    path = cache_root() / "precision" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    seconds = _read(path)
    if seconds is None:
        measured = measure()
        # Of processes that measure at once, the first decides for all.
        seconds = _read(path) or measured
        if seconds is measured:
            with contextlib.suppress(OutputError), atomic_path(path) as temporary:
                record = {"float32_s": seconds[0], "bfloat16_s": seconds[1], "of": json.loads(key)}
                temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return seconds[0] >= _MARGIN * seconds[1]


def _read(path: Path) -> tuple[float, float] | None:
    """Seconds in float32 and in bfloat16; None where there is no whole record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        seconds = float(record["float32_s"]), float(record["bfloat16_s"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return seconds if all(0 < value < math.inf for value in seconds) else None


def _seconds(backbone: Backbone) -> tuple[float, float]:
    """The fastest pass in float32 and in bfloat16."""
    layer = backbone.layers[-1]
    edge = max(_EDGE, backbone.smallest_input([layer]))
    picture = torch.full((1, 3, edge, edge), 0.5).contiguous(memory_format=torch.channels_last)
    fastest = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for turn in range(_ROUNDS + 1):
        for dtype, before in fastest.items():
            took = _pass_seconds(backbone, layer, picture, dtype)
            # The first pass prepares what later ones find.
            fastest[dtype] = min(before, took) if turn else math.inf
    return fastest[torch.float32], fastest[torch.bfloat16]


def _pass_seconds(backbone: Backbone, layer: str, picture: Tensor, dtype: torch.dtype) -> float:
    canvas = picture.clone().requires_grad_()
    began = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        features = backbone(canvas, [layer])[layer]
    torch.autograd.backward(features.float().mean())
    return time.perf_counter() - began
