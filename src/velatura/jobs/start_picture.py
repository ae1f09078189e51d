"""What an optimisation starts from, where that is a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velatura.core.errors import ConfigError
from velatura.engine.one_pass import NetworkStylizer
from velatura.engine.precision import choose_network_precision
from velatura.imaging import Picture, read_picture
from velatura.initializations import Initialization, OnePassPicture
from velatura.initializations import Picture as StartPicture
from velatura.jobs.coloring import Coloring
from velatura.jobs.models import Model, find_model, load_model
from velatura.jobs.regional import RegionalRun
from velatura.jobs.stylization import Stylization

__all__ = ["OnePassStart", "files_to_start_from", "given_start"]


def files_to_start_from(initialization: Initialization) -> list[Path]:
    """The files that an initialisation reads.

    Raises:
        ConfigError: No model has the name.
        WeightsError: There is no such model.
    """
    if isinstance(initialization, OnePassPicture):
        return [find_model(initialization.model)]
    path = _path_of(initialization)
    return [] if path is None else [Path(path)]


def _path_of(initialization: Initialization) -> str | None:
    return initialization.path if isinstance(initialization, StartPicture) else None


def given_start(initialization: Initialization, start: Picture | None) -> Picture | None:
    """The picture that was given, or that the initialisation names.

    Raises:
        ConfigError: There are two of them, or the initialisation is another.
        ImageError: The file cannot be read.
    """
    if start is not None and not isinstance(initialization, StartPicture):
        raise ConfigError(
            f"a picture to start from was given, but the initialisation is {initialization.name!r}, not "
            "'picture'"
        )
    path = _path_of(initialization)
    if start is not None and path is not None:
        raise ConfigError(f"two pictures to start from were given, one of them {path}; leave one out")
    return read_picture(path) if path is not None else start


@dataclass(frozen=True)
class OnePassStart:
    """A trained network whose picture an optimisation starts from.

    Args:
        model: It takes any painting.
    """

    model: Model

    @classmethod
    def of(cls, initialization: Initialization) -> OnePassStart | None:
        """The one that an initialisation names; None where it starts from something else.

        Raises:
            ConfigError: No model has the name, or it has styles of its own.
            WeightsError: The model is missing or broken.
        """
        if not isinstance(initialization, OnePassPicture):
            return None
        model = load_model(initialization.model)
        if model.styles != "any":
            raise ConfigError(
                f"{model.path.name} has styles of its own; to start from, name a network that takes any "
                "painting, such as adain-slim"
            )
        return cls(model)

    def record(self) -> Mapping[str, Any]:
        """What goes into the record of the weights."""
        return {"start": {"source": self.model.path.name, "sha256": self.model.sha256}}

    def painted(
        self,
        coloring: Coloring,
        how: Stylization,
        regional: RegionalRun,
        *,
        size: tuple[int, int],
        device: torch.device,
        cancelled: Callable[[], bool],
    ) -> Tensor:
        """The network's picture, ``(3, *size)`` in [0, 1]; with a strength of 0 the photograph.

        Args:
            coloring: Photograph and paintings, in the colours that the run sees them in.
            how: Settings. A strength above 1 is 1 here: a network knows no more.
            regional: Where which painting goes.
            size: Height and width of the result.
            device: What to compute on.
            cancelled: Asked before the network runs.

        Raises:
            Cancelled: Cancelled before that.
        """
        if how.strength == 0:
            return coloring.content
        placement = regional.placement
        stylizer = NetworkStylizer(
            self.model.network.to(device),
            precision=choose_network_precision(how.precision, device),
            alpha=min(how.strength, 1.0),
        )
        return stylizer(
            coloring.content,
            coloring.styles,
            blends=[regional.blend] if placement is None else placement.blends,
            size=size,
            masks=None if placement is None else placement.masks,
            cancelled=cancelled,
        ).pixels
