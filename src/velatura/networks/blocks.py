"""What the networks of Johnson et al. 2016 and Dumoulin et al. 2017 are made of.

Three convolutions halve a picture twice, five residual blocks work at a quarter of its size, two convolutions
double it twice, and a last one gives pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.networks.statistics import InstanceNorm

__all__ = [
    "SHAVED",
    "STRIDE",
    "Block",
    "Border",
    "Convolution",
    "FractionalConvolution",
    "ResidualBlock",
    "ResizeConvolution",
    "Row",
    "TransformationNetwork",
    "Upsampling",
    "draw_as_torch7",
    "faded",
    "mirrored_around",
    "mirrored_positions",
]

Border = Literal["valid", "zeros", "reflect", "replicate", "circular"]
"""What a convolution sees beyond the edge; ``valid``: nothing, so that its result is smaller."""

Upsampling = Literal["transposed", "nearest"]
"""``transposed``: a convolution with stride 1/2; ``nearest``: each pixel four times, then a convolution."""

Row: TypeAlias = tuple[Tensor, ...]
"""What a norm is given besides the features: nothing, or a scale and a shift of each channel, ``(B, C)``."""

STRIDE = 4
"""Pixels of the picture that one position of the residual blocks stands for, in each direction."""

SHAVED = 2
"""Positions that a residual block of valid convolutions takes off each edge."""

_SMALLEST = 2 * STRIDE
"""Reflection needs two positions, and so does a norm over the batch that is to be more than zero."""


class Convolution(nn.Conv2d):
    """A convolution of an odd kernel, whose weights its network draws.

    Args:
        channels_in: Channels of the map below.
        channels_out: Channels of the result.
        kernel: Its rows and columns.
        stride: Positions of the map below for one of the result.
        border: What it sees beyond the edge.
        bias: Whether a number is added to each channel.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: int = 1,
        border: Border,
        bias: bool = True,
    ) -> None:
        super().__init__(
            channels_in,
            channels_out,
            kernel,
            stride,
            padding=0 if border == "valid" else kernel // 2,
            padding_mode="zeros" if border == "valid" else border,
            bias=bias,
        )

    def reset_parameters(self) -> None:
        """Draws nothing: torch would draw from the global generator."""


