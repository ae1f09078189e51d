"""The objective of a picture in regions: each has paintings of its own, and one pass serves them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError
from velatura.engine.guides import Guiding, guides_for
from velatura.engine.objective import IMAGE, Objective, Term, Terms, blended_target, named
from velatura.losses import Target
from velatura.ops.masks import shares
from velatura.ops.resize import resize

__all__ = ["Placement", "RegionalObjective"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where which paintings go.

    Args:
        names: What each region is called, for messages.
        masks: How much of each pixel is a region's, ``(R, H, W)``, which sum to at most 1; the rest is the
            photograph. At any size with the photograph's proportions.
        blends: For each region the weight of each painting; they sum to 1.
        parts: By region and painting, what of the painting is looked at, ``(1, h, w)`` in [0, 1]; none: all.
    """

    names: tuple[str, ...]
    masks: Tensor
    blends: tuple[tuple[float, ...], ...]
    parts: Mapping[tuple[int, int], Tensor] = field(default_factory=dict)

    def sized(self, size: tuple[int, int]) -> Placement:
        """That of the picture at another size."""
        if tuple(self.masks.shape[1:]) == size:
            return self
        # Cubic weights overshoot at edges.
        return replace(self, masks=shares(resize(self.masks[None], size)[0].clamp(0, 1)))

    def cover(self) -> Tensor:
        """How much of each pixel is painted, ``(1, 1, H, W)`` in [0, 1]."""
        return self.masks.sum(dim=0)[None, None].clamp(max=1)

    def with_photograph(self, painted: Tensor, photograph: Tensor) -> Tensor:
        """The painted pixels, and the photograph's own as far as no region covers them, ``(B, 3, H, W)``."""
        return torch.lerp(photograph, painted, self.cover().to(painted))


class RegionalObjective(Objective):
    r"""The loss of a canvas whose regions have targets of their own.

    .. math:: E = \sum_r \lambda_r E(F^{(r)}, A^{(r)})

    for each term of the style at each layer (Gatys et al. 2017, eq. 6): a loss sees the features through the
    region's guide, and its target is the blend of the region's paintings. Other terms see all of the picture.
    What no region covers is the photograph, as the backbone sees it too, so that nothing flows in.

    Args:
        backbone: Extracts every layer in one pass.
        terms: What to compare.
        guiding: How masks reach the layers.

    Raises:
        ConfigError: As :class:`Objective`; or a term has a blend of its own, which regions have too.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(self, backbone: Backbone, terms: Terms, *, guiding: Guiding) -> None:
        super().__init__(backbone, terms)
        self.guiding = guiding
        self.placement: Placement | None = None
        self.photograph = torch.empty(0)
        self.guides: dict[str, Tensor] = {}
        """Weights of the positions, ``(1, R, h, w)`` by layer: those of the canvas."""
        self.weights: tuple[float, ...] = ()
        """What each region's distance is multiplied by."""
        self.regional: dict[str, dict[str, list[Target | None]]] = {}
        """By term of the style and layer, each region's target; None: it has no position there."""
        for name, term in self.terms.items():
            if term.blend is not None:
                raise ConfigError(
                    f"term {name!r} has a blend of its own, and regions say where each painting goes; "
                    "leave one of them out"
                )

    @torch.no_grad()
    def aim_regions(self, content: Tensor, styles: Sequence[Tensor], placement: Placement) -> None:
        """Takes the targets at one scale.

        Args:
            content: The photograph, ``(1, 3, H, W)`` in [0, 1].
            styles: The paintings, each ``(1, 3, h, w)`` in [0, 1].
            placement: Where they go.

        Raises:
            ConfigError: A term cannot take a target from these pictures.
        """
        self.photograph, self.placement = content, placement.sized((content.shape[2], content.shape[3]))
        features = self.features(content)
        self.targets = self.targets_from(features, of=("content", "nothing"))
        self.guides = guides_for(
            self.backbone, self.placement.masks.to(content.device), _sizes(features), self.guiding
        )
        self.weights = region_weights(self.placement.masks, self.guiding)
        looked_at = [_Painting(self, style, number, placement) for number, style in enumerate(styles)]
        self.regional = {
            name: {layer: self._regional_targets(name, term, layer, looked_at) for layer in term.layers}
            for name, term in self.terms.items()
            if term.of == "style"
        }

    def _regional_targets(
        self, name: str, term: Term, layer: str, paintings: Sequence[_Painting]
    ) -> list[Target | None]:
        assert self.placement is not None
        targets: list[Target | None] = []
        for region, blend in enumerate(self.placement.blends):
            used = [(painting, weight) for painting, weight in zip(paintings, blend, strict=True) if weight]
            seen = [painting.target(name, layer, region) for painting, _ in used]
            found = [target for target in seen if target is not None]
            if len(found) < len(used) or not self.guides[layer][:, region].any():
                targets.append(None)
            else:
                targets.append(blended_target(name, term.loss, layer, found, [w for _, w in used]))
        return targets

    def without_style(self) -> dict[str, list[str]]:
        """By region's name, the layers of the style that it has no position in, shallow to deep."""
        assert self.placement is not None
        found: dict[str, list[str]] = {}
        for number, region in enumerate(self.placement.names):
            empty = {
                layer
                for layers in self.regional.values()
                for layer, targets in layers.items()
                if targets[number] is None
            }
            if empty:
                found[region] = [layer for layer in (IMAGE, *self.layers) if layer in empty]
        return found

    def __call__(self, canvas: Tensor) -> dict[str, Tensor]:
        """As :meth:`Objective.__call__`, of the canvas with the photograph where no region is."""
        assert self.placement is not None
        return super().__call__(self.placement.with_photograph(canvas, self.photograph))

    def _in_passing(self, name: str, term: Term, layer: str, features: Tensor) -> tuple[Tensor, Tensor]:
        if term.of != "style":
            return super()._in_passing(name, term, layer, features)
        guides = self.guides[layer].to(features.device)
        distances = [
            weight * term.loss.forward(features, target, guides[:, region : region + 1])
            for region, (weight, target) in enumerate(
                zip(self.weights, self.regional[name][layer], strict=True)
            )
            if target is not None
        ]
        if not distances:
            # Nothing to match here, but a term that is cut off from the canvas would be an error.
            return features, 0 * features.float().sum(dim=(1, 2, 3))
        return features, torch.stack(distances).sum(dim=0)


