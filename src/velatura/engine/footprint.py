"""How much memory an optimisation takes, from its settings and a step of a small picture.

Feature maps grow with the pixels, whatever the network and the losses. So the targets and one step are
computed at two small sizes with every tensor counted (:mod:`velatura.engine.allocations`), and a line
through both tells what they take at any size. Canvases and the optimiser's memory are known.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from velatura.backbones import Backbone
from velatura.backbones.convolution import Convolution
from velatura.core.errors import ConfigError
from velatura.core.memory import available_memory, resident_memory
from velatura.engine.allocations import Allocations
from velatura.engine.descent import CANVAS_BYTES, LARGE_CANVAS
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.pyramid import Scale
from velatura.ops.threads import computing_threads
from velatura.ops.winograd import winograd_pays

__all__ = ["Footprint", "Growth", "Run", "Spread", "choose_tile", "free_memory", "measure_footprint"]

_EDGES = (192, 384)
"""Of the pictures that are measured: below, what convolutions work on weighs more than it does above."""
_OF_A_TILE = 1.55
"""What the maps of a tile take over those of a whole picture of its size: what counts of each is looked at
apart. Counted: 1.5 at 512 pixels."""
_LIBRARIES = 40 * 2**20
"""What the libraries take for themselves once they compute."""
_WINOGRAD_PLACES = 36
_TILE_STEP = 32
"""How exactly the edge of a tile is chosen, in pixels."""


@dataclass(frozen=True)
class Growth:
    """Bytes that grow with the pixels.

    Args:
        fixed: Whatever the size.
        each: A pixel.
    """

    fixed: float
    each: float

    def at(self, pixels: float) -> float:
        """Bytes of so many pixels."""
        return self.fixed + self.each * pixels

    @classmethod
    def through(cls, smaller: tuple[int, int], larger: tuple[int, int]) -> Growth:
        """The line through two measurements, pixels and bytes; it never falls, and is never below 0."""
        (few, least), (many, most) = smaller, larger
        if many == few:
            return cls(0.0, most / many)
        each = min(max(0.0, (most - least) / (many - few)), most / many)
        return cls(most - each * many, each)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What is taken of the system over what is held: a heap has gaps that nothing else fits into.

    Args:
        small: Of the maps of a step, in a picture of half a megapixel or less.
        large: The same, in one of eight or more; between them, by the logarithm.
        tile: The same, in a tile, whose maps lie between canvases.
        aim: Of maps that only come and go, without a backward pass.
        canvas: Of canvases, which are all of one size.
    """

    small: float = 1.0
    large: float = 1.0
    tile: float = 1.0
    aim: float = 1.0
    canvas: float = 1.0

    def of_maps(self, pixels: float) -> float:
        """Of the maps of a picture in one piece."""
        doublings = math.log2(max(pixels, 1) / _SMALL) / math.log2(_LARGE / _SMALL)
        return self.small + (self.large - self.small) * min(1.0, max(0.0, doublings))


