"""What an optimiser is: settings that build steps of a canvas, whose state follows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from velatura.core.registry import Registry

__all__ = ["CanvasOptimizer", "Closure", "ImageOptimizer", "area_ratio", "optimizers", "resample"]

Closure: TypeAlias = Callable[[], Tensor]
"""Adds the gradient of the loss to ``canvas.grad``, in one backward pass or several, and returns the
loss, a scalar. The gradient is cleared before each call; it may be called several times a step."""


class ImageOptimizer(ABC):
    """Settings of an optimiser: a frozen dataclass, registered under its name."""

    name: ClassVar[str]

    @abstractmethod
    def build(self, canvas: Tensor) -> CanvasOptimizer:
        """An optimiser of ``canvas``, ``(B, C, H, W)``, a leaf that requires its gradient."""

    def remembered(self, steps: int, pixels: int) -> float:  # noqa: ARG002 - of some, it depends on both
        """How many canvases of so many pixels its memory of so many steps takes: two, unless overridden."""
        return 2

    @property
    def worked_on(self) -> int:
        """How many canvases more it takes while it makes a step, beside canvas and gradient: likewise."""
        return 2


class CanvasOptimizer(ABC):
    """Steps of one canvas.

    A subclass moves the canvas and keeps what it remembers wherever it likes; here is what all of
    them promise: the memory follows the canvas to another size, is saved, and is restored to the bit.

    Args:
        canvas: Pixels to move, ``(B, C, H, W)``, floating point, a leaf that requires its gradient.
            Either memory format.
        step_size: The learning rate.

    Raises:
        ValueError: ``canvas`` is something else.
    """

    _entries: ClassVar[tuple[str, ...]]
    """What :meth:`_memory` holds once a step was made; beside it there may be more of :attr:`_pixels`."""
    _pixels: ClassVar[frozenset[str]]
    """What has the canvas's shape in its last four dimensions. Of several, each is ``name.NUMBER``."""

    def __init__(self, canvas: Tensor, *, step_size: float) -> None:
        self._canvas = _checked(canvas)
        self._step_size = step_size
        self._forget()

    @abstractmethod
    def _move(self, evaluate: Callable[[], Tensor]) -> Tensor:
        """Moves the canvas once, outside of autograd, and returns the loss before.

        Args:
            evaluate: Leaves the gradient at the canvas in ``canvas.grad`` and returns the loss.
        """

    @abstractmethod
    def _forget(self) -> None:
        """Is as before the first step, for the canvas as it is."""

    @abstractmethod
    def _memory(self) -> dict[str, Tensor]:
        """What is remembered of earlier steps; empty before the first."""

    @abstractmethod
    def _remember(self, memory: dict[str, Tensor]) -> None:
        """Takes up a memory of this canvas's shape, on its device; the tensors may be kept and taken out."""

    @abstractmethod
    def _resized(self, memory: dict[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        """A memory, not empty, for a canvas of another height and width; empty if nothing is left.

        Entries of ``memory`` may be taken out once they are used.
        """

    @property
    def step_size(self) -> float:
        """The learning rate, lowered by every :meth:`shrink`."""
        return self._step_size

    def step(self, closure: Closure) -> float:
        """Moves the canvas once.

        Args:
            closure: See :data:`Closure`.

        Returns:
            The loss before the step. It and the canvas may be not finite: see :meth:`shrink`.
        """

        def evaluate() -> Tensor:
            self._canvas.grad = None
            with torch.enable_grad():
                return closure().detach()

        with torch.no_grad():
            return float(self._move(evaluate))

    def rescale(self, canvas: Tensor) -> None:
        """Goes on with another canvas: the same picture at another size.

        What was remembered is resampled to it. A loss that is a mean over positions has gradients
        that shrink as the area of a pixel, so remembered gradients are scaled by the ratio of the
        pixel counts. A loss that is a sum over positions is better served by a fresh optimiser.

        Args:
            canvas: As for the constructor, with the same batch and channels.

        Raises:
            ValueError: ``canvas`` is no canvas, or has another batch or number of channels.
        """
        if canvas.shape[:2] != self._canvas.shape[:2]:
            raise ValueError(
                f"the canvas was {tuple(self._canvas.shape)} and is now {tuple(canvas.shape)}; "
                "only its height and width may change"
            )
        memory = self._memory()
        # Nothing else holds the old memory, so that each entry can go when its new one is there.
        self._canvas = _checked(canvas)
        self._forget()
        if memory:
            self._take_up(self._resized(memory, (canvas.shape[2], canvas.shape[3])))

    def shrink(self, factor: float) -> None:
        """Lowers the step size and forgets everything else, after a step to where nothing is finite.

        Args:
            factor: What the step size is multiplied by.

        Raises:
            ValueError: ``factor`` is not between 0 and 1.
        """
        if not 0 < factor < 1:
            raise ValueError(f"factor must be above 0 and below 1, not {factor}")
        self._step_size *= factor
        self._forget()

    def state(self) -> dict[str, Tensor]:
        """Everything but the pixels that the next step depends on, as copies."""
        step_size = torch.tensor(self._step_size, dtype=torch.float64)
        return {"step_size": step_size, **{key: value.clone() for key, value in self._memory().items()}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes up a :meth:`state`; the next step is then equal to the bit.

        Raises:
            ValueError: The state is of another optimiser, or of a canvas of another shape.
        """
        memory = {
            key: value.to(self._canvas.device, copy=True)
            for key, value in state.items()
            if key != "step_size"
        }
        kinds = {key.partition(".")[0] for key in memory}
        fits = set(self._entries) <= kinds <= set(self._entries) | self._pixels
        if "step_size" not in state or (memory and not fits):
            raise ValueError(
                f"the state holds {', '.join(sorted(state)) or 'nothing'}, not step_size"
                f" and {', '.join(self._entries)}: it is of another optimiser"
            )
        for key, value in memory.items():
            if key.partition(".")[0] in self._pixels and value.shape[-4:] != self._canvas.shape:
                raise ValueError(
                    f"the state's {key} is {tuple(value.shape)} and the canvas is "
                    f"{tuple(self._canvas.shape)}; restore it to a canvas of the same shape"
                )
        self._step_size = float(state["step_size"])
        self._take_up(memory)

    def _take_up(self, memory: dict[str, Tensor]) -> None:
        self._forget()
        if memory:
            self._remember(memory)


def _checked(canvas: Tensor) -> Tensor:
    if not (canvas.dim() == 4 and canvas.is_floating_point() and canvas.is_leaf and canvas.requires_grad):
        raise ValueError(
            "a canvas is (B, C, H, W), floating point, a leaf that requires its gradient; this one is "
            f"{tuple(canvas.shape)}, {canvas.dtype}, leaf: {canvas.is_leaf}, "
            f"requires its gradient: {canvas.requires_grad}"
        )
    return canvas


def area_ratio(image: Tensor, size: tuple[int, int]) -> float:
    """Area of a pixel at height and width ``size`` over that of a pixel of ``image``."""
    return image.shape[-2:].numel() / (size[0] * size[1])


def resample(images: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """``(B, C, H, W)`` at another height and width, low-passed where it gets smaller."""
    return functional.interpolate(images, size, mode=mode, align_corners=False, antialias=True)


optimizers: Registry[type[ImageOptimizer]] = Registry("optimizer", home="velatura.optimizers")
