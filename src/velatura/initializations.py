"""Initialisations: the canvas before the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.registry import Registry
from velatura.ops.moments import covariance, raw_moments
from velatura.ops.recoloring import match_moments
from velatura.ops.resize import fit, resize, same_aspect
from velatura.ops.sqrtm import matrix_sqrt

__all__ = [
    "Content",
    "Gaussian",
    "Grey",
    "Initialization",
    "Patches",
    "Picture",
    "Recolored",
    "Sources",
    "StyleStatistics",
    "Uniform",
    "initializations",
]

_Share: TypeAlias = Annotated[float, Interval(ge=0, le=1)]
_Color: TypeAlias = tuple[float, float, float]

# What networks subtract: the mean of ImageNet; of 255, it is (123.68, 116.28, 103.53).
_MEAN_PIXEL: _Color = (0.485, 0.456, 0.406)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a canvas can be drawn from.

    Args:
        content: The photograph at the canvas's size, ``(B, 3, H, W)`` in [0, 1].
        styles: The paintings, each ``(1, 3, h, w)`` in [0, 1].
        blend: Weight of each painting; they sum to 1.
        strength: How much the style counts beside the content: 0 is not at all, 1 as usual.
        picture: A picture to start from, ``(1, 3, h, w)`` in [0, 1].
        generator: Where random numbers come from.
    """

    content: Tensor
    styles: Sequence[Tensor]
    blend: Sequence[float]
    strength: float
    picture: Tensor | None
    generator: torch.Generator

    def colors(self, initialization: str) -> tuple[Tensor, Tensor]:
        """Mean ``(1, 3)`` and covariance ``(1, 3, 3)`` of the paintings' colours, blended as raw moments.

        Args:
            initialization: Whoever asks, for the message.

        Raises:
            ConfigError: There is no painting.
        """
        if not self.styles:
            raise ConfigError(f"initialization {initialization!r} needs a painting, and none was given")
        means, seconds = zip(*(raw_moments(style.to(self.content)) for style in self.styles), strict=True)
        blend = self.content.new_tensor(self.blend)
        mean = (blend[:, None] * torch.cat(means)).sum(dim=0, keepdim=True)
        second = (blend[:, None, None] * torch.cat(seconds)).sum(dim=0, keepdim=True)
        return mean, covariance(mean, second)

    def random(self, distribution: Callable[..., Tensor]) -> Tensor:
        """Numbers in the shape, type and place of ``content``, drawn where the generator lives.

        Args:
            distribution: ``torch.rand`` or ``torch.randn``.
        """
        numbers = distribution(
            self.content.shape,
            generator=self.generator,
            dtype=self.content.dtype,
            device=self.generator.device,
        )
        return numbers.to(self.content.device)


class Initialization(ABC):
    """Where the canvas starts: a frozen dataclass, registered under its name."""

    name: ClassVar[str]

    @property
    def is_random(self) -> bool:
        """Whether another seed draws another canvas."""
        return True

    def draw(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        generator: torch.Generator,
        *,
        blend: Sequence[float] | None = None,
        strength: float = 1.0,
        picture: Tensor | None = None,
    ) -> Tensor:
        """The canvas before the first step.

        Args:
            content: The photograph at the canvas's size, ``(B, 3, H, W)`` in [0, 1].
            styles: The paintings, each ``(1, 3, h, w)`` in [0, 1].
            generator: Where random numbers come from; one seed gives one canvas.
            blend: Weight of each painting, summing to 1; None: all the same.
            strength: How much the style counts beside the content: 0 is not at all, 1 as usual.
            picture: A picture to start from, ``(1, 3, h, w)`` in [0, 1].

        Returns:
            A new tensor in the shape, type and place of ``content``. Noise may leave [0, 1].

        Raises:
            ConfigError: The initialisation needs a picture that was not given.
        """
        weights = blend if blend is not None else [1 / max(1, len(styles))] * len(styles)
        return self.draw_from(
            Sources(
                content=content,
                styles=styles,
                blend=weights,
                strength=strength,
                picture=picture,
                generator=generator,
            )
        )

    @abstractmethod
    def draw_from(self, sources: Sources) -> Tensor:
        """The canvas, a new tensor: what :meth:`draw` returns."""


initializations: Registry[type[Initialization]] = Registry("initialization", home="velatura.initializations")


