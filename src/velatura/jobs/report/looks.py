"""What a reconstruction or a dream looked at: which layer of which network, alone or in a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from velatura.core.errors import ConfigError
from velatura.jobs.grid import network_weights
from velatura.jobs.report.files import dig, method_of

__all__ = ["LookedAt", "looked_at"]


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """A layer, and the grid that it was looked at in.

    Args:
        kind: What was made of the picture.
        layer: The layer, or several with ``+`` between them.
        network: The picture's column in its grid; None of a picture by itself.
        layers: Rows of the grid; empty for a picture by itself.
        networks: Weights by column; empty where the command names none.
    """

    kind: Literal["content", "style", "deepdream"]
    layer: str
    network: str | None = None
    layers: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """Layers and networks as ``velatura reconstruct`` takes them."""
        if not self.layers:
            return ["--layer", self.layer]
        columns = ",".join(_column(label, weights) for label, weights in self.networks.items())
        return ["--layers", ",".join(self.layers), *(["--networks", columns] if columns else [])]


def looked_at(record: Mapping[str, Any]) -> LookedAt | None:
    """Of a reconstruction or a dream, what it looked at; None of any other run.

    Args:
        record: Of a run.
    """
    found = next(_layers(record), None)
    if found is None:
        return None
    kind, layer = found
    layers, networks = dig(record, "job", "layers"), dig(record, "job", "networks")
    network = dig(record, "cell", "network")
    if not _are_words(layers) or not isinstance(networks, Mapping) or not _are_words([*networks.values()]):
        return LookedAt(kind=kind, layer=layer)
    backbone = dig(method_of(record), "backbone")
    # Without --networks the one column has the backbone's name and the weights that the settings have.
    own = {dig(backbone, "name"): dig(backbone, "weights")}
    return LookedAt(
        kind=kind,
        layer=layer,
        network=network if isinstance(network, str) else None,
        layers=tuple(layers),
        networks=networks if isinstance(backbone, Mapping) and networks != own else {},
    )


def _layers(record: Mapping[str, Any]) -> Iterator[tuple[Literal["content", "style", "deepdream"], str]]:
    """The kind and the layer of everything in the settings that looks at one picture."""
    if isinstance(layer := dig(record, "dreaming", "dream", "layer"), str):
        yield "deepdream", layer
        return
    terms = dig(record, "stylization", "method", "terms")
    if not isinstance(dig(record, "job", "image"), str) or not isinstance(terms, Mapping):
        return
    for term in terms.values():
        kind, layers = dig(term, "of"), dig(term, "layers")
        if kind in ("content", "style") and isinstance(layers, Mapping):
            yield kind, "+".join(layers)


def _are_words(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(word, str) for word in value)
    )


def _column(label: str, weights: str) -> str:
    """The shortest word that names these weights and their column."""
    for word in (label, weights):
        try:
            if network_weights([word]) == {label: weights}:
                return word
        except ConfigError:
            continue
    return f"{label}={weights}"
