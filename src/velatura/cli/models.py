"""What the commands that use trained networks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from velatura.core.errors import ConfigError
from velatura.engine.one_pass import OnePass
from velatura.jobs.models import Model, load_model
from velatura.jobs.one_pass import blend_for
from velatura.jobs.stylization import Stylization

__all__ = ["with_styles"]


def with_styles(how: Stylization, styles: Sequence[str]) -> tuple[Stylization, tuple[str, ...], Model | None]:
    """Takes styles for pictures or for names, as the network has it.

    Args:
        how: Settings.
        styles: What came from the command line: files for a network that takes any style and for an
            optimisation, else names of the network's own styles.

    Returns:
        The settings, the files of style pictures, and the network, where there is one.

    Raises:
        ConfigError: The styles do not fit the network, or were set twice.
        WeightsError: The network is missing or broken.
    """
    method = how.method
    if not isinstance(method, OnePass):
        return how, tuple(styles), None
    model = load_model(method.model)
    if model.styles == "any":
        blend_for(model, how, len(styles))
        return how, tuple(styles), model
    if styles and method.styles:
        raise ConfigError("styles is set twice, by --set and on the command line; leave one out")
    if styles:
        how = replace(how, method=replace(method, styles=tuple(styles)))
    blend_for(model, how, 0)
    return how, (), model