class ResizeConvolution(Convolution):
    """Each position four times, then a convolution: no checkerboard (Odena et al. 2016)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """``(B, C_in, H, W)`` to ``(B, C_out, 2H, 2W)``."""
        return super().forward(functional.interpolate(input, scale_factor=2, mode="nearest"))


class FractionalConvolution(nn.ConvTranspose2d):
    """A 3x3 convolution with stride 1/2, which doubles a map; zeros beyond the edge.

    Args:
        channels_in: Channels of the map below.
        channels_out: Channels of the result.
        bias: Whether a number is added to each channel.
    """

    def __init__(self, channels_in: int, channels_out: int, *, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1, bias=bias)

    def reset_parameters(self) -> None:
        """Draws nothing: torch would draw from the global generator."""


class Block(nn.Module):
    """A convolution, a norm, and a rectifier where asked for.

    Args:
        conv: The convolution.
        norm: Takes the features and what else a :data:`Row` has.
        rectify: Whether what is below 0 is 0.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module, *, rectify: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.rectify = rectify

    def forward(self, features: Tensor, *row: Tensor) -> Tensor:
        """``(B, C_in, H, W)`` to ``(B, C_out, h, w)``."""
        normed: Tensor = self.norm(self.conv(features), *row)
        return functional.relu(normed, inplace=True) if self.rectify else normed


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to what came, and not rectified (Gross and Wilber 2016).

    Args:
        channels: Feature maps.
        border: What the convolutions see beyond the edge; where nothing, two positions less come out on each
            side, and what came is cut to that.
        norm: Makes a norm of so many channels.
        bias: Whether the convolutions add a number to each channel.
    """

    def __init__(
        self, channels: int, *, border: Border, norm: Callable[[int], nn.Module], bias: bool = True
    ) -> None:
        super().__init__()
        self.first = Block(Convolution(channels, channels, 3, border=border, bias=bias), norm(channels))
        self.second = Block(
            Convolution(channels, channels, 3, border=border, bias=bias), norm(channels), rectify=False
        )
        self.shaved = SHAVED if border == "valid" else 0

    def forward(self, features: Tensor, first: Row = (), second: Row = ()) -> Tensor:
        """``(B, C, H, W)`` to the same, or to ``(B, C, H - 4, W - 4)``."""
        height, width = features.shape[2:]
        kept = slice(self.shaved, height - self.shaved), slice(self.shaved, width - self.shaved)
        change: Tensor = self.second(self.first(features, *first), *second)
        return features[:, :, *kept] + change


class TransformationNetwork(nn.Module):
    """The image transformation network (Johnson et al. 2016, supplement, table 1), from pixels to pixels.

    Args:
        width: Channels of the first convolution; the next ones have twice and four times as many.
        border: What the convolutions see beyond the edge, but those of the residual blocks.
        residual_border: What those see.
        upsampling: How the size is doubled.
        norm: Makes a norm of so many channels.
        last_norm: The last convolution's.
        bias: Whether the convolutions add a number to each channel.
    """

    def __init__(
        self,
        width: int,
        *,
        border: Border,
        residual_border: Border,
        upsampling: Upsampling,
        norm: Callable[[int], nn.Module],
        last_norm: nn.Module,
        bias: bool = True,
    ) -> None:
        super().__init__()

        def down(channels_in: int, channels_out: int, kernel: int, stride: int) -> Block:
            conv = Convolution(channels_in, channels_out, kernel, stride=stride, border=border, bias=bias)
            return Block(conv, norm(channels_out))

        def up(channels_in: int, channels_out: int) -> Block:
            conv: nn.Module
            if upsampling == "transposed":
                conv = FractionalConvolution(channels_in, channels_out, bias=bias)
            else:
                conv = ResizeConvolution(channels_in, channels_out, 3, border=border, bias=bias)
            return Block(conv, norm(channels_out))

        half, quarter = 2 * width, 4 * width
        self.down = nn.ModuleList([down(3, width, 9, 1), down(width, half, 3, 2), down(half, quarter, 3, 2)])
        self.residual = nn.ModuleList(
            ResidualBlock(quarter, border=residual_border, norm=norm, bias=bias) for _ in range(5)
        )
        self.up = nn.ModuleList([up(quarter, half), up(half, width)])
        last = Convolution(width, 3, 9, border=border, bias=bias)
        self.last = Block(last, last_norm, rectify=False)

    def forward(self, pixels: Tensor, rows: Iterable[Row] = repeat(())) -> Tensor:
        """A changed picture, of the same size where the residual blocks are padded, else 80 pixels less.

        Args:
            pixels: ``(B, 3, H, W)``, H and W multiples of 4, in whatever range the weights were trained on.
            rows: What each norm is given besides, from the input up: 15, or 16 with one at the end.
        """
        rows = iter(rows)
        features = pixels
        for block in self.down:
            features = block(features, *next(rows))
        for block in self.residual:
            features = block(features, next(rows), next(rows))
        for block in self.up:
            features = block(features, *next(rows))
        changed: Tensor = self.last(features, *next(rows))
        return changed


def mirrored_around(pictures: Tensor, *, margin: int) -> Tensor:
    """Pictures in a frame that mirrors them, of a size that halves twice.

    A picture smaller than the frame is mirrored again and again; one pixel is repeated.

    Args:
        pictures: ``(B, C, H, W)``.
        margin: Width of the frame, in pixels; at the right and at the bottom, as much more as is missing
            to a multiple of 4 and to 8.

    Returns:
        ``(B, C, h, w)``, in the memory format of ``pictures``.
    """
    height, width = pictures.shape[2:]
    bottom, right = margin + _missing(height), margin + _missing(width)
    if bottom < height and right < width:
        return functional.pad(pictures, (margin, right, margin, bottom), mode="reflect")
    rows = mirrored_positions(height, margin, bottom, device=pictures.device)
    columns = mirrored_positions(width, margin, right, device=pictures.device)
    framed = pictures.index_select(2, rows).index_select(3, columns)
    if pictures.is_contiguous(memory_format=torch.channels_last):
        return framed.contiguous(memory_format=torch.channels_last)
    return framed


def _missing(size: int) -> int:
    """Pixels to the next multiple of 4, or to 8."""
    return -size % STRIDE if size > STRIDE else _SMALLEST - size


def mirrored_positions(size: int, before: int, after: int, *, device: torch.device) -> Tensor:
    """Indices into ``size`` positions, up and down again: 0 1 2 1 0 1 2 ..

    Args:
        size: Positions of an axis.
        before: Indices that stand before the first.
        after: Indices that follow the last.
        device: Where they are to be.
    """
    last = size - 1
    positions = torch.arange(-before, size + after, device=device)
    return last - (positions.remainder(max(2 * last, 1)) - last).abs()


def draw_as_torch7(network: nn.Module, rng: torch.Generator, *, norms: bool = True) -> None:
    """Draws the weights as Torch 7 did: uniform up to one over the root of the fan-in, biases too.

    Args:
        network: Whose convolutions, transposed ones too, are drawn.
        rng: Draws them, on the CPU.
        norms: Whether the scales of norms are drawn too, between 0 and 1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            bound = (module.in_channels * module.weight[0, 0].numel()) ** -0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=rng)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)
        elif norms and isinstance(module, InstanceNorm | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, generator=rng)


def faded(photographs: Tensor, stylizations: Tensor, alpha: float) -> Tensor:
    """From the photographs, ``alpha`` 0, in a straight line to their stylizations, 1: both to the bit.

    Args:
        photographs: ``(B, 3, H, W)``.
        stylizations: The same, or larger at the right and at the bottom, which is cut off.
        alpha: From 0 to 1.
    """
    height, width = photographs.shape[2:]
    # A padding of less than nothing: a slice of a size that is not known yet cannot be exported.
    beyond = (0, width - stylizations.shape[3], 0, height - stylizations.shape[2])
    cut = functional.pad(stylizations, beyond).to(photographs.dtype)
    return cut if alpha == 1 else photographs.lerp(cut, alpha)
