"""A picture larger than memory through a network: tiles that overlap by all that the network sees.

What a network of convolutions gives at a pixel depends on the pixels around it as far as its *reach*, and on
the statistics of its norms, which are of the whole picture. So the statistics are measured once, on the whole
at a smaller size, and held; and each tile is read with a margin of the reach. Then tiles are the same as the
whole to the rounding of float32, and there is no seam to hide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from velatura.core.errors import Cancelled, ConfigError
from velatura.core.memory import available_memory
from velatura.core.progress import never
from velatura.engine.regions import Regions
from velatura.networks import Network, Style, held_statistics
from velatura.ops.resize import resize

__all__ = ["GRID", "Tile", "largest_whole", "margin", "reach", "stylize_in_tiles", "tiles"]

GRID = 32
"""Tiles begin at multiples of this many pixels: each position of a network then stands for the same pixels
as in the whole, as long as its stride divides this."""

_PROBED = (256, 512, 1024)
_SAME = 1e-3
_MOST_BYTES = 3 * 2**29
_COPIES = 3
"""Feature maps of the largest layer that are held at once: what came, what it gives, and room to work."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One part of a picture, as rows and columns.

    Args:
        read: What the network is shown.
        kept: The part of what it gives that counts, within ``read``.
        written: Where that goes, in the whole.
    """

    read: tuple[slice, slice]
    kept: tuple[slice, slice]
    written: tuple[slice, slice]


def tiles(size: tuple[int, int], *, edge: int, overlap: int) -> Iterator[Tile]:
    """Parts that together are the whole.

    Args:
        size: Height and width of the whole.
        edge: Pixels that a tile is wide and high at most, with its margins, a multiple of :data:`GRID`.
        overlap: Pixels that it is shown beyond what it gives, on each side but the picture's own edges; a
            multiple of :data:`GRID`, and less than half of ``edge``.
    """
    assert edge % GRID == 0
    assert overlap % GRID == 0
    assert edge > 2 * overlap
    for row_read, row_kept, row_written in _spans(size[0], edge, overlap):
        for column_read, column_kept, column_written in _spans(size[1], edge, overlap):
            yield Tile(
                read=(row_read, column_read),
                kept=(row_kept, column_kept),
                written=(row_written, column_written),
            )


def _spans(length: int, edge: int, overlap: int) -> Iterator[tuple[slice, slice, slice]]:
    """What is read, what of it is kept, and where that goes, along one direction."""
    inner = length if length <= edge else edge - 2 * overlap
    for start in range(0, length, inner):
        stop = min(start + inner, length)
        first, last = max(0, start - overlap), min(stop + overlap, length)
        yield slice(first, last), slice(start - first, stop - first), slice(start, stop)


@torch.no_grad()
def reach(network: Network, style: Style | None) -> int | None:
    """How far a pixel of the result sees, in pixels; None where parts cannot be the same as the whole.

    It is measured: what is beyond the tile is not a number, and whatever that has touched is none either,
    weights of zero or not. Then a part is compared with the whole: where they differ, a position of the
    network stands for more pixels than :data:`GRID`. Nor can a part have the noise of the whole, where the
    network draws some. The statistics of the norms are
    those of a whole picture, held.

    Args:
        network: On any device, in evaluation.
        style: One that it takes.
    """
    if network.rng is not None:
        return None
    parameter = next(network.parameters())
    for edge in _PROBED:
        picture = torch.rand((1, 3, edge, edge), generator=torch.Generator().manual_seed(0)).to(parameter)
        with held_statistics(network):
            whole = network(picture, style)
            found = _touched(network, picture, style)
            if found is not None:
                part = network(picture[..., GRID:, GRID:], style)[..., found:, found:]
                beside = whole[..., GRID + found :, GRID + found :]
                is_same = bool((part - beside).abs().max() <= _SAME * whole.std())
                return found if is_same else None
    return None


def _touched(network: Network, picture: Tensor, style: Style | None) -> int | None:
    """How far into a tile what is beyond it is seen; None if all the way."""
    edge = picture.shape[-1]
    # On every side, from a multiple of the grid.
    frame = max(GRID, edge // 8)
    beyond = torch.full_like(picture, math.nan)
    beyond[..., frame:-frame, frame:-frame] = picture[..., frame:-frame, frame:-frame]
    untouched = network(beyond, style)[0].isfinite().all(dim=0)
    rows, columns = untouched.any(dim=1).nonzero(), untouched.any(dim=0).nonzero()
    if not len(rows):
        return None
    first, last = min(int(rows[0]), int(columns[0])), max(int(rows[-1]), int(columns[-1]))
    return max(0, first - frame, edge - frame - 1 - last)


@torch.no_grad()
def largest_whole(network: Network, style: Style | None) -> int:
    """Pixels of the largest picture that the network takes whole within the memory that is free.

    The largest layer decides: its feature maps are counted three times. Half of what is free is used, and
    1.5 GiB at most.

    Args:
        network: On the device to compute on, in evaluation.
        style: One that it takes.
    """
    parameter = next(network.parameters())
    edge, most = 256, 0

    def count(_: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal most
        maps = [value for value in (*inputs, output) if isinstance(value, Tensor) and value.ndim == 4]
        most = max(most, sum(value.numel() * value.element_size() for value in maps))

    hooks = [
        module.register_forward_hook(count) for module in network.modules() if not list(module.children())
    ]
    try:
        network(torch.full((1, 3, edge, edge), 0.5).to(parameter), style)
    finally:
        for hook in hooks:
            hook.remove()
    return int(min(_free_bytes(parameter.device) / 2, _MOST_BYTES) / (_COPIES * most / 2 / edge**2))


def _free_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()


@torch.no_grad()
def stylize_in_tiles(
    network: Network,
    content: Tensor,
    style: Style | None,
    *,
    alpha: float,
    edge: int,
    overlap: int,
    regions: Regions | None = None,
    on_tile: Callable[[int, int], None] = lambda _done, _all: None,
    cancelled: Callable[[], bool] = never,
) -> Tensor:
    """What ``network(content, style)`` gives, computed in parts.

    The statistics of the norms are of the whole at a smaller size, of as many pixels as a tile has.

    Args:
        network: In evaluation, on the device of ``style``.
        content: ``(1, 3, H, W)``, on any device; each tile is moved.
        style: One that the network takes.
        alpha: How much of it.
        edge: Longest edge of what the network is shown at once, in pixels; rounded down to :data:`GRID`.
        overlap: What :func:`margin` gives.
        regions: Where the picture has several styles; they are in the place of ``style``.
        on_tile: Told how many tiles are done, of how many.
        cancelled: Asked before each tile.

    Returns:
        ``(1, 3, H, W)``, float32, on the device of ``content``.

    Raises:
        ConfigError: Tiles of that edge would be all margin.
        Cancelled: Cancelled before the last tile.
    """
    edge = edge // GRID * GRID
    if edge <= 2 * overlap:
        raise ConfigError(
            f"a tile of {edge} pixels is all margin: {overlap} are needed on each side; "
            f"choose at least {2 * overlap + GRID}"
        )
    parts = list(tiles((content.shape[2], content.shape[3]), edge=edge, overlap=overlap))
    device = next(network.parameters()).device
    is_last = content.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last else torch.contiguous_format
    result = torch.empty_like(content, dtype=torch.float32)

    def painted(part: Tensor, at: Regions | None) -> Tensor:
        if at is None:
            given: Tensor = network(part, style, alpha=alpha)
            return given
        return at.painted(network, part, alpha=alpha)

    with held_statistics(network):
        whole = _reduced(content, edge * edge).to(device)
        painted(whole, None if regions is None else regions.sized((whole.shape[2], whole.shape[3])))
        for done, tile in enumerate(parts):
            if cancelled():
                raise Cancelled(f"interrupted after {done} of {len(parts)} tiles")
            shown = content[..., *tile.read].to(device).contiguous(memory_format=layout)
            given = painted(shown, None if regions is None else regions.part(*tile.read))
            result[..., *tile.written] = given[..., *tile.kept].to(result)
            on_tile(done + 1, len(parts))
    return result


def margin(network: Network, style: Style | None, *, overlap: int | None = None) -> int:
    """How far tiles must reach into each other, in pixels: a multiple of :data:`GRID`.

    Args:
        network: In evaluation.
        style: One that it takes.
        overlap: What was asked for; None: what the network needs.

    Raises:
        ConfigError: The network cannot work in tiles, or the overlap is less than it.
    """
    needed = reach(network, style)
    if needed is None:
        raise ConfigError(
            f"this {type(network).__name__} sees all of a picture at once, or draws noise, and cannot work "
            "in tiles; choose a smaller size"
        )
    if overlap is not None and overlap < needed:
        raise ConfigError(
            f"an overlap of {overlap} pixels would leave seams: this network sees {needed} pixels around "
            f"each; give at least that, or leave it out"
        )
    return -(-max(needed, overlap or 0) // GRID) * GRID


def _reduced(content: Tensor, most_pixels: int) -> Tensor:
    """The whole at as many pixels at most."""
    height, width = content.shape[2:]
    scale = math.sqrt(most_pixels / (height * width))
    if scale >= 1:
        return content
    size = max(1, int(height * scale)), max(1, int(width * scale))
    return resize(content, size).clamp(0, 1)
