r"""Convolution by a 3x3 kernel with a quarter of the multiplications (Lavin and Gray 2016).

Winograd's :math:`F(4 \times 4, 3 \times 3)`: sixteen outputs of one channel need 36 products in place of 144,

.. math:: Y = A^\top \big[ (G g G^\top) \odot (B^\top d B) \big] A

for a kernel ``g`` and a 6x6 tile ``d`` of the input. Summed over channels, the products at each of the
36 places are one matrix product. The kernels are transformed once. The transforms of the tiles are matrix
products too, by the Kronecker squares of :math:`B^\top` and :math:`A^\top`, which run at the full rate of
the processor where a sum of slices waits for memory.

In float32 the error is twice that of a direct convolution: 1e-6 to 2e-6 of the result's norm for 64 to 512
channels. In bfloat16 it would not do.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from velatura.ops.edges import Border
from velatura.ops.rectifier import masked

__all__ = ["winograd_convolution", "winograd_kernel", "winograd_pays"]

# Lavin and Gray 2016, section 4.3.
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
_TILE = 4
_WINDOW = 6
_PLACES = _WINDOW**2
# What is added at this place, the second of both axes, is added to all sixteen outputs: the second
# column of the output's transform is all ones.
_EVERYWHERE = _WINDOW + 1
# Tiles that each thread transforms together. Fewer make thin matrix products, more leave the cache.
_TILES_AT_ONCE = 128


def winograd_pays(channels_in: int, channels_out: int, height: int, width: int) -> bool:
    """Whether a layer is faster this way than by torch's direct convolution on a CPU.

    Measured for 3 to 512 channels and maps of 8 to 512 positions an edge: see ``benchmarks/README.md``.
    """
    narrower = min(channels_in, channels_out)
    return narrower >= 64 and narrower * height * width >= 2**17


def winograd_kernel(weight: Tensor) -> Tensor:
    r"""The kernels as they are multiplied, :math:`G g G^\top`.

    Args:
        weight: ``(C_out, C_in, 3, 3)``.

    Returns:
        ``(36, C_in, C_out)``: four times the memory. It is computed in float64 and rounded once.
    """
    transform = torch.tensor(_KERNEL, dtype=torch.float64, device=weight.device)
    places = torch.einsum("xi,ocij,yj->xyco", transform, weight.double(), transform)
    return places.flatten(0, 1).to(weight.dtype).contiguous()


@torch.no_grad()
def winograd_convolution(
    features: Tensor,
    kernel: Tensor,
    *,
    bias: Tensor | None = None,
    border: Border = "zeros",
    rectify: bool = False,
    active: Tensor | None = None,
) -> Tensor:
    """Cross-correlation with 3x3 kernels, as ``torch.nn.functional.conv2d``. No graph is recorded.

    Args:
        features: ``(B, C_in, H, W)``, floating point.
        kernel: From :func:`winograd_kernel`, ``(36, C_in, C_out)``.
        bias: Added at every position, ``(C_out,)``.
        border: What lies beyond the edge.
        rectify: Set what is below 0 to 0.
        active: ``(B, C_out, H, W)``: the result is 0 where this is not above 0. None: nowhere.

    Returns:
        ``(B, C_out, H, W)``, in channels_last; where height or width is no multiple of 4, a part of a
        larger map.
    """
    batch, _, height, width = features.shape
    whole = (-(-height // _TILE) * _TILE, -(-width // _TILE) * _TILE)
    out = features.new_empty((batch, *whole, kernel.shape[2]))
    maps = _channels_last(features)
    # A map of whole tiles is masked while it is written.
    masks = None if active is None or out.shape[1:3] != (height, width) else _channels_last(active)
    for index in range(batch):
        strips = _Strips(maps[index], border)
        mask = None if masks is None else masks[index]
        _convolve(strips, kernel, bias, out[index], rectify=rectify, active=mask)
    result = out[:, :height, :width].permute(0, 3, 1, 2)
    return result if active is None or masks is not None else masked(result, active, out=result)


def _channels_last(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1)


def _convolve(
    strips: _Strips,
    kernel: Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    rectify: bool,
    active: Tensor | None,
) -> None:
    """Strip by strip, so that what is between the transforms stays in the cache.

    Args:
        strips: The map.
        kernel: ``(36, C_in, C_out)``.
        bias: ``(C_out,)``, or none.
        out: ``(H, W, C_out)``, whole tiles, to be filled in.
        rectify: Set what is below 0 to 0.
        active: ``(H, W, C_out)``, or none.
    """
    down, across, channels_out = out.shape[0] // _TILE, out.shape[1] // _TILE, out.shape[2]
    most = max(1, _TILES_AT_ONCE * torch.get_num_threads() // across)
    to_places, to_outputs = _squares(out.dtype, out.device)
    room = most * across
    places_in = out.new_empty(_PLACES * room * kernel.shape[1])
    places_out = out.new_empty(_PLACES * room * channels_out)
    tiles_out = out.new_empty(_TILE**2 * room * channels_out)
    strips.make_room(most, across)
    for first in range(0, down, most):
        rows = min(most, down - first)
        tiles = rows * across
        windows = strips.windows(first * _TILE, rows)
        inputs = places_in[: windows.numel()].view(_PLACES, -1)
        torch.mm(to_places, windows, out=inputs)
        products = places_out[: _PLACES * tiles * channels_out].view(_PLACES, tiles, channels_out)
        torch.bmm(inputs.view(_PLACES, tiles, -1), kernel, out=products)
        if bias is not None:
            products[_EVERYWHERE].add_(bias)
        outputs = tiles_out[: _TILE**2 * tiles * channels_out].view(_TILE**2, -1)
        torch.mm(to_outputs, products.view(_PLACES, -1), out=outputs)
        ours = outputs.view(_TILE, _TILE, rows, across, channels_out).permute(2, 0, 3, 1, 4)
        theirs = out[first * _TILE :][: rows * _TILE].view(ours.shape)
        if rectify:
            torch.clamp_min(ours, 0, out=theirs)
        elif active is not None:
            masked(ours, active[first * _TILE :][: rows * _TILE].reshape(ours.shape), out=theirs)
        else:
            theirs.copy_(ours)


@cache
def _squares(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The transforms of a tile along both axes at once, ``(36, 36)`` and ``(16, 36)``."""
    places, outputs = (torch.tensor(rows, dtype=dtype, device=device) for rows in (_INPUT, _OUTPUT))
    return torch.kron(places, places), torch.kron(outputs, outputs)


