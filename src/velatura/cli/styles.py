"""The options that say how large a painting is looked at, and in which layers."""

from __future__ import annotations

from typing import Any

import typer

from velatura.core.errors import ConfigError
from velatura.engine.method import Optimization
from velatura.jobs.schema import help_of

__all__ = ["fine_style_option", "layer_weights", "layers_option", "style_changes", "style_number_option"]


def style_number_option(name: str, metavar: str, panel: str) -> Any:
    """``--style-size`` and ``--style-scale``."""
    text = help_of(Optimization, name.removeprefix("--").replace("-", "_"))
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel)


def layers_option(of: str, example: str, panel: str) -> Any:
    """``--style-layers`` and ``--content-layers``."""
    text = f"Layers that the {of} is compared in, with the weight of each or 1: {example}"
    return typer.Option(f"--{of}-layers", metavar="LAYER=W,...", help=text, rich_help_panel=panel)


def fine_style_option(panel: str) -> Any:
    """``--fine-style``."""
    text = (
        "Painting whose fine texture STYLE is given first, so that the result has the texture of the one and "
        "the composition of the other"
    )
    return typer.Option("--fine-style", metavar="FILE", help=text, rich_help_panel=panel)


def style_changes(
    *, size: int | None, scale: float | None, style_layers: str | None, content_layers: str | None
) -> dict[str, Any]:
    """What these options change in a preset; None for what was not given.

    Raises:
        ConfigError: Layers or weights that cannot be read.
    """
    return {
        "style_size": size,
        "style_scale": scale,
        "terms.style.layers": layer_weights("style-layers", style_layers),
        "terms.content.layers": layer_weights("content-layers", content_layers),
    }


def layer_weights(option: str, text: str | None) -> dict[str, float] | None:
    """``relu1_1=4,relu2_1`` as layers with weights; None as None.

    Raises:
        ConfigError: A part has no name or no number, or a layer is there twice.
    """
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        layer, equals, weight = (piece.strip() for piece in part.partition("="))
        try:
            value = float(weight) if equals else 1.0
        except ValueError:
            raise ConfigError(f"--{option}: expected a number behind '{layer}=', not {weight!r}") from None
        if not layer:
            raise ConfigError(f"--{option}: expected LAYER=WEIGHT with commas between them, not {text!r}")
        if layer in found:
            raise ConfigError(f"--{option} names {layer} twice; leave one out")
        found[layer] = value
    return found
