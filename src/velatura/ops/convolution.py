"""Convolution by 3x3 kernels that do not change: no gradients but that of the features.

A frozen kernel can be prepared once; its gradient is a convolution too, by the kernel turned by half a turn;
and nothing of the input has to be kept for it. Torch's own function can do none of this, since it does
not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from velatura.ops.edges import Border, convolve_border, fold_border, outermost
from velatura.ops.rectifier import below_rectifier, masked, rectified
from velatura.ops.winograd import winograd_convolution, winograd_kernel, winograd_pays

__all__ = ["FrozenKernel", "frozen_convolution"]

# A processor multiplies so many channels at once, however few there are: the three of a picture take as long
# as those of four neighbouring pixels.
_LANES = 16
_TOGETHER = 4


@dataclass(frozen=True)
class FrozenKernel:
    """A 3x3 kernel and what is prepared of it, each on first use.

    Args:
        weight: ``(C_out, C_in, 3, 3)``, on a CPU, float32 or float64.
        bias: ``(C_out,)``, or none.
    """

    weight: Tensor
    bias: Tensor | None

    @cached_property
    def forward(self) -> Tensor:
        """The kernel, ``(C_out, C_in, 3, 3)``, in channels_last."""
        return _laid_out(self.weight.detach())

    @cached_property
    def backward(self) -> Tensor:
        """The kernel that takes gradients back, ``(C_in, C_out, 3, 3)``, in channels_last."""
        return _laid_out(self.weight.detach().flip(2, 3).transpose(0, 1))

    @cached_property
    def backward_together(self) -> Tensor:
        """:attr:`backward` for four neighbours of a row at once, ``(4 C_in, C_out, 3, 4 + 2)``."""
        channels_in, channels_out = self.backward.shape[:2]
        together = self.weight.new_zeros(_TOGETHER, channels_in, channels_out, 3, _TOGETHER + 2)
        for place, own in enumerate(together):
            own[..., place : place + 3] = self.backward
        return _laid_out(together.flatten(0, 1))

    @cached_property
    def forward_at_edges(self) -> tuple[Tensor, ...]:
        """The parts of :attr:`forward` that see a border: above, below, left, right."""
        return tuple(_laid_out(part) for part in outermost(self.forward))

    @cached_property
    def backward_at_edges(self) -> tuple[Tensor, ...]:
        """The same parts of :attr:`backward`: the turn swaps them."""
        bottom, top, right, left = (_laid_out(part) for part in outermost(self.backward))
        return top, bottom, left, right

    @cached_property
    def winograd_forward(self) -> Tensor:
        """:attr:`forward` for :func:`winograd_convolution`."""
        return winograd_kernel(self.forward)

    @cached_property
    def winograd_backward(self) -> Tensor:
        """:attr:`backward` for :func:`winograd_convolution`."""
        return winograd_kernel(self.backward)


def _laid_out(kernel: Tensor) -> Tensor:
    return kernel.contiguous(memory_format=torch.channels_last)


def frozen_convolution(
    features: Tensor, kernel: FrozenKernel, *, border: Border = "zeros", rectify: bool = False
) -> Tensor:
    """Convolution with one row and column beyond each edge, and a rectifier if asked for.

    The result is that of ``torch.nn.Conv2d`` to rounding. It can be differentiated once.

    Args:
        features: ``(B, C_in, H, W)``, of the kernel's type and device.
        kernel: The kernel, prepared.
        border: What the convolution sees beyond the edge.
        rectify: Set what is below 0 to 0.

    Returns:
        ``(B, C_out, H, W)``, in channels_last.
    """
    below = below_rectifier(features)
    out: Tensor = _FrozenConvolution.apply(  # type: ignore[no-untyped-call]
        features if below is None else below, kernel, border, rectify, below is not None
    )
    return rectified(out) if rectify else out


class _FrozenConvolution(torch.autograd.Function):
    """The rectifier above comes into the result, the gradient of the one below into the gradient."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, kernel: FrozenKernel, border: Border, rectify: bool, is_rectified: bool
    ) -> Tensor:
        ctx.kernel, ctx.border = kernel, border
        ctx.save_for_backward(*([features.detach()] if is_rectified else []))
        return _convolved(features, kernel, border, rectify=rectify)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        active: Tensor | None = (*ctx.saved_tensors, None)[0]
        return _taken_back(gradient, ctx.kernel, ctx.border, active), None, None, None, None


def _convolved(features: Tensor, kernel: FrozenKernel, border: Border, *, rectify: bool) -> Tensor:
    bias = None if kernel.bias is None else kernel.bias.detach()
    if _pays(features, kernel.weight):
        return winograd_convolution(
            features, kernel.winograd_forward, bias=bias, border=border, rectify=rectify
        ).contiguous(memory_format=torch.channels_last)
    out = functional.conv2d(features, kernel.forward, bias, padding=1)
    if border != "zeros":
        convolve_border(out, features, kernel.forward_at_edges, border)
    return out.relu_() if rectify else out


def _taken_back(gradient: Tensor, kernel: FrozenKernel, border: Border, active: Tensor | None) -> Tensor:
    """Gradient of the features, ``(B, C_in, H, W)``, which counts where they are active."""
    winograd = _pays(gradient, kernel.weight)
    if winograd:
        back = winograd_convolution(gradient, kernel.winograd_backward, active=active)
    else:
        back = _convolved_back(gradient, kernel)
    if border != "zeros":
        fold_border(back, outermost(gradient), kernel.backward_at_edges, border, active=active)
    return back if active is None or winograd else masked(back, active, out=back)


def _convolved_back(gradient: Tensor, kernel: FrozenKernel) -> Tensor:
    """The gradient's convolution by the turned kernel, with a border of zeros, ``(B, C_in, H, W)``."""
    channels = kernel.weight.shape[1]
    if channels * _TOGETHER > _LANES:
        return functional.conv2d(gradient, kernel.backward, padding=1)
    batch, _, height, width = gradient.shape
    # The border is the same on both sides: where the width is no multiple, a whole group lies before the map.
    before = 0 if width % _TOGETHER == 0 else _TOGETHER
    groups = functional.conv2d(
        gradient, kernel.backward_together, padding=(1, 1 + before), stride=(1, _TOGETHER)
    )
    places = groups.permute(0, 2, 3, 1).reshape(batch, height, -1, channels)
    return places[:, :, before : before + width].permute(0, 3, 1, 2)


def _pays(features: Tensor, weight: Tensor) -> bool:
    return winograd_pays(weight.shape[1], weight.shape[0], features.shape[2], features.shape[3])
