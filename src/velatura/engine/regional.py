"""The objective of a picture in regions: each has paintings of its own, and one pass serves them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError
from velatura.engine.guides import Guiding, effective_positions, guides_for
from velatura.engine.objective import IMAGE, Term, Terms, blended_target
from velatura.engine.tiled import TiledObjective, TileStatistics
from velatura.losses import Target
from velatura.ops.masks import shares
from velatura.ops.resize import resize

__all__ = ["Placement", "RegionalObjective", "map_sizes", "region_weights"]


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

    def drawn(self, draw: Callable[[Sequence[float]], Tensor], photograph: Tensor) -> Tensor:
        """A canvas whose regions begin each by themselves, and the rest as the photograph.

        Args:
            draw: The whole canvas for one region's weights of the paintings, ``(1, 3, H, W)``.
            photograph: ``(1, 3, H, W)``.
        """
        cover = self.cover().to(photograph)
        canvas = torch.zeros_like(photograph)
        for mask, blend in zip(self.masks, self.blends, strict=True):
            canvas += draw(blend) * mask.to(photograph)
        return torch.where(cover > 0, canvas / cover.clamp_min(torch.finfo(cover.dtype).tiny), photograph)

    def with_photograph(self, painted: Tensor, photograph: Tensor) -> Tensor:
        """The painted pixels, and the photograph's own as far as no region covers them, ``(B, 3, H, W)``."""
        return torch.lerp(photograph, painted, self.cover().to(painted))


class RegionalObjective(TiledObjective):
    r"""The loss of a canvas whose regions have targets of their own.

    .. math:: E = \sum_r \lambda_r E(F^{(r)}, A^{(r)})

    for each term of the style at each layer (Gatys et al. 2017, eq. 6): a loss sees the features through the
    region's guide, and its target is the blend of the region's paintings. So a term of the style stands here
    once a region, with :attr:`masks` of its own, and without the layers where the region has too few
    positions. Other terms see all of the picture. What no region covers is the photograph, as the backbone
    sees it too, so that nothing flows in.

    Args:
        backbone: Extracts every layer in one pass.
        terms: What to compare.
        guiding: How masks reach the layers.
        edge: As for :class:`~velatura.engine.tiled.TiledObjective`.
        statistics: The same.

    Raises:
        ConfigError: As its base; or a term has a blend of its own, which regions have too.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(
        self,
        backbone: Backbone,
        terms: Terms,
        *,
        guiding: Guiding,
        edge: int | None = None,
        statistics: TileStatistics = "exact",
    ) -> None:
        super().__init__(backbone, terms, edge=edge, statistics=statistics)
        self.guiding = guiding
        self.whole_terms = self.terms
        """The terms as they were given, each once."""
        self._every_layer = self.layers
        self._origins: dict[str, str] = {}
        self.placement: Placement | None = None
        self.photograph = torch.empty(0)
        for name, term in self.terms.items():
            if term.blend is not None:
                raise ConfigError(
                    f"term {name!r} has a blend of its own, and regions say where each painting goes; "
                    "leave one of them out"
                )

    @property
    def _of_style(self) -> dict[str, Term]:
        return {name: term for name, term in self.whole_terms.items() if term.of == "style"}

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
        size = (content.shape[2], content.shape[3])
        self.photograph, self.placement = content, placement.sized(size)
        self.terms, self.layers, self.masks = self.whole_terms, self._every_layer, {}
        self.forget()
        targets = self._targets(content, of=("content", "nothing"))
        paintings = [self._looked_at(style, number, placement) for number, style in enumerate(styles)]
        guides = self.guides(self.placement)
        weights = region_weights(self.placement.masks, self.guiding)
        terms = {name: term for name, term in self.terms.items() if term.of != "style"}
        masks: dict[str, dict[str, Tensor]] = {}
        for region, (called, blend) in enumerate(zip(placement.names, placement.blends, strict=True)):
            for name, term in self._of_style.items():
                found = _regional_targets(name, term, region, blend, paintings, guides)
                if found:
                    own = _regional_name(name, called)
                    layers = {layer: term.layers[layer] for layer in found}
                    terms[own] = replace(term, layers=layers, weight=term.weight * weights[region])
                    masks[own] = {layer: guides[layer][:, region : region + 1] for layer in found}
                    targets[own], self._origins[own] = found, name
        self.terms, self.masks, self.targets = terms, masks, targets
        self.layers = self.backbone.check_layers(
            {layer for term in terms.values() for layer in term.layers} - {IMAGE}
        )

    def guides(self, placement: Placement) -> dict[str, Tensor]:
        """Weights of the positions, ``(1, R, h, w)`` by layer of the style, of a placement at its size."""
        size = (placement.masks.shape[1], placement.masks.shape[2])
        return self._guides(placement.masks.to(next(self.backbone.buffers()).device), size)

    def _guides(self, masks: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        layers = {layer for term in self._of_style.values() for layer in term.layers}
        return guides_for(self.backbone, masks, map_sizes(self.backbone, layers, size), self.guiding)

    def missing(self, placement: Placement) -> dict[str, list[str]]:
        """By region's name, the layers where it has too few positions for a term, shallow to deep."""
        guides = self.guides(placement)
        order = [layer for layer in (IMAGE, *self.backbone.layers) if layer in guides]

        def is_missing(layer: str, region: int) -> bool:
            terms = [term for term in self._of_style.values() if layer in term.layers]
            return not all(_has_positions(term, guides[layer][:, region]) for term in terms)

        return {
            called: [layer for layer in order if is_missing(layer, region)]
            for region, called in enumerate(placement.names)
        }

    def _looked_at(self, style: Tensor, number: int, placement: Placement) -> _Painting:
        """A painting's targets, once for all of it and once for each part that a region looks at."""
        parts = {region: part for (region, of), part in placement.parts.items() if of == number}
        wants_all = any(
            blend[number] and region not in parts for region, blend in enumerate(placement.blends)
        )
        by_part: dict[int, _LayerTargets] = {}
        size = (style.shape[2], style.shape[3])
        for region, part in parts.items():
            guides = self._guides(resize(part[None], size)[0].clamp(0, 1).to(style.device), size)
            self.terms = {
                name: replace(
                    term,
                    layers={
                        layer: weight
                        for layer, weight in term.layers.items()
                        if _has_positions(term, guides[layer])
                    },
                )
                for name, term in self._of_style.items()
            }
            self.masks = dict.fromkeys(self.terms, guides)
            by_part[region] = self._targets(style, of=("style",))
        self.terms, self.masks = self.whole_terms, {}
        return _Painting(self._targets(style, of=("style",)) if wants_all else {}, by_part)

    def __call__(self, canvas: Tensor) -> dict[str, Tensor]:
        """As :meth:`Objective.__call__`, of the canvas with the photograph where no region is.

        Each term is there once: the sum over the regions, 0 where none has a position.
        """
        assert self.placement is not None
        found = super().__call__(self.placement.with_photograph(canvas, self.photograph))
        values = dict.fromkeys(self.whole_terms, canvas.new_zeros(()))
        for name, value in found.items():
            origin = self._origins.get(name, name)
            values[origin] = values[origin] + value
        return values


