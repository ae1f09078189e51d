"""Colour modes: whose colours a stylization has, the painting's or the photograph's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from annotated_types import Gt, Interval
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.registry import Registry
from velatura.core.rng import generator
from velatura.ops.color_spaces import LAB, YIQ, OpponentSpace, towards
from velatura.ops.moments import covariance
from velatura.ops.recoloring import (
    Basis,
    color_moments,
    linear_map,
    match_distribution,
    match_histogram,
    match_moments,
)

__all__ = [
    "ColorMode",
    "Histogram",
    "Histogram3d",
    "Luminance",
    "MatchCholesky",
    "MatchMeanStd",
    "MatchMonge",
    "MatchPca",
    "StyleColors",
    "Styles",
    "colors",
]

Styles: TypeAlias = Sequence[Tensor]
"""Paintings, each ``(1, 3, h, w)`` in [0, 1]."""

_Palette: TypeAlias = Annotated[
    float, Interval(ge=0, le=1), Setting("Whose palette: 0 is the photo's, 1 the painting's")
]
_Epsilon: TypeAlias = Annotated[
    float,
    Gt(0),
    Setting("Variance added to both pictures, so that grey stays grey", unit="of the pixel range squared"),
]

# Pixels that are composed at a time: a print would not fit as a dozen copies.
_AT_ONCE = 2**20


class ColorMode(ABC):
    """What is done to the pictures before the transfer, and to the result after it.

    A frozen dataclass, registered under its name. All pictures are ``(B, 3, H, W)``, sRGB in [0, 1].
    """

    name: ClassVar[str]
    recolors: ClassVar[bool] = False
    """Whether it needs paintings, which it gives other colours."""
    composes: ClassVar[bool] = False
    """Whether it changes the photograph before the transfer, and the result after it."""

    @property
    def palette(self) -> float:
        """Whose palette: 0 is the photograph's, 1 the painting's."""
        return 1.0

    def prepare(self, content: Tensor, styles: Styles) -> tuple[Tensor, list[Tensor]]:
        """What is transferred: a photograph, and paintings, whose colours may leave [0, 1].

        Args:
            content: The photograph.
            styles: The paintings; none for a network that has its own.
        """
        return content, list(styles)

    def finish(
        self,
        result: Tensor,
        content: Tensor,
        styles: Styles,  # noqa: ARG002
        blend: Sequence[float],  # noqa: ARG002
    ) -> Tensor:
        """The result with the colours that it is to have.

        Args:
            result: What came of the transfer.
            content: The photograph as it was, at the same size.
            styles: The paintings as they were.
            blend: Weight of each; they sum to 1.
        """
        del content
        return result


colors: Registry[type[ColorMode]] = Registry("colour mode", home="velatura.colors")


@colors.register("style")
@dataclass(frozen=True, kw_only=True)
class StyleColors(ColorMode):
    """The painting's colours: nothing is done."""


@dataclass(frozen=True, kw_only=True)
class Matched(ColorMode, ABC):
    """The paintings are given colours of the photograph before the transfer.

    With a palette above 0, each goes only so far towards them.
    """

    recolors: ClassVar[bool] = True

    palette: _Palette = 0.0

    def prepare(self, content: Tensor, styles: Styles) -> tuple[Tensor, list[Tensor]]:
        """The paintings, recoloured."""
        return content, [torch.lerp(self._matched(style, content), style, self.palette) for style in styles]

    @abstractmethod
    def _matched(self, style: Tensor, content: Tensor) -> Tensor:
        """The painting in the colours of the photograph."""


@dataclass(frozen=True, kw_only=True)
class Linear(Matched):
    """Matched by a linear map (Gatys et al. 2016, *Preserving color*, section 3.2)."""

    basis: ClassVar[Basis]

    epsilon: _Epsilon = 1e-5

    def _matched(self, style: Tensor, content: Tensor) -> Tensor:
        return match_moments(style, *color_moments(content), self.basis, epsilon=self.epsilon)


@colors.register("match-mean-std")
@dataclass(frozen=True, kw_only=True)
class MatchMeanStd(Linear):
    """Paintings recoloured to the photo's mean and deviation of red, green and blue, each alone."""

    basis: ClassVar[Basis] = "mean-std"


@colors.register("match-cholesky")
@dataclass(frozen=True, kw_only=True)
class MatchCholesky(Linear):
    """Paintings recoloured to the photo's mean and covariance, by Cholesky factors."""

    basis: ClassVar[Basis] = "cholesky"


@colors.register("match-pca")
@dataclass(frozen=True, kw_only=True)
class MatchPca(Linear):
    """Paintings recoloured to the photo's mean and covariance, by their eigenvectors."""

    basis: ClassVar[Basis] = "pca"


@colors.register("match-monge")
@dataclass(frozen=True, kw_only=True)
class MatchMonge(Linear):
    """Paintings recoloured to the photo's mean and covariance, each colour moved as little as can be."""

    basis: ClassVar[Basis] = "monge"


@colors.register("histogram")
@dataclass(frozen=True, kw_only=True)
class Histogram(Matched):
    """Paintings recoloured to the photo's histograms of red, green and blue, each alone."""

    def _matched(self, style: Tensor, content: Tensor) -> Tensor:
        return match_histogram(style, content)


