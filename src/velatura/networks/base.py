"""What a network is: one pass from a photograph to its stylization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from velatura.backbones import Backbone
from velatura.core.registry import Registry
from velatura.networks.statistics import held_apart

__all__ = ["PIECES", "Network", "NetworkConfig", "Style", "StyleCount", "blend_styles", "networks"]

StyleCount = Literal["one", "many", "any"]

Style: TypeAlias = Mapping[str, Tensor]
"""What a network knows of a style, each entry ``(B, ...)`` or ``(1, ...)``; entries mix linearly.

Of a network of many styles, ``weights``, ``(B, num_styles)``, which sum to 1; of one for any style, the
statistics that :meth:`Network.encode` takes from paintings. Entries of a painting's own pieces do not mix:
see :data:`PIECES`.
"""

PIECES = "pieces"
"""How the names of entries begin that stay apart in a blend, ``piecesN.NAME`` of the N-th painting.

``piecesN.share``, ``(1,)``, is how much of the blend it is.
"""


class Network(nn.Module, ABC):
    """A stylizer: ``network(content, style, alpha=1.0) -> stylization``.

    Subclasses state how many styles they know, and implement :meth:`stylize` and, for any style,
    :meth:`encode`. Weights may be trained; an encoder that a subclass holds is frozen, and stays out of its
    state dict.
    """

    styles: ClassVar[StyleCount]
    num_styles: int = 1
    """How many styles a network of ``many`` tells apart."""
    rng: torch.Generator | None = None
    """Where a network that draws noise has it from, on the CPU; None: it draws none.

    In training it moves on, and each picture of a batch has noise of its own. In evaluation it stays as it
    is, and every picture has the same: another picture is had from a generator with another seed.
    """

    @property
    def encoder_sha256(self) -> str | None:
        """Hash of the weights of the frozen encoder that it holds; None without one."""
        held = (getattr(module, "backbone", None) for module in self.modules())
        return next((part.weights_sha256 or None for part in held if isinstance(part, Backbone)), None)

    def forward(self, content: Tensor, style: Style | None = None, *, alpha: float = 1.0) -> Tensor:
        """The stylization of a batch of photographs.

        Args:
            content: Photographs, ``(B, 3, H, W)``, sRGB in [0, 1], of any size from 1x1.
            style: What :meth:`encode` or :meth:`choose` gave, or a blend of it; None for a network of one.
            alpha: From 0, the photograph as the network gives it back, to 1, all of the style.

        Returns:
            ``(B, 3, H, W)``. Values may leave [0, 1] where the network's last layer is not bounded.

        Raises:
            ValueError: ``content`` is no batch of pictures, ``alpha`` is outside [0, 1], or the style is
                missing or not asked for.
        """
        if content.ndim != 4 or content.shape[1] != 3:
            raise ValueError(f"expected pictures of shape (B, 3, H, W), got {tuple(content.shape)}")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be from 0 to 1, not {alpha:g}")
        if (style is None) != (self.styles == "one"):
            raise ValueError(
                "a network of one style takes no other"
                if style is not None
                else f"a network of {self.styles} styles needs one: from choose() or encode()"
            )
        return self.stylize(content, style, alpha=alpha)

    @abstractmethod
    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:
        """:meth:`forward`, its arguments checked."""

    def in_regions(
        self, content: Tensor, styles: Sequence[Style | None], masks: Tensor, *, alpha: float = 1.0
    ) -> Tensor:
        """The stylization with each style where its mask is (Huang and Belongie 2017, section 7.1).

        Here the picture of each style, mixed in pixels; a network that can place styles in its features
        does that instead.

        Args:
            content: As in :meth:`forward`.
            styles: One a region, as in :meth:`forward`.
            masks: Weight of each at each pixel, ``(1, N, H, W)``, >= 0, which sum to 1 over N.
            alpha: As in :meth:`forward`.

        Returns:
            ``(B, 3, H, W)``.

        Raises:
            ValueError: The masks fit neither the styles nor the photographs, or :meth:`forward` raises.
        """
        self._check_masks(content, styles, masks)

        def share_of(number: int) -> Tensor:
            with held_apart(self, number):
                painted: Tensor = self(content, styles[number], alpha=alpha)
            return masks[:, number : number + 1] * painted

        mixed: Tensor = reduce(add, (share_of(number) for number in range(len(styles))))
        return mixed

    def _check_masks(self, content: Tensor, styles: Sequence[Style | None], masks: Tensor) -> None:
        expected = (1, len(styles), *content.shape[2:])
        if not styles or tuple(masks.shape) != expected:
            raise ValueError(
                f"expected masks of shape {expected}, one a style, each as large as the photograph, "
                f"not {tuple(masks.shape)}"
            )

    def encode(self, style: Tensor) -> Style:  # noqa: ARG002 - for those that take any
        """What a network for any style needs to know of paintings, ``(B, 3, h, w)`` in [0, 1].

        Raises:
            TypeError: The network has styles of its own.
        """
        raise TypeError(f"{type(self).__name__} has styles of its own; it takes none from a picture")

    def choose(self, weights: Sequence[float]) -> Style:
        """A blend of the styles that a network of ``many`` was trained for.

        Args:
            weights: One a style, >= 0, which sum to 1.

        Raises:
            TypeError: It has not many styles.
            ValueError: The weights do not fit.
        """
        if self.styles != "many":
            raise TypeError(f"{type(self).__name__} has not several styles to choose from")
        if len(weights) != self.num_styles:
            raise ValueError(f"expected {self.num_styles} weights, one a style, not {len(weights)}")
        parameter = next(self.parameters())
        return {"weights": parameter.new_tensor([list(weights)])}


def blend_styles(styles: Sequence[Style], weights: Sequence[float]) -> Style:
    """Several styles as one: the weighted sum of what is known of each (Huang and Belongie 2017, section 7).

    Args:
        styles: Of one network.
        weights: One a style, >= 0, which sum to 1.

    Raises:
        ValueError: There are not as many weights as styles, or none.
    """
    if len(styles) != len(weights) or not styles:
        raise ValueError(f"expected one weight a style, not {len(weights)} for {len(styles)}")
    mixed = {
        key: reduce(add, (weight * style[key] for weight, style in zip(weights, styles, strict=True)))
        for key in styles[0]
        if not key.startswith(PIECES)
    }
    return mixed | _side_by_side(styles, weights)


def _side_by_side(styles: Sequence[Style], weights: Sequence[float]) -> dict[str, Tensor]:
    """The pieces of all styles, numbered anew."""
    pieces: dict[str, Tensor] = {}
    count = 0
    for style, weight in zip(styles, weights, strict=True):
        own = [key.removeprefix(PIECES).split(".") for key in style if key.startswith(PIECES)]
        for number, name in own:
            value = style[f"{PIECES}{number}.{name}"]
            pieces[f"{PIECES}{count + int(number)}.{name}"] = weight * value if name == "share" else value
        count += len({number for number, _ in own})
    return pieces


class NetworkConfig(ABC):
    """A network's settings: a frozen dataclass registered under the method's name."""

    name: ClassVar[str]
    styles: ClassVar[StyleCount]

    @abstractmethod
    def build(self, *, num_styles: int, rng: torch.Generator) -> Network:
        """The network with weights drawn at random.

        Args:
            num_styles: How many styles a network of ``many`` is to tell apart; 1 for the others.
            rng: Draws the weights, on the CPU.
        """


networks: Registry[type[NetworkConfig]] = Registry("network", home="velatura.networks")