_LayerTargets = Mapping[str, Mapping[str, Target]]


@dataclass(frozen=True)
class _Painting:
    """One painting's targets by term and layer: of all of it, and of the part that a region looks at."""

    whole: _LayerTargets
    by_part: Mapping[int, _LayerTargets]

    def target(self, name: str, layer: str, region: int) -> Target | None:
        """What a term is to match; None: the part has no position at the layer."""
        return self.by_part.get(region, self.whole).get(name, {}).get(layer)


def _has_positions(term: Term, weights: Tensor) -> bool:
    """Whether one region's weights at a layer are enough for a term's statistic."""
    return bool(effective_positions(weights) >= term.loss.least_positions)


def _regional_name(term: str, region: str) -> str:
    return f"{term} in {region}"


def _regional_targets(
    name: str,
    term: Term,
    region: int,
    blend: Sequence[float],
    paintings: Sequence[_Painting],
    guides: Mapping[str, Tensor],
) -> dict[str, Target]:
    """A region's target at each layer where both it and its paintings have enough positions."""
    used = [(painting, weight) for painting, weight in zip(paintings, blend, strict=True) if weight]
    found = {}
    for layer in term.layers:
        targets = [painting.target(name, layer, region) for painting, _ in used]
        there = [target for target in targets if target is not None]
        if len(there) == len(used) and _has_positions(term, guides[layer][:, region]):
            found[layer] = blended_target(name, term, layer, there, [weight for _, weight in used])
    return found


def region_weights(masks: Tensor, how: Guiding) -> tuple[float, ...]:
    """What each region's distance is multiplied by.

    Args:
        masks: ``(R, H, W)``, which sum to at most 1.
        how: ``equal``: each the same, 1 in all (Gatys et al. 2017 leave them free). ``area``: its part of the
            picture, so that a pixel is worth as much as it would be if the style were everywhere.
    """
    if how.weighing == "equal":
        return (1 / len(masks),) * len(masks)
    return tuple(masks.double().mean(dim=(1, 2)).tolist())


def map_sizes(backbone: Backbone, layers: Iterable[str], size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Height and width of each layer's map of a picture, found without computing one.

    Windows are the same along both edges, so that two thin strips tell.

    Args:
        backbone: Whose layers; one that it lacks is the picture itself.
        layers: Their names.
        size: Height and width of the picture.
    """
    wanted = set(layers)
    own = wanted & set(backbone.shapes)
    least = backbone.smallest_input(own)
    like = next(backbone.buffers())

    def strip(height: int, width: int) -> dict[str, Tensor]:
        picture = torch.zeros(1, 3, height, width, dtype=like.dtype, device=like.device)
        maps: dict[str, Tensor] = backbone(picture, own)
        return maps

    with torch.no_grad():
        tall, wide = strip(size[0], least), strip(least, size[1])
    return {layer: (tall[layer].shape[2], wide[layer].shape[3]) if layer in own else size for layer in wanted}
