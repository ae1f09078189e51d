"""The objective of a network in training: each sample of a batch has targets of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError
from velatura.engine.objective import Objective, Term, Terms
from velatura.losses import Target
from velatura.ops.gradients import normalize_gradient

__all__ = ["OF_CONTENT", "OF_STYLE", "TrainingObjective"]

OF_CONTENT = ("content", "nothing")
"""Terms whose targets photographs decide."""
OF_STYLE = ("style",)
"""Terms whose targets paintings decide."""

_LayerTargets = Mapping[str, Mapping[str, Target]]


class TrainingObjective(Objective):
    """The loss of a batch of stylizations, the mean over its samples.

    Args:
        backbone: Extracts every layer in one pass.
        terms: What to compare.
        normalize_gradients: Give each layer of each term a gradient whose L1 norm, over the whole batch, is
            its weight (Ulyanov et al. 2016).

    Raises:
        ConfigError: Nothing has a weight, or the architecture has no such layer.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(self, backbone: Backbone, terms: Terms, *, normalize_gradients: bool = False) -> None:
        super().__init__(backbone, terms)
        self.normalize_gradients = normalize_gradients
        self.has_transfer = any(term.of == "transfer" for term in self.terms.values())
        self._known_styles: _LayerTargets = {}

    @torch.no_grad()
    def know_styles(self, paintings: Sequence[Tensor]) -> None:
        """Takes the targets of a network's own styles, once.

        Args:
            paintings: Each ``(1, 3, h, w)`` in [0, 1]; sizes may differ.

        Raises:
            ConfigError: A style term compares position by position, which paintings of several sizes
                cannot be.
        """
        each = [self._targets(painting, of=OF_STYLE) for painting in paintings]
        self._known_styles = {
            name: {layer: _stacked(name, [targets[name][layer] for targets in each]) for layer in layers}
            for name, layers in each[0].items()
        }

    @torch.no_grad()
    def aim_at(
        self,
        contents: Mapping[str, Tensor],
        *,
        styles: Mapping[str, Tensor] | None = None,
        chosen: Tensor | None = None,
        transfer: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Takes the targets of one batch.

        Args:
            contents: Features of photographs, ``(B, C, h, w)`` each, by layer.
            styles: Those of a painting for each; None: the styles are those of :meth:`know_styles`.
            chosen: Which of these each sample is to have, ``(B,)``; None: there is one for all.
            transfer: What the network means to paint, by layer; None: no term needs it.

        Raises:
            ConfigError: A term needs a layer that ``transfer`` lacks, or cannot take a target.
        """
        self.targets = self.targets_from(contents, of=OF_CONTENT)
        if styles is not None:
            self.targets |= self.targets_from(styles, of=OF_STYLE)
        else:
            self.targets |= {
                name: {layer: _picked(target, chosen) for layer, target in layers.items()}
                for name, layers in self._known_styles.items()
            }
        if transfer is not None:
            self._check_transfer(transfer)
            self.targets |= self.targets_from(transfer, of=("transfer",))

    def _check_transfer(self, transfer: Mapping[str, Tensor]) -> None:
        for name, term in self.terms.items():
            missing = [layer for layer in term.layers if term.of == "transfer" and layer not in transfer]
            if missing:
                raise ConfigError(
                    f"term {name!r}: the network means to paint features of {', '.join(transfer)}, "
                    f"and none of {', '.join(missing)}; name its layers"
                )

    def _in_passing(self, name: str, term: Term, layer: str, features: Tensor) -> tuple[Tensor, Tensor]:
        if not self.normalize_gradients or not features.requires_grad:
            return super()._in_passing(name, term, layer, features)
        read = normalize_gradient(features, strength=term.weight * term.layers[layer])
        return features, term.loss.forward(read, self.targets[name][layer])


def _stacked(name: str, targets: Sequence[Target]) -> Target:
    """Targets of several paintings as one: each statistic ``(S, ...)``."""
    try:
        return {key: torch.cat([target[key] for target in targets]) for key in targets[0]}
    except RuntimeError as error:
        raise ConfigError(
            f"term {name!r} compares with paintings position by position; choose a loss of statistics"
        ) from error


def _picked(target: Target, chosen: Tensor | None) -> Target:
    return target if chosen is None else {key: value[chosen] for key, value in target.items()}
