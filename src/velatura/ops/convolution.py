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

from velatura.ops.winograd import Border, winograd_convolution, winograd_kernel, winograd_pays

__all__ = ["FrozenKernel", "frozen_convolution"]


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
        return self.weight.detach().contiguous(memory_format=torch.channels_last)

    @cached_property
    def backward(self) -> Tensor:
        """The kernel that takes gradients back, ``(C_in, C_out, 3, 3)``, in channels_last."""
        turned = self.weight.detach().flip(2, 3).transpose(0, 1)
        return turned.contiguous(memory_format=torch.channels_last)

    @cached_property
    def winograd_forward(self) -> Tensor:
        """:attr:`forward` for :func:`winograd_convolution`."""
        return winograd_kernel(self.forward)

    @cached_property
    def winograd_backward(self) -> Tensor:
        """:attr:`backward` for :func:`winograd_convolution`."""
        return winograd_kernel(self.backward)


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
    out: Tensor = _FrozenConvolution.apply(features, kernel, border, rectify)  # type: ignore[no-untyped-call]
    return out


class _FrozenConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel: FrozenKernel, border: Border, rectify: bool) -> Tensor:
        bias = None if kernel.bias is None else kernel.bias.detach()
        if _pays(features, kernel.weight):
            out = winograd_convolution(
                features, kernel.winograd_forward, bias=bias, border=border, rectify=rectify
            ).contiguous(memory_format=torch.channels_last)
        else:
            zeros = border == "zeros"
            padded = features if zeros else functional.pad(features, (1, 1, 1, 1), mode=border)
            out = functional.conv2d(padded, kernel.forward, bias, padding=1 if zeros else 0)
            out = out.relu_() if rectify else out
        ctx.kernel, ctx.border = kernel, border
        ctx.save_for_backward(*([out] if rectify else []))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        kernel, border, active = ctx.kernel, ctx.border, (*ctx.saved_tensors, None)[0]
        margin = 1 if border == "zeros" else 2
        if _pays(gradient, kernel.weight):
            back = winograd_convolution(gradient, kernel.winograd_backward, margin=margin, active=active)
        else:
            if active is not None:
                gradient = torch.ops.aten.threshold_backward(gradient, active, 0)
            back = functional.conv2d(gradient, kernel.backward, padding=margin)
        return back if border == "zeros" else _folded(back, border), None, None, None


def _pays(features: Tensor, weight: Tensor) -> bool:
    return winograd_pays(weight.shape[1], weight.shape[0], features.shape[2], features.shape[3])


def _folded(padded: Tensor, border: Border) -> Tensor:
    """Gradient of the inner map from that of the map with its border: a view without the edge.

    Args:
        padded: ``(B, C, H + 2, W + 2)``, which is changed.
        border: Which inner rows and columns the edge was copied from.
    """
    step = 1 if border == "reflect" else 0
    for axis in (2, 3):
        last = padded.shape[axis] - 1
        padded.select(axis, 1 + step).add_(padded.select(axis, 0))
        padded.select(axis, last - 1 - step).add_(padded.select(axis, last))
    return padded[:, :, 1:-1, 1:-1]