class _Strips:
    """One map with its border, a few rows at a time.

    Args:
        source: ``(H, W, C)``.
        border: What lies beyond the edge.
    """

    def __init__(self, source: Tensor, border: Border) -> None:
        self._source, self._border = source, border

    def make_room(self, down: int, across: int) -> None:
        """Room for so many tiles; beyond the border there are zeros."""
        channels = self._source.shape[2]
        self._rows = self._source.new_zeros((down * _TILE + 2, across * _TILE + 2, channels))
        self._windows = self._source.new_empty(_PLACES * down * across * channels)
        self._across = across

    def windows(self, first: int, down: int) -> Tensor:
        """The windows of ``down`` rows of tiles from row ``first`` of the result on, ``(36, tiles * C)``."""
        rows = self._rows[: down * _TILE + 2]
        self._fill(rows, first - 1)
        _, width, channels = rows.shape
        row = width * channels
        overlapping = rows.as_strided(
            (_WINDOW, _WINDOW, down, self._across, channels),
            (row, channels, _TILE * row, _TILE * channels, 1),
        )
        windows = self._windows[: overlapping.numel()]
        windows.view(overlapping.shape).copy_(overlapping)
        return windows.view(_PLACES, -1)

    def _fill(self, rows: Tensor, top: int) -> None:
        """Fills in the rows of the map from ``top`` on, which may be above its edge."""
        height, width, _ = self._source.shape
        begin, end = max(top, 0), min(top + len(rows), height)
        rows[begin - top : end - top, 1 : 1 + width] = self._source[begin:end]
        rows[: begin - top].zero_()
        rows[end - top :].zero_()
        if self._border == "zeros":
            return
        step = 1 if self._border == "reflect" else 0
        if top < 0:
            rows[0] = rows[1 + step]
        if top + len(rows) > height:
            rows[height - top] = rows[height - top - 1 - step]
        rows[:, 0] = rows[:, 1 + step]
        rows[:, width + 1] = rows[:, width - step]
