"""What a stack of windows, convolutions and pools, makes of a picture's edge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from velatura.backbones.base import LayerShape, Pool

__all__ = ["Window", "layer_shape", "windows_of"]


@dataclass(frozen=True, kw_only=True)
class Window:
    """One convolution or pooling along one edge.

    Args:
        size: Edge of the window.
        stride: Step of the window.
        padding: Positions added at each end.
        ceil_mode: Whether a window that hangs over the end counts.
        least: Shortest edge that it takes at all.
    """

    size: int
    stride: int
    padding: int
    ceil_mode: bool = False
    least: int = 1

    def smallest_input(self, needed: int) -> int:
        """Shortest edge from which ``needed`` positions come out."""
        if self.ceil_mode:
            # The last window need only begin inside.
            edge = (needed - 2) * self.stride + self.size + 1
        else:
            edge = (needed - 1) * self.stride + self.size
        return max(edge - 2 * self.padding, self.least)


def windows_of(modules: Iterable[nn.Module]) -> list[Window]:
    """The windows of the convolutions and pools among ``modules``, in order."""
    return [_window(module) for module in modules if isinstance(module, nn.Conv2d | Pool)]


def _window(module: nn.Conv2d | Pool) -> Window:
    if isinstance(module, Pool):
        return Window(
            size=module.size, stride=module.stride, padding=module.padding, ceil_mode=module.ceil_mode
        )
    assert isinstance(module.padding, tuple)
    padding = module.padding[0]
    # An edge of n has n - 1 positions to reflect.
    least = padding + 1 if module.padding_mode == "reflect" else 1
    return Window(size=module.kernel_size[0], stride=module.stride[0], padding=padding, least=least)


def layer_shape(channels: int, windows: Sequence[Window]) -> LayerShape:
    """Stride, receptive field, padding and smallest input of a layer.

    Args:
        channels: The layer's width.
        windows: Everything between the picture and the layer, from the picture up.
    """
    stride, field, smallest, padding = 1, 1, 1, 0
    for window in windows:
        padding += window.padding * stride
        field += (window.size - 1) * stride
        stride *= window.stride
    for window in reversed(windows):
        smallest = window.smallest_input(smallest)
    return LayerShape(
        channels=channels,
        stride=stride,
        receptive_field=field,
        smallest_input=max(smallest, stride),
        padding=padding,
    )