@colors.register("histogram-3d")
@dataclass(frozen=True, kw_only=True)
class Histogram3d(Matched):
    """Paintings recoloured to the photo's histogram of whole colours (Pitié et al. 2005)."""

    rounds: Annotated[
        int, Interval(ge=1, le=1000), Setting("Sides from which the histogram is matched, three axes each")
    ] = 10

    def _matched(self, style: Tensor, content: Tensor) -> Tensor:
        # The same rotations for every picture: it is a function of the pictures alone.
        drawn = generator(0, "rotations of the histogram")
        return match_distribution(style, content, rounds=self.rounds, generator=drawn)


@colors.register("luminance")
@dataclass(frozen=True, kw_only=True)
class Luminance(ColorMode):
    r"""Only lightness is transferred; hue and chroma are the photo's, pixel by pixel.

    Photograph and paintings become grey, the paintings' lightness with the photograph's mean and
    deviation, :math:`L' = \sigma_C / \sigma_S (L - \mu_S) + \mu_C` (Gatys et al. 2016, *Preserving
    color*, section 3.1). After the transfer the photograph's chroma is put back. Where a screen has no
    colour of this chroma and lightness, the lightness gives way: it goes as far as it can from the
    photograph's. (The paper leaves CIELAB aside, takes YIQ, and clips red, green and blue.)
    """

    composes: ClassVar[bool] = True

    space: Annotated[
        Literal["lab", "yiq"], Setting("Whose lightness and chroma: CIELAB's, or YIQ's as in the paper")
    ] = "lab"
    palette: _Palette = 0.0
    epsilon: _Epsilon = 1e-5

    @property
    def _space(self) -> OpponentSpace:
        return LAB if self.space == "lab" else YIQ

    def prepare(self, content: Tensor, styles: Styles) -> tuple[Tensor, list[Tensor]]:
        """All in grey."""
        ours = self._lightness(content)
        mean, square = color_moments(ours)
        matched = (
            match_moments(self._lightness(style), mean, square, "mean-std", epsilon=self.epsilon)
            for style in styles
        )
        return self._grey(ours).clamp(0, 1), [self._grey(light) for light in matched]

    def finish(self, result: Tensor, content: Tensor, styles: Styles, blend: Sequence[float]) -> Tensor:
        """The result's lightness, and the photograph's chroma, or that on its way to the paintings'."""
        space = self._space
        if self.palette == 0:
            return _in_strips(
                lambda one, other: _with_lightness(space.encode(other), one, space), result, content
            )
        linear, offset = self._to_paintings(content, styles, blend)

        def composed(result: Tensor, content: Tensor) -> Tensor:
            own = space.encode(content)
            moved = torch.einsum("ij,bjhw->bihw", linear, own[:, 1:]) + offset[:, None, None]
            goal = torch.cat([own[:, :1], torch.lerp(own[:, 1:], moved, self.palette)], dim=1)
            # What is too colourful for the photograph's lightness is made greyer.
            grey = torch.cat([own[:, :1], torch.zeros_like(moved)], dim=1)
            return _with_lightness(space.encode(towards(grey, goal, space)), result, space)

        return _in_strips(composed, result, content)

    def _lightness(self, picture: Tensor) -> Tensor:
        return _in_strips(lambda strip: self._space.encode(strip)[:, :1], picture)

    def _grey(self, lightness: Tensor) -> Tensor:
        return _in_strips(self._space.grey, lightness)

    def _to_paintings(self, content: Tensor, styles: Styles, blend: Sequence[float]) -> tuple[Tensor, Tensor]:
        """How chroma goes from the photograph's palette to the paintings': a matrix and an offset."""
        own, *theirs = (
            color_moments(_in_strips(lambda strip: self._space.encode(strip)[:, 1:], picture))
            for picture in (content, *styles)
        )
        # Raw moments mix, central ones do not.
        weights = torch.tensor(blend, dtype=torch.float64, device=own[0].device)
        mean = weights @ torch.cat([mean for mean, _ in theirs])
        seconds = [matrix + mean[:, :, None] * mean[:, None] for mean, matrix in theirs]
        second = torch.einsum("n,nij->ij", weights, torch.cat(seconds))
        theirs_together = covariance(mean[None], second[None])
        linear = linear_map(own[1], theirs_together, "monge", epsilon=self.epsilon)
        offset = mean - linear[0] @ own[0][0]
        return linear[0].to(content), offset.to(content)


def _with_lightness(colors: Tensor, picture: Tensor, space: OpponentSpace) -> Tensor:
    """Colours of a space with the lightness of a picture, as far as a screen has such colours; sRGB."""
    light = space.encode(picture)[:, :1]
    return towards(colors, torch.cat([light, colors[:, 1:]], dim=1), space)


def _in_strips(function: Callable[..., Tensor], *pictures: Tensor) -> Tensor:
    """A function of each pixel, over pictures of one size."""
    rows = max(1, _AT_ONCE // pictures[0].shape[3])
    strips = zip(*(torch.split(picture, rows, dim=2) for picture in pictures), strict=True)
    return torch.cat([function(*strip) for strip in strips], dim=2)