_SMALL, _LARGE = 2**19, 2**23
_OF_GLIBC = Spread(small=1.7, large=1.15, tile=1.85, aim=1.35, canvas=1.35)
"""Measured: from 640 to 4096 pixels in one piece, and in tiles of 512 to 1216, with glibc 2.36."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run passes through, as far as memory goes.

    Args:
        scales: From the smallest up.
        photo: Pixels of the photograph as it was read: it is there already, its copies are not.
        paintings: Pixels of each painting at the last scale.
        saved: Whether checkpoints are written.
    """

    scales: Sequence[Scale]
    photo: int
    paintings: Sequence[int]
    saved: bool = False

    @property
    def pixels(self) -> int:
        """Those of the finished picture."""
        return math.prod(self.scales[-1].size)

    @property
    def steps(self) -> int:
        """Of all scales."""
        return sum(scale.steps for scale in self.scales)


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What an optimisation takes, by its size.

    Args:
        base: Bytes that the process has taken before the run: libraries, weights, pictures.
        aim: Taking the targets of one picture, at most.
        targets: What is kept of them.
        step: One step's maps and gradients, beside targets and canvas.
        canvases: Those that the descent holds.
        remembered: Canvases of so many pixels that the optimiser remembers after so many steps.
        worked_on: Canvases more that it takes for a step.
        prepared: Bytes that the network prepares only for large pictures.
        spread: What all of that takes of the system.
    """

    base: float
    aim: Growth
    targets: Growth
    step: Growth
    canvases: int
    remembered: Callable[[int, int], float]
    worked_on: int
    prepared: float = 0.0
    spread: Spread = field(default_factory=Spread)

    def peak(self, run: Run, *, tile: int | None = None) -> int:
        """Bytes at most in the whole run.

        Args:
            run: What it passes through.
            tile: Pixels that are computed at once, margins and all; None: all.
        """
        most, steps, before = float(CANVAS_BYTES * run.photo), 0, 0
        for scale in run.scales:
            pixels = math.prod(scale.size)
            share = pixels / run.pixels
            seen = [pixels, *(round(painting * share) for painting in run.paintings)]
            climbing = self._climbing(before, pixels, steps, seen, run.photo, tile)
            steps += scale.steps
            most = max(most, climbing, self._stepping(pixels, steps, tile, saved=run.saved))
            before = pixels
        return round(self.base + self.prepared + most)

    def _canvas(self, pixels: float) -> float:
        held = CANVAS_BYTES * pixels
        # In tiles, as pictures of that size are, they have pages of their own from there on.
        return held if held >= LARGE_CANVAS else held * self.spread.canvas

    def _held(self, pixels: int, steps: int) -> float:
        """From step to step, without which no tile helps: canvases, the optimiser's memory, targets."""
        return self._canvas((self.canvases + self.remembered(steps, pixels)) * pixels) + self.targets.at(
            pixels
        )

    def _stepping(self, pixels: int, steps: int, tile: int | None, *, saved: bool) -> float:
        if tile is None or tile >= pixels:
            maps = self.spread.of_maps(pixels) * self.step.at(pixels) + self._canvas(pixels)
        else:
            # The sum of the tiles' gradients is beside that of one.
            maps = self.spread.tile * _OF_A_TILE * self.step.at(tile) + self._canvas(2 * pixels)
        working = self._canvas((1 + self.worked_on) * pixels)
        saving = self._canvas((self.canvases + self.remembered(steps, pixels)) * pixels) if saved else 0.0
        # While maps are there the optimiser waits, which learns of the step only then.
        before = self._held(pixels, max(0, steps - 1))
        return max(before + maps, self._held(pixels, steps) + max(working, saving))

    def _climbing(
        self, before: int, pixels: int, steps: int, seen: Sequence[int], photo: int, tile: int | None
    ) -> float:
        """From one scale to the next: targets first, then the optimiser's memory at the new size."""
        shown = max(seen) if tile is None else min(tile, max(seen))
        old = self._held(before, steps) if before else 0.0
        # Where it is taken in tiles, what is kept is beside the maps of one.
        maps = self.spread.aim * self.aim.at(shown) + (0 if tile is None else self.targets.at(pixels))
        aiming = old + self._canvas(sum(seen)) + max(self._canvas(photo), maps)
        # What is remembered goes one by one, each old one before the next new one: two are between.
        remembered = self.remembered(steps, pixels) + 2 if before else 0
        moving = self.targets.at(pixels) + self._canvas((remembered + self.canvases) * pixels)
        return max(aiming, moving)


def measure_footprint(
    stylizer: OptimizationStylizer, *, size: tuple[int, int], num_styles: int = 1
) -> Footprint:
    """Computes targets and a step of two small pictures, and reads what they take.

    It takes as long as two steps at 400 pixels, and prepares what the run would prepare anyway.

    Args:
        stylizer: What will run; its targets are taken anew before that.
        size: Height and width of the largest canvas.
        num_styles: How many paintings there are.
    """
    needed = stylizer.backbone.smallest_input(stylizer.objective.layers)
    edges = [min(max(edge, needed), max(needed, *size)) for edge in _EDGES]
    is_cpu = stylizer.device.type == "cpu"
    # In one thread: what each has for itself to work on would pass for something that grows with the pixels.
    with _inputs(stylizer.backbone) as seen, computing_threads(1):
        # What is prepared once must be there before anything is counted.
        _measured(stylizer, edges[1], num_styles)
        measured = [_measured(stylizer, edge, num_styles) for edge in edges]
    growths = [
        Growth.through((edges[0] ** 2, small), (edges[1] ** 2, large))
        for small, large in zip(*measured, strict=True)
    ]
    optimizer = stylizer.method.optimizer
    return Footprint(
        base=resident_memory() + _LIBRARIES if is_cpu else torch.cuda.memory_allocated(stylizer.device),
        aim=growths[0],
        targets=growths[1],
        step=growths[2],
        canvases=stylizer.method.iterates.canvases,
        remembered=optimizer.remembered,
        worked_on=optimizer.worked_on,
        prepared=_to_prepare(seen, edges[1], size) if is_cpu else 0.0,
        spread=_OF_GLIBC if is_cpu else Spread(),
    )


