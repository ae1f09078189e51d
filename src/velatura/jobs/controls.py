"""Short words for settings that people ask for most, as the changes to a preset that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velatura.core.errors import ConfigError
from velatura.optimizers import optimizers
from velatura.presets import Preset

__all__ = ["control_changes"]

_GENTLE = 0.3
"""Of an optimiser's step size, where a finished picture is taken further.

Adam's first steps move every pixel by all of it; the first of L-BFGS is short by itself."""

_STRUCTURE, _SMOOTHNESS = "structure", "smoothness"
_EXAMPLES = {
    _STRUCTURE: '{of="content", loss={name="laplacian"}, layers={image=1}, weight=100}',
    _SMOOTHNESS: '{of="nothing", loss={name="total_variation"}, layers={image=1}, weight=1}',
}


def control_changes(
    preset: Preset,
    *,
    structure: float | None = None,
    tv: float | None = None,
    refine: bool = False,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """What the controls change in a preset.

    Args:
        preset: What they are laid over.
        structure: Weight of the term that keeps the photograph's outlines.
        tv: Weight of the total variation.
        refine: To go on from a finished picture: the last scale alone, with gentle steps.
        changes: Others, which must not set the same.

    Returns:
        Dotted path to value, with ``changes``.

    Raises:
        ConfigError: The preset has no such term or does not optimise, or something is set twice.
    """
    own: dict[str, Any] = {}
    for option, term, weight in (("structure", _STRUCTURE, structure), ("tv", _SMOOTHNESS, tv)):
        if weight is not None:
            _check_has(preset, option, term, changes)
            own[f"terms.{term}.weight"] = weight
    if refine:
        if "initialization.name" in changes and changes["initialization.name"] != "picture":
            raise ConfigError(
                f"refine starts from a finished picture, and the initialisation is "
                f"{changes['initialization.name']!r}; leave one out"
            )
        own |= _refining(preset, changes)
    if twice := sorted(own.keys() & changes.keys() - {"initialization.name"}):
        raise ConfigError(f"{twice[0]} is set twice, by a control of its own and as a setting; leave one out")
    return {**own, **changes}


def _check_optimizes(preset: Preset, option: str) -> None:
    if preset.kind == "network":
        raise ConfigError(
            f"{option} is of an optimisation, and {preset.name!r} is one pass of a trained network; leave it "
            "out, or choose another preset"
        )


def _check_has(preset: Preset, option: str, term: str, changes: Mapping[str, Any]) -> None:
    _check_optimizes(preset, option)
    if preset.kind != "method" or term in preset.method["terms"] or f"terms.{term}" in changes:
        return
    raise ConfigError(
        f"{option} weighs the term {term!r}, and the preset {preset.name!r} has none, so that no weight is "
        f"known to suit; add one, such as --set 'terms.{term}={_EXAMPLES[term]}'"
    )


def _refining(preset: Preset, changes: Mapping[str, Any]) -> dict[str, Any]:
    _check_optimizes(preset, "refine")
    if preset.kind != "method":
        return {}
    method = preset.method
    found: dict[str, Any] = {"initialization.name": "picture"}
    pyramid = method.get("pyramid", {})
    if changes.get("pyramid.smallest", pyramid.get("smallest")) != 0 and "pyramid.last" not in changes:
        found["pyramid.last"] = 1
    optimizer = method["optimizer"]
    name = changes.get("optimizer.name", optimizer["name"])
    if name != "lbfgs" and not {"optimizer", "optimizer.lr"} & changes.keys():
        own = optimizer if name == optimizer["name"] else {}
        found["optimizer.lr"] = _GENTLE * own.get("lr", getattr(optimizers[name](), "lr", 1.0))
    return found
