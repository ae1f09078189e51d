"""The objective: one pass through the backbone, then a sum of weighted, named terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.config import PartOf, Setting
from velatura.core.errors import ConfigError
from velatura.losses import Loss, Target, losses

__all__ = ["IMAGE", "Objective", "Term", "Terms", "read_layers"]

IMAGE = "image"
"""The layer below the first: the canvas itself, for losses on pixels such as total variation."""


@dataclass(frozen=True, kw_only=True)
class Term:
    r"""One weighted part of the objective, :math:`w \sum_l w_l \, E_l`."""

    loss: Annotated[Loss, PartOf(losses), Setting("What is compared, and how")]
    of: Annotated[Literal["content", "style", "nothing"], Setting("Picture that the target is taken from")]
    layers: Annotated[
        Mapping[str, Annotated[float, Ge(0)]],
        Setting("Layers with the weight of each; `image` is the canvas itself"),
    ] = field(default_factory=dict)
    weight: Annotated[float, Ge(0), Setting("Weight of the whole term; 0 leaves it out")] = 1.0


Terms = Mapping[str, Term]


def read_layers(terms: Terms) -> tuple[str, ...]:
    """Backbone layers that any term with a weight reads, in the order in which they are named."""
    names = (name for term in terms.values() if term.weight for name, weight in term.layers.items() if weight)
    return tuple(dict.fromkeys(name for name in names if name != IMAGE))


class Objective:
    """The loss of a canvas against targets taken once.

    Args:
        backbone: Extracts every layer in one pass.
        terms: What to compare; terms and layers of weight 0 are left out.
    """

    def __init__(self, backbone: Backbone, terms: Terms) -> None:
        self.backbone = backbone
        self.terms = {name: term for name, term in terms.items() if term.weight}
        for name, term in self.terms.items():
            if not any(term.layers.values()):
                raise ConfigError(f"term {name!r} has a weight but no layer; name one or set its weight to 0")
        self.layers = backbone.check_layers(read_layers(self.terms))
        self.targets: dict[str, dict[str, Target]] = {}

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Every layer that a term reads, and the image itself under :data:`IMAGE`."""
        return {IMAGE: image, **self.backbone(image, self.layers)}

    @torch.no_grad()
    def aim(self, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float]) -> None:
        """Takes the targets at one scale.

        Args:
            content: The photograph, ``(1, 3, H, W)`` in [0, 1].
            styles: The paintings, each ``(1, 3, h, w)`` in [0, 1]; sizes may differ.
            blend: Weight of each painting; they sum to 1. Statistics are blended as raw moments,
                so that two paintings give one set of targets and cost no more than one.
        """
        sources = {"content": [content], "style": list(styles), "nothing": [content]}
        weights = {"content": [1.0], "style": list(blend), "nothing": [1.0]}
        read = {term.of for term in self.terms.values()}
        features = {of: [self.features(image) for image in sources[of]] for of in sorted(read)}
        self.targets = {
            name: {
                layer: term.loss.blend(
                    [term.loss.target(maps[layer]) for maps in features[term.of]], weights[term.of]
                )
                for layer, weight in term.layers.items()
                if weight
            }
            for name, term in self.terms.items()
        }

    def __call__(self, canvas: Tensor) -> dict[str, Tensor]:
        """The weighted terms of a canvas ``(1, 3, H, W)``, each a scalar; their sum is the loss."""
        features = self.features(canvas)
        return {
            name: term.weight
            * torch.stack(
                [
                    weight * term.loss.forward(features[layer], self.targets[name][layer]).sum()
                    for layer, weight in term.layers.items()
                    if weight
                ]
            ).sum()
            for name, term in self.terms.items()
        }