def choose_tile(footprint: Footprint, run: Run, *, room: float, most: float, least: int) -> int | None:
    """The largest tile with which a run fits.

    Args:
        footprint: What the run takes.
        run: What it passes through.
        room: Bytes that the process should have in all.
        most: Bytes that it may have, where the smallest tile asks for more than ``room``.
        least: Shortest edge that a tile may have.

    Returns:
        Pixels of an edge, with all that a tile reads around; None: the whole picture fits.

    Raises:
        ConfigError: Not even the smallest tile fits.
    """
    if footprint.peak(run) <= room:
        return None

    def fits(edge: int) -> bool:
        return footprint.peak(run, tile=edge**2) <= room

    if not fits(least):
        if footprint.peak(run, tile=least**2) > most:
            raise ConfigError(_too_large(footprint, run, most, tile=least**2))
        return least
    step, edge = least, least
    while fits(edge + step):
        edge, step = edge + step, 2 * step
    while step > _TILE_STEP:
        step //= 2
        if fits(edge + step):
            edge += step
    return edge


def _too_large(footprint: Footprint, run: Run, room: float, *, tile: int) -> str:
    """What fits in the place of a run that does not."""
    height, width = run.scales[-1].size
    needed = footprint.peak(run, tile=tile)
    # Of a picture of next to nothing: what is beyond that grows with the pixels.
    begun = footprint.peak(replace(run, scales=[Scale((1, 1), run.steps)], paintings=[0]), tile=tile)
    part = max(0.0, room - begun) / max(1, needed - begun)
    edge = int(max(height, width) * math.sqrt(part)) // 64 * 64
    advice = f"choose a size of {edge}" if edge >= 64 else "free some memory"
    return (
        f"{width}x{height} pixels take {needed / 2**30:.1f} GiB even in the smallest tiles, for canvases and "
        f"the optimiser's memory, and there is room for {room / 2**30:.1f} GiB; {advice}, or an optimiser "
        "that remembers less (adam, or a shorter optimizer.history)"
    )


def _measured(stylizer: OptimizationStylizer, edge: int, num_styles: int) -> tuple[int, int, int]:
    """Bytes of aiming, of the targets, and of a step, at one size."""
    rng = torch.Generator().manual_seed(edge)
    pictures = [stylizer.to_device(torch.rand((3, edge, edge), generator=rng)) for _ in range(1 + num_styles)]
    objective, precision = stylizer.objective, stylizer.precision
    objective.targets, objective.edge = {}, None
    with Allocations() as counted, precision.autocast(stylizer.device):
        objective.aim(pictures[0], pictures[1:], [1 / num_styles] * num_styles)
        aim, targets = counted.most, counted.held
        counted.restart()
        canvas = pictures[0].clone(memory_format=precision.memory_format).requires_grad_()
        before = counted.held
        torch.autograd.backward(torch.stack(list(objective(canvas).values())).sum())
        step = counted.most - before
    objective.targets, objective.edge = {}, stylizer.method.tile
    return aim, targets, step


@contextlib.contextmanager
def _inputs(backbone: Backbone) -> Iterator[dict[Convolution, tuple[int, int]]]:
    """Height and width of the last map that each convolution was given in the block."""
    seen: dict[Convolution, tuple[int, int]] = {}

    def look(module: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, Convolution)
        seen[module] = (given[0].shape[2], given[0].shape[3])

    hooks = [
        module.register_forward_pre_hook(look)
        for module in backbone.modules()
        if isinstance(module, Convolution)
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _to_prepare(seen: Mapping[Convolution, tuple[int, int]], edge: int, size: tuple[int, int]) -> float:
    """Bytes of kernels that are transformed, forwards and backwards, at ``size`` and were not at ``edge``."""
    total = 0
    for convolution, (height, width) in seen.items():
        channels = convolution.in_channels, convolution.out_channels
        large = round(height * size[0] / edge), round(width * size[1] / edge)
        if winograd_pays(*channels, *large) and not winograd_pays(*channels, height, width):
            total += 2 * _WINOGRAD_PLACES * math.prod(channels) * convolution.weight.element_size()
    return float(total)


def free_memory(device: torch.device) -> int:
    """Bytes that a run may still take on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
