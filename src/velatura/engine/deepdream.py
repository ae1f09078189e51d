"""DeepDream: a picture changed until a layer sees more of what it sees in it already."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from velatura.backbones import Backbone, BackboneConfig
from velatura.core.config import Setting
from velatura.core.errors import ConfigError, VelaturaError
from velatura.core.progress import OnProgress, Progress, never, silent
from velatura.core.rng import generator
from velatura.engine.outcome import Outcome
from velatura.engine.precision import Precision, laid_out
from velatura.engine.pyramid import Scale, work_done
from velatura.ops.resize import resize

__all__ = ["DeepDream", "Dreamer", "octave_sizes"]


@dataclass(frozen=True, kw_only=True)
class DeepDream:
    """What a dream is made of.

    The defaults are those of the authors' notebook (Mordvintsev, Olah and Tyka 2015, *Inceptionism: going
    deeper into neural networks*; google/deepdream).
    """

    backbone: Annotated[BackboneConfig, Setting("Network that dreams")] = field(
        default_factory=BackboneConfig
    )
    layer: Annotated[str, Setting("Layer whose activations grow")]
    channel: Annotated[
        int | None, Ge(0), Setting("One channel, whose mean grows; unset: the mean square of all")
    ] = None
    steps: Annotated[int, Ge(0), Setting("Steps at each octave")] = 10
    step_size: Annotated[
        float, Gt(0), Setting("Length of a step, once the gradient is normalized", unit="of the pixel range")
    ] = 1.5 / 255
    normalize: Annotated[
        Literal["mean_abs", "std", "none"],
        Setting(
            "What the gradient is divided by: its mean absolute value, its standard deviation "
            "(as TensorFlow's tutorial), or nothing"
        ),
    ] = "mean_abs"
    jitter: Annotated[
        int, Ge(0), Setting("Each step sees the picture shifted by up to this much", unit="pixels")
    ] = 32
    octaves: Annotated[int, Interval(ge=1, le=16), Setting("Sizes from small to large")] = 4
    octave_scale: Annotated[float, Gt(1), Setting("Each octave is this much larger than the last")] = 1.4


def octave_sizes(size: tuple[int, int], *, octaves: int, scale: float) -> list[tuple[int, int]]:
    """Height and width of each octave, small to large; the last is ``size``."""
    height, width = size
    factors = [scale**-power for power in reversed(range(octaves))]
    return [(max(1, round(height * factor)), max(1, round(width * factor))) for factor in factors]


class Dreamer:
    r"""Gradient ascent on one layer, octave by octave.

    .. math:: x \leftarrow x + \eta \, \frac{g}{\overline{|g|}}, \quad
        g = \nabla_x \tfrac{1}{2} \overline{\phi(x)^2}

    What the smaller octaves have added is enlarged and laid over the photograph of the next. The authors
    zoom linearly; here pictures are resampled as everywhere.

    Args:
        settings: What the dream is made of.
        backbone: The network that ``settings.backbone`` names, on the device to compute on.
        precision: What it computes in.
        seed: Seed of the shifts.

    Raises:
        ConfigError: The architecture has no such layer, or the layer no such channel.
        WeightsError: The weights file ends below the layer.
    """

    def __init__(self, settings: DeepDream, backbone: Backbone, *, precision: Precision, seed: int = 0):
        self.settings, self.precision = settings, precision
        self.backbone = laid_out(backbone, precision.memory_format)
        backbone.check_layers([settings.layer])
        channels = backbone.shapes[settings.layer].channels
        if settings.channel is not None and settings.channel >= channels:
            raise ConfigError(
                f"layer {settings.layer!r} has {channels} channels, counted from 0; there is no channel "
                f"{settings.channel}"
            )
        self.device = next(backbone.buffers()).device
        self._random = generator(seed, "jitter")

    def __call__(
        self,
        image: Tensor,
        *,
        size: tuple[int, int],
        on_progress: OnProgress = silent,
        cancelled: Callable[[], bool] = never,
    ) -> Outcome:
        """Dreams of ``image``.

        Args:
            image: The photograph, ``(3, H, W)`` in [0, 1].
            size: Height and width of the result, in pixels.
            on_progress: Told of every step; its loss is what grows.
            cancelled: Asked before every step.

        Returns:
            The picture at ``size``, also where it was cancelled at a smaller octave.

        Raises:
            ConfigError: An octave is too small for the layer.
            VelaturaError: The layer gives no gradient, or one that is not finite.
        """
        settings = self.settings
        sizes = octave_sizes(size, octaves=settings.octaves, scale=settings.octave_scale)
        scales = [Scale(at, settings.steps) for at in sizes]
        self._check_smallest(sizes[0])
        whole = image[None].to(self.device)
        added = whole.new_zeros(1, 3, *sizes[0])
        history: list[dict[str, Any]] = []
        for octave, at in enumerate(sizes, start=1):
            ground = resize(whole, at).clamp(0, 1)
            canvas = (ground + resize(added, at)).clamp(0, 1)
            for step in range(1, settings.steps + 1):
                if cancelled():
                    return _outcome(whole, canvas - ground, size, history, interrupted=True)
                canvas, grown = self._step(canvas)
                where = {"scale": octave, "step": step, "size": list(at)}
                history.append({**where, "loss": grown, "terms": {}})
                on_progress(self._progress(scales, octave, step, grown, canvas))
            added = canvas - ground
        return _outcome(whole, added, size, history, interrupted=False)

    def _check_smallest(self, size: tuple[int, int]) -> None:
        needed = self.backbone.smallest_input([self.settings.layer])
        if min(size) < needed:
            raise ConfigError(
                f"the smallest of {self.settings.octaves} octaves is {size[1]}x{size[0]} pixels, and layer "
                f"{self.settings.layer!r} needs {needed}x{needed}; choose a larger size or fewer octaves"
            )

    def _step(self, canvas: Tensor) -> tuple[Tensor, float]:
        """The canvas after one step, and the activation before it."""
        jitter = self.settings.jitter
        rows, columns = torch.randint(-jitter, jitter + 1, (2,), generator=self._random).tolist()
        shifted = torch.roll(canvas, (rows, columns), dims=(2, 3))
        shifted = shifted.contiguous(memory_format=self.precision.memory_format).requires_grad_()
        with torch.enable_grad(), self.precision.autocast(self.device):
            activation = self._activation(shifted)
        (gradient,) = torch.autograd.grad(activation, shifted)
        length = self._length_of(gradient)
        with torch.no_grad():
            moved = shifted.detach() + self.settings.step_size * gradient / length
            return torch.roll(moved, (-rows, -columns), dims=(2, 3)).clamp(0, 1), float(activation.detach())

    def _activation(self, picture: Tensor) -> Tensor:
        features: Tensor = self.backbone(picture, [self.settings.layer])[self.settings.layer].float()
        channel = self.settings.channel
        return features.square().mean() / 2 if channel is None else features[:, channel].mean()

    def _length_of(self, gradient: Tensor) -> float:
        mean = float(gradient.abs().mean())
        what = f"layer {self.settings.layer!r}" + (
            "" if self.settings.channel is None else f", channel {self.settings.channel},"
        )
        if not math.isfinite(mean):
            raise VelaturaError(f"{what} has a gradient that is not finite; the weights are broken")
        if mean == 0:
            raise VelaturaError(
                f"{what} is silent in this picture: there is nothing to make more of; choose another"
            )
        match self.settings.normalize:
            case "mean_abs":
                return mean
            case "std":
                return float(gradient.std())
        return 1.0

    def _progress(
        self, scales: Sequence[Scale], octave: int, step: int, grown: float, canvas: Tensor
    ) -> Progress:
        settings = self.settings
        return Progress(
            step=(octave - 1) * settings.steps + step,
            steps=settings.octaves * settings.steps,
            work=work_done(scales, octave - 1, step),
            scale=octave,
            scales=settings.octaves,
            size=scales[octave - 1].size,
            loss=grown,
            picture=lambda: canvas[0].cpu(),
        )


def _outcome(
    whole: Tensor, added: Tensor, size: tuple[int, int], history: list[dict[str, Any]], *, interrupted: bool
) -> Outcome:
    """The photograph ``(1, 3, H, W)`` at ``size``, with what was added to it so far laid over."""
    pixels = (resize(whole, size).clamp(0, 1) + resize(added, size)).clamp(0, 1)
    return Outcome(pixels=pixels[0].cpu().contiguous(), history=history, interrupted=interrupted)