def region_weights(masks: Tensor, how: Guiding) -> tuple[float, ...]:
    """What each region's distance is multiplied by.

    Args:
        masks: ``(R, H, W)``, which sum to at most 1.
        how: ``equal``: each the same, 1 in all. ``area``: its part of the picture, so that a pixel of a
            region is worth as much as it would be if the style were everywhere.
    """
    if how.weighing == "equal":
        return (1 / len(masks),) * len(masks)
    return tuple(masks.double().mean(dim=(1, 2)).tolist())


def _sizes(features: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    return {layer: (maps.shape[2], maps.shape[3]) for layer, maps in features.items()}


class _Painting:
    """One painting's features, and its targets through whatever part is looked at."""

    def __init__(
        self, objective: RegionalObjective, style: Tensor, number: int, placement: Placement
    ) -> None:
        self._terms = {name: term for name, term in objective.terms.items() if term.of == "style"}
        self._features = objective.features(style, of=("style",))
        self._whole: dict[tuple[str, str], Target] = {}
        size = (style.shape[2], style.shape[3])
        self._parts: dict[int, dict[str, Tensor]] = {}
        for (region, painting), part in placement.parts.items():
            if painting == number:
                small = resize(part[None], size)[0].clamp(0, 1).to(style.device)
                sizes = _sizes(self._features)
                self._parts[region] = guides_for(objective.backbone, small, sizes, objective.guiding)

    def target(self, name: str, layer: str, region: int) -> Target | None:
        """What a term is to match in a region at a layer; None: the part has no position there."""
        loss, features = self._terms[name].loss, self._features[layer]
        with named(name, layer):
            if region in self._parts:
                guide = self._parts[region][layer]
                return loss.target(features, guide) if guide.any() else None
            if (name, layer) not in self._whole:
                self._whole[name, layer] = loss.target(features)
            return self._whole[name, layer]
