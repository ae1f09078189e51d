"""The convolution that most of a network is made of: 3x3, stride 1, one row and column beyond each edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from velatura.backbones.base import Padding
from velatura.ops.convolution import FrozenKernel, frozen_convolution
from velatura.ops.wrap import Wrap, goes_round, wrapped

__all__ = ["Convolution"]

# Below so many numbers in a map, what a function written in Python costs is more than what it saves.
_SMALLEST = 2**17


class Convolution(nn.Conv2d):
    """A 3x3 convolution that is faster once it is frozen.

    It is a ``torch.nn.Conv2d`` in everything but speed. A large map on a CPU, in channels_last, of a layer of
    which neither weight nor bias asks for a gradient, goes by
    :func:`velatura.ops.convolution.frozen_convolution`. What is prepared follows every change of the
    weight but one that goes behind PyTorch's back (``weight.data.mul_(2)``).

    Args:
        channels_in: Channels of the map below.
        channels_out: Channels of the result.
        padding_mode: What it sees beyond the edge.
        bias: Whether a number is added to each channel.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, padding_mode: Padding, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1, padding_mode=padding_mode, bias=bias)
        self._border = padding_mode
        self.wrap: Wrap = "none"
        """Along which axes it sees the opposite edge beyond an edge."""
        self._prepared: tuple[FrozenKernel, int] | None = None

    def forward(self, input: Tensor, *, rectify: bool = False) -> Tensor:  # noqa: A002 - torch's name
        """``(B, C_in, H, W)`` to ``(B, C_out, H, W)``; with ``rectify``, what is below 0 is 0."""
        if self.wrap == "none":
            return self._convolved(input, rectify=rectify)
        rows, columns = map(int, goes_round(self.wrap))
        # The border that the convolution itself adds lies outside of what is kept.
        out = self._convolved(wrapped(input, rows, columns), rectify=rectify)
        return _without_border(out, rows, columns)

    def _convolved(self, input: Tensor, *, rectify: bool) -> Tensor:  # noqa: A002
        if self._is_frozen() and _suits(input):
            return frozen_convolution(input, self._kernel(), border=self._border, rectify=rectify)
        out = super().forward(input)
        return out.relu_() if rectify else out

    def _is_frozen(self) -> bool:
        return not self.weight.requires_grad and (self.bias is None or not self.bias.requires_grad)

    def _kernel(self) -> FrozenKernel:
        """The prepared kernel, prepared anew where the weight was moved, replaced or written to."""
        version = self.weight._version  # noqa: SLF001 - documented: it counts what is written in place
        if self._prepared is None or self._prepared[1] != version or not self._shares(self._prepared[0]):
            bias = None if self.bias is None else self.bias.detach()
            self._prepared = FrozenKernel(self.weight.detach(), bias), version
        return self._prepared[0]

    def _shares(self, kernel: FrozenKernel) -> bool:
        # A kernel holds the memory it was prepared from: nothing else can have come to lie there.
        return _address(kernel.weight) == _address(self.weight) and _address(kernel.bias) == _address(
            self.bias
        )


def _without_border(maps: Tensor, rows: int, columns: int) -> Tensor:
    height, width = maps.shape[2] - 2 * rows, maps.shape[3] - 2 * columns
    is_last = maps.is_contiguous(memory_format=torch.channels_last)
    kept = maps.narrow(2, rows, height).narrow(3, columns, width)
    return kept.contiguous(memory_format=torch.channels_last if is_last else torch.contiguous_format)


def _suits(features: Tensor) -> bool:
    """Whether the fast way is faster, and gives the layout that is expected of it."""
    return (
        features.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and features.is_contiguous(memory_format=torch.channels_last)
        and features.numel() >= _SMALLEST
    )


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