@initializations.register("content")
@dataclass(frozen=True, kw_only=True)
class Content(Initialization):
    """The photograph, with white noise mixed in if asked (0.7 in the notebooks of Guillaumin 2017)."""

    noise: Annotated[_Share, Setting("Share of uniform noise; 0 is the photograph, 1 noise alone")] = 0.0

    @property
    def is_random(self) -> bool:
        """Where there is noise."""
        return self.noise > 0

    def draw_from(self, sources: Sources) -> Tensor:
        """The photograph, or its mixture with noise."""
        if not self.is_random:
            return sources.content.clone()
        return torch.lerp(sources.content, sources.random(torch.rand), self.noise)


@initializations.register("uniform")
@dataclass(frozen=True, kw_only=True)
class Uniform(Initialization):
    """White noise, every value equally likely (Gatys et al. 2016)."""

    low: Annotated[_Share, Setting("Least value", unit="of the pixel range [0, 1]")] = 0.0
    high: Annotated[_Share, Setting("Largest value", unit="of the pixel range [0, 1]")] = 1.0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"uniform: low {self.low} is above high {self.high}; exchange them")

    @property
    def is_random(self) -> bool:
        """Where the range is one."""
        return self.low < self.high

    def draw_from(self, sources: Sources) -> Tensor:
        """Uniform noise."""
        return sources.random(torch.rand) * (self.high - self.low) + self.low


@initializations.register("gaussian")
@dataclass(frozen=True, kw_only=True)
class Gaussian(Initialization):
    """Gaussian noise around the mean pixel, not clamped.

    Published deviations, as parts of the pixel range: neural-style draws N(0, 1) * 1e-3 in [0, 255],
    which is 0.001 / 255 = 3.9e-6; gordicaleksa N(0, 90) in [0, 255], which is 90 / 255 = 0.353.
    """

    mean: Annotated[
        tuple[_Share, _Share, _Share],
        Setting("Mean red, green and blue; the default is ImageNet's", unit="of the pixel range [0, 1]"),
    ] = _MEAN_PIXEL
    std: Annotated[float, Ge(0), Setting("Standard deviation", unit="of the pixel range [0, 1]")] = 0.25

    @property
    def is_random(self) -> bool:
        """Where there is a deviation."""
        return self.std > 0

    def draw_from(self, sources: Sources) -> Tensor:
        """Gaussian noise."""
        return sources.random(torch.randn) * self.std + _color(self.mean, sources.content)


@initializations.register("grey")
@dataclass(frozen=True, kw_only=True)
class Grey(Initialization):
    """One grey everywhere: nothing is drawn before the losses draw it."""

    level: Annotated[_Share, Setting("Brightness", unit="of the pixel range [0, 1]")] = 0.5
    is_random = False

    def draw_from(self, sources: Sources) -> Tensor:
        """The grey."""
        return torch.full_like(sources.content, self.level)


@initializations.register("recolored")
@dataclass(frozen=True, kw_only=True)
class Recolored(Initialization):
    """The photograph in the painting's colours: those that the first steps would otherwise be spent on.

    Its pixels are carried over to the painting's mean and covariance
    (:func:`velatura.ops.recoloring.match_moments`); Gatys et al. 2017, section 5, match the painting to
    the photograph by such a map. A strength below 1 goes part of the way, so that at 0 this is the
    photograph.
    """

    is_random = False

    def draw_from(self, sources: Sources) -> Tensor:
        """The recoloured photograph, clamped to [0, 1]."""
        mean, matrix = sources.colors(self.name)
        recolored = match_moments(sources.content, mean, matrix).clamp(0, 1)
        return torch.lerp(sources.content, recolored, min(1.0, sources.strength))


@initializations.register("style_statistics")
@dataclass(frozen=True, kw_only=True)
class StyleStatistics(Initialization):
    """Noise in the painting's colours: pixels from the Gaussian with its mean and covariance.

    The colours are right from the start, and nothing else is. Not clamped.
    """

    def draw_from(self, sources: Sources) -> Tensor:
        """The coloured noise."""
        mean, matrix = sources.colors(self.name)
        root = matrix_sqrt(matrix)  # (1, 3, 3)
        noise = sources.random(torch.randn)
        return (root @ noise.flatten(2)).view_as(noise) + mean[:, :, None, None]


