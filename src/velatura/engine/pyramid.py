"""Coarse to fine: which sizes a run passes through, and how many steps it takes at each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Len

from velatura.core.config import Idle, Setting
from velatura.core.errors import ConfigError
from velatura.ops.resize import fit

__all__ = ["Pyramid", "Scale", "work_done"]

_STEP_PIXELS = 2**13
"""As many pixels cost as much as a step does whatever its size."""


@dataclass(frozen=True)
class Scale:
    """One rung of the pyramid.

    Args:
        size: Height and width of the canvas, in pixels.
        steps: Optimisation steps at this size.
    """

    size: tuple[int, int]
    steps: int

    @property
    def step_work(self) -> int:
        """What a step costs beside those of other scales: its pixels, and a little whatever they are."""
        return math.prod(self.size) + _STEP_PIXELS


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """Scales from small to large: big shapes settle where they cost least.

    Several resolutions are from Gatys et al. 2017, section 6; the ratio of neighbours is
    style-transfer-pytorch's.
    """

    smallest: Annotated[
        int, Ge(0), Setting("Longer edge of the first scale at least; 0: one scale only", unit="pixels")
    ] = 128
    ratio: Annotated[
        float, Ge(1.1), Setting("Each scale is this much larger than the one before"), Idle("smallest", (0,))
    ] = 2**0.5
    steps: Annotated[
        tuple[Annotated[int, Ge(0)], ...],
        Len(1),
        Setting("Steps at each scale from the smallest up; larger scales repeat the last number"),
        Idle("smallest", (0,), first_counts=True),
    ] = (200, 100, 80, 60, 50)
    last: Annotated[
        int | None,
        Ge(1),
        Setting("How many of the scales are passed through, the last ones; unset: all"),
        Idle("smallest", (0,)),
    ] = None

    def scales(
        self, size: tuple[int, int], *, smallest_input: int, multiples: tuple[int, int] = (1, 1)
    ) -> list[Scale]:
        """The scales that end at ``size``.

        Args:
            size: Height and width of the finished canvas, in pixels.
            smallest_input: Shortest edge that the backbone takes; smaller scales are left out.
            multiples: What height and width of every scale are multiples of.

        Raises:
            ConfigError: The finished canvas itself is too small for the backbone, or is no such multiple.
        """
        height, width = size
        if min(size) < smallest_input:
            raise ConfigError(
                f"a canvas of {width}x{height} pixels is too small: the deepest layer needs "
                f"{smallest_input}x{smallest_input}; choose a larger size or shallower layers"
            )
        if any(length % multiple for length, multiple in zip(size, multiples, strict=True)):
            raise ConfigError(
                f"a picture that goes round needs a height that is a multiple of {multiples[0]} and a width "
                f"that is one of {multiples[1]}, not {width}x{height} pixels; choose "
                f"{_up(width, multiples[1])}x{_up(height, multiples[0])}"
            )
        sizes = [size]
        edge = float(max(size))
        while self.smallest > 0:
            edge /= self.ratio
            smaller = _nearest(fit(height, width, round(edge)), multiples)
            if max(smaller) < self.smallest or min(smaller) < smallest_input or smaller == sizes[0]:
                break
            sizes.insert(0, smaller)
        most = len(self.steps) - 1
        scales = [Scale(size, self.steps[min(i, most)]) for i, size in enumerate(sizes)]
        return scales if self.last is None else scales[-self.last :]


def work_done(scales: Sequence[Scale], scale: int, step: int) -> float:
    """Part of a run's work that is done, in [0, 1].

    Args:
        scales: What the run passes through.
        scale: Which of them it is at, from 0.
        step: Steps that it has made there.
    """
    whole = sum(one.steps * one.step_work for one in scales)
    before = sum(one.steps * one.step_work for one in scales[:scale])
    return (before + step * scales[scale].step_work) / whole if whole else 1.0


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _nearest(size: tuple[int, int], multiples: tuple[int, int]) -> tuple[int, int]:
    height, width = (
        max(1, round(length / multiple)) * multiple for length, multiple in zip(size, multiples, strict=True)
    )
    return height, width
