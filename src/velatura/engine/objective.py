"""The objective: one pass through the backbone, then a sum of weighted, named terms."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.config import PartOf, Setting
from velatura.core.errors import ConfigError, VelaturaError, counted
from velatura.losses import Loss, Target, losses

__all__ = ["IMAGE", "Objective", "Term", "Terms", "blended_target", "checked_target", "naming"]

IMAGE = "image"
"""The layer below the first: the canvas itself, for losses on pixels such as total variation."""


@dataclass(frozen=True, kw_only=True)
class Term:
    r"""One weighted part of the objective, :math:`w \sum_l w_l \, E_l`."""

    loss: Annotated[Loss, PartOf(losses), Setting("What is compared, and how")]
    of: Annotated[
        Literal["content", "style", "nothing", "transfer"],
        Setting(
            "What the target is taken from; transfer: the features that a network in training means to paint"
        ),
    ]
    layers: Annotated[
        Mapping[str, Annotated[float, Ge(0)]],
        Setting("Layers with the weight of each; `image` is the canvas itself"),
    ] = field(default_factory=dict)
    weight: Annotated[float, Ge(0), Setting("Weight of the whole term; 0 leaves it out")] = 1.0
    blend: Annotated[
        tuple[Annotated[float, Ge(0)], ...] | None,
        Setting("Weight of each painting in this term of the style; unset: as they are blended"),
    ] = None

    def __post_init__(self) -> None:
        if self.blend is not None and self.of != "style":
            raise ConfigError(
                f"a term of {self.of!r} looks at no painting and has no use for a blend; leave it out"
            )
        if self.blend is not None and not sum(self.blend) > 0:
            raise ConfigError("the weights of a term's blend are all zero; at least one must be above 0")

    def blended(self, blend: Sequence[float]) -> tuple[float, ...]:
        """The weight of each painting in this term, scaled to sum to 1.

        Args:
            blend: As they are blended where the term does not say.

        Raises:
            ConfigError: The term has not as many weights as there are paintings.
        """
        if self.blend is None:
            return tuple(blend)
        if len(self.blend) != len(blend):
            raise ConfigError(
                f"a term's blend has {counted(len(self.blend), 'weight')} for "
                f"{counted(len(blend), 'style picture')}; give one for each"
            )
        return tuple(weight / sum(self.blend) for weight in self.blend)


Terms = Mapping[str, Term]


def _weighted(terms: Terms) -> dict[str, Term]:
    """The terms that count, each with the layers that count.

    Raises:
        ConfigError: Nothing counts, or a term has a weight and no layer.
    """
    counting = {
        name: replace(term, layers={layer: weight for layer, weight in term.layers.items() if weight})
        for name, term in terms.items()
        if term.weight
    }
    if not counting:
        raise ConfigError(
            f"no term of the objective has a weight (of: {', '.join(terms) or 'none at all'}); "
            "with a strength of 0, only terms of the content count"
        )
    for name, term in counting.items():
        if not term.layers:
            raise ConfigError(f"term {name!r} has a weight but no layer; name one or set its weight to 0")
    return counting


class Objective:
    """The loss of a canvas against targets taken once.

    Args:
        backbone: Extracts every layer in one pass.
        terms: What to compare; terms and layers of weight 0 are left out.

    Raises:
        ConfigError: Nothing has a weight, or the architecture has no such layer.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(self, backbone: Backbone, terms: Terms) -> None:
        self.backbone = backbone
        self.terms = _weighted(terms)
        read = {layer for term in self.terms.values() for layer in term.layers}
        self.layers = backbone.check_layers(read - {IMAGE})
        self.targets: dict[str, dict[str, Target]] = {}
        self.masks: dict[str, dict[str, Tensor]] = {}
        """By term and layer, how much each position counts, ``(1, 1, h, w)``; none: all the same."""

    def features(
        self, image: Tensor, *, of: Collection[str] | None = None, also: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """Every layer that a term reads, and the image itself under :data:`IMAGE`.

        Args:
            image: Pictures, ``(B, 3, H, W)`` in [0, 1].
            of: Only what terms of these are to read; None: all.
            also: Further layers that somebody wants.
        """
        terms = (term for term in self.terms.values() if of is None or term.of in of)
        read = {layer for term in terms for layer in term.layers} - {IMAGE}
        return {IMAGE: image, **self.backbone(image, read.union(also))}

    @torch.no_grad()
    def aim(self, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float]) -> None:
        """Takes the targets at one scale.

        Args:
            content: The photograph, ``(1, 3, H, W)`` in [0, 1].
            styles: The paintings, each ``(1, 3, h, w)`` in [0, 1]; sizes may differ.
            blend: Weight of each painting; they sum to 1. Statistics are blended as raw moments,
                so that two paintings give one set of targets and cost no more than one.

        Raises:
            ConfigError: A term cannot take a target from these pictures.
        """
        of_content = self._targets(content, of=("content", "nothing"))
        of_styles = [self._targets(style, of=("style",)) for style in styles]
        blended = {
            name: {
                layer: blended_target(
                    name, term, layer, [targets[name][layer] for targets in of_styles], term.blended(blend)
                )
                for layer in term.layers
            }
            for name, term in self.terms.items()
            if term.of == "style"
        }
        self.targets = of_content | blended

    def _targets(self, picture: Tensor, *, of: Collection[str]) -> dict[str, dict[str, Target]]:
        if not any(term.of in of for term in self.terms.values()):
            return {}
        return self.targets_from(self.features(picture, of=of), of=of)

    def targets_from(
        self, features: Mapping[str, Tensor], *, of: Collection[str]
    ) -> dict[str, dict[str, Target]]:
        """What the terms of ``of`` are to match, by term and layer, in features that are at hand.

        Args:
            features: The layers that these terms read, each ``(B, C, h, w)``.
            of: Whose terms.

        Raises:
            ConfigError: A term cannot take a target from these features.
        """
        return {
            name: {
                layer: _target(name, term, layer, features[layer], self.mask_of(name, layer))
                for layer in term.layers
            }
            for name, term in self.terms.items()
            if term.of in of
        }

    def __call__(self, canvas: Tensor) -> dict[str, Tensor]:
        """The weighted terms of canvases ``(B, 3, H, W)``: the mean of each; their sum is the loss.

        Raises:
            ConfigError: A term compares with a picture of another size position by position.
            VelaturaError: A term is cut off from the canvas, so that it could change nothing.
        """
        distances: dict[str, list[Tensor]] = {name: [] for name in self.terms}

        def visit(layer: str, features: Tensor) -> Tensor:
            for name, term in self.terms.items():
                if layer in term.layers:
                    with naming(name, layer):
                        features, distance = self._in_passing(name, term, layer, features)
                    distances[name].append(term.layers[layer] * distance.mean())
            return features

        self.backbone(visit(IMAGE, canvas), self.layers, visit=visit)
        weighted = {
            name: term.weight * torch.stack(distances[name]).sum() for name, term in self.terms.items()
        }
        if torch.is_grad_enabled() and canvas.requires_grad:
            for name, value in weighted.items():
                if not value.requires_grad:
                    raise VelaturaError(
                        f"term {name!r} has no gradient: its loss {self.terms[name].loss.name!r} "
                        "detaches the features, so the canvas would not change"
                    )
        return weighted

    def _in_passing(self, name: str, term: Term, layer: str, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a layer to go on with, and a term's distance there, ``(B,)``."""
        mask = self.mask_of(name, layer)
        if mask is None:
            return term.loss.in_passing(features, self.targets[name][layer])
        return features, term.loss.forward(features, self.targets[name][layer], mask)

    def mask_of(self, name: str, layer: str) -> Tensor | None:
        """How much each position of a layer counts in a term; None: all the same."""
        return self.masks[name].get(layer) if name in self.masks else None


@contextlib.contextmanager
def naming(term: str, layer: str) -> Iterator[None]:
    """Says of which term and layer an error is."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"term {term!r} at layer {layer!r}: {error}") from error


def _target(name: str, term: Term, layer: str, features: Tensor, mask: Tensor | None) -> Target:
    with naming(name, layer):
        return checked_target(term, term.loss.target(features, mask))


def checked_target(term: Term, target: Target) -> Target:
    """The target itself.

    Raises:
        ConfigError: There is one, and the term has no picture to take it from.
    """
    if term.of == "nothing" and target:
        raise ConfigError(f"loss {term.loss.name!r} needs a picture: set 'of' to content or style")
    return target


def blended_target(
    name: str, term: Term, layer: str, targets: Sequence[Target], weights: Sequence[float]
) -> Target:
    """One target of several paintings', at one layer.

    Raises:
        ConfigError: They do not blend.
    """
    loss = term.loss
    with naming(name, layer):
        shapes = [{key: value.shape for key, value in target.items()} for target in targets]
        if any(shape != shapes[0] for shape in shapes):
            raise ConfigError(f"loss {loss.name!r} cannot blend pictures of different sizes")
        return loss.blend(targets, weights)