@initializations.register("patches")
@dataclass(frozen=True, kw_only=True)
class Patches(Initialization):
    """Squares cut out of the painting anywhere, side by side: marks and colours are right, and no place is.

    As the first of the three ways of Efros and Freeman 2001, "Image quilting", figure 2. Of several
    paintings, each square is of one of them, as often as the blend says.
    """

    edge: Annotated[
        float, Interval(gt=0, le=1), Setting("Edge of a square, of the longer edge of the canvas")
    ] = 0.25
    scale: Annotated[
        float, Interval(gt=0, le=16), Setting("Longer edge of the painting over that of the canvas")
    ] = 1.0

    def draw_from(self, sources: Sources) -> Tensor:
        """The squares, clamped to [0, 1]."""
        if not sources.styles:
            raise ConfigError(f"initialization {self.name!r} needs a painting, and none was given")
        canvas = torch.empty_like(sources.content)
        height, width = canvas.shape[2:]
        long_edge = max(1, round(self.scale * max(height, width)))
        paintings = [
            resize(style.to(canvas), fit(style.shape[2], style.shape[3], long_edge)).clamp(0, 1)[0]
            for style in sources.styles
        ]
        edge = max(1, round(self.edge * max(height, width)))
        chances = torch.tensor(sources.blend, dtype=torch.float64, device=sources.generator.device)
        for sample in canvas:
            for top in range(0, height, edge):
                for left in range(0, width, edge):
                    drawn = torch.multinomial(chances, 1, generator=sources.generator)
                    square = sample[:, top : top + edge, left : left + edge]
                    _fill_from(square, paintings[int(drawn)], sources.generator)
        return canvas


def _fill_from(square: Tensor, painting: Tensor, generator: torch.Generator) -> None:
    """Copies a part of the painting drawn at random, repeated where the painting is smaller."""
    places = []
    for axis in (1, 2):
        most = max(1, painting.shape[axis] - square.shape[axis] + 1)
        first = torch.randint(most, (1,), generator=generator, device=generator.device)
        places.append((int(first) + torch.arange(square.shape[axis])) % painting.shape[axis])
    rows, columns = (place.to(painting.device) for place in places)
    square.copy_(painting[:, rows[:, None], columns])


@initializations.register("picture")
@dataclass(frozen=True, kw_only=True)
class Picture(Initialization):
    """A given picture, resampled to the canvas: an earlier result, or a sketch."""

    path: Annotated[str | None, Setting("File of the picture to start from")] = None
    is_random = False

    def draw_from(self, sources: Sources) -> Tensor:
        """The picture at the canvas's size, clamped to [0, 1]."""
        if sources.picture is None:
            raise ConfigError("initialization 'picture' needs a picture; name its file in the setting 'path'")
        return _fitted(sources.picture, sources.content)


@initializations.register("one_pass")
@dataclass(frozen=True, kw_only=True)
class OnePassPicture(Initialization):
    """What a trained network makes of the photograph and the paintings in one pass."""

    model: Annotated[
        str,
        Setting("Trained network that takes any painting: a name, a file, or the folder of its run"),
    ] = "adain-slim"
    is_random = False

    def draw_from(self, sources: Sources) -> Tensor:
        """The network's picture at the canvas's size, clamped to [0, 1]."""
        if sources.picture is None:
            raise ConfigError(
                "initialization 'one_pass' is for a photograph in the style of paintings; choose another"
            )
        return _fitted(sources.picture, sources.content)


def _fitted(picture: Tensor, content: Tensor) -> Tensor:
    """A picture ``(1, 3, h, w)`` at the size of the canvas, clamped to [0, 1]."""
    height, width = content.shape[-2:]
    rows, columns = picture.shape[-2:]
    if not same_aspect((height, width), (rows, columns)):
        raise ConfigError(
            f"the picture to start from is {columns}x{rows} and the canvas {width}x{height}; "
            "crop it to the same proportions"
        )
    return resize(picture.to(content), (height, width)).clamp(0, 1).expand_as(content).clone()


def _color(color: _Color, like: Tensor) -> Tensor:
    """``(1, 3, 1, 1)``, in the type and place of ``like``."""
    return torch.tensor(color, dtype=like.dtype, device=like.device)[:, None, None]
