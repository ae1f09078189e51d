"""The sums of tiles, by term and layer: how they add up, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from velatura.engine.objective import Term, Terms, checked_target, naming
from velatura.losses import Target
from velatura.losses.additive import Additive, Part, Sums

__all__ = ["Key", "add_sums", "additive", "in_numbers_of", "keys_of", "masked_part", "target_of"]

Key: TypeAlias = tuple[str, str]
"""Term and layer."""


def additive(term: Term) -> Additive:
    """The loss of a term, which adds up over tiles: that was checked."""
    assert isinstance(term.loss, Additive)
    return term.loss


def keys_of(terms: Terms) -> list[Key]:
    """In one order in every process: gradients are added in it."""
    return [(name, layer) for name, term in terms.items() for layer in term.layers]


def in_numbers_of(dtype: torch.dtype, sums: Mapping[Key, Sums]) -> dict[Key, Sums]:
    """The sums in the numbers of the pictures, which are those of a target of the whole."""
    return {key: {name: value.to(dtype) for name, value in own.items()} for key, own in sums.items()}


def add_sums(sums: dict[Key, Sums], key: Key, found: Sums) -> None:
    """Adds the sums of a tile: in float64, where the device has it, so that their number does not matter."""
    for name, value in found.items():
        wide = value.detach()
        wide = wide if wide.device.type == "mps" else wide.double()
        own = sums.setdefault(key, {})
        own[name] = own[name] + wide if name in own else wide


def masked_part(part: Part, mask: Tensor | None) -> Part:
    """A part that sees of a mask of the whole what lies where its features do."""
    if mask is None:
        return part
    (rows, columns), (height, width) = part.at, part.beyond.shape[2:]
    own = mask[..., rows.start : rows.start + height, columns.start : columns.start + width]
    return replace(part, mask=own)


def target_of(
    name: str,
    term: Term,
    layer: str,
    sums: Mapping[Key, Sums],
    maps: Mapping[str, Tensor],
    mask: Tensor | None,
) -> Target:
    """The target of a term at a layer: from the whole map where it is positional, else from the sums."""
    with naming(name, layer):
        loss = additive(term)
        if loss.is_positional:
            return checked_target(term, term.loss.target(maps[layer], mask))
        return checked_target(term, loss.target_from(sums[name, layer]))
