"""What a training is made of: a network, the losses that it learns from, pictures, and a pace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from velatura.backbones import BackboneConfig
from velatura.core.config import Idle, PartOf, Setting
from velatura.core.errors import ConfigError
from velatura.engine.objective import Term
from velatura.engine.precision import PrecisionName
from velatura.engine.train.schedules import Constant, Schedule, schedules
from velatura.networks import NetworkConfig, networks

__all__ = ["Framing", "Training"]

Framing = Literal["square", "centre", "crop", "zoom"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training is made of."""

    network: Annotated[NetworkConfig, PartOf(networks), Setting("The network that learns")]
    backbone: Annotated[BackboneConfig, Setting("Network whose feature maps are compared")] = field(
        default_factory=BackboneConfig
    )
    terms: Annotated[Mapping[str, Term], Setting("The objective: weighted terms by name")]
    steps: Annotated[int, Ge(1), Setting("Steps in all, those of an earlier run counted")] = 40_000
    batch: Annotated[int, Ge(1), Setting("Photographs a step, over all processes")] = 4
    crop: Annotated[int, Ge(8), Setting("Edge of what is learnt from", unit="pixels")] = 256
    framing: Annotated[
        Framing,
        Setting(
            "How a picture becomes a square; square: squashed; crop, centre: a part of it, at random or the "
            "middle, once its shorter edge has been resized; zoom: as crop, the edge drawn as well"
        ),
    ] = "crop"
    short_edge: Annotated[
        int,
        Ge(8),
        Setting("Shorter edge of a picture before it is cropped, the largest for zoom", unit="pixels"),
        Idle("framing", ("square",)),
    ] = 288
    mirror: Annotated[bool, Setting("Mirror half of the pictures, left to right")] = True
    style_size: Annotated[
        int, Ge(8), Setting("Longer edge of a painting for a network with styles of its own", unit="pixels")
    ] = 256
    lr: Annotated[float, Gt(0), Setting("Adam's step size")] = 1e-3
    betas: Annotated[
        tuple[
            Annotated[float, Interval(ge=0, lt=1)],
            Annotated[float, Interval(ge=0, lt=1)],
        ],
        Setting("Adam's decays of the mean gradient and of its square"),
    ] = (0.9, 0.999)
    schedule: Annotated[
        Schedule, PartOf(schedules), Setting("What becomes of the step size, step by step")
    ] = field(default_factory=Constant)
    average: Annotated[
        float, Interval(ge=0, lt=1), Setting("Decay of the averaged weights, which are kept; 0: no average")
    ] = 0.0
    gradient_clip: Annotated[float, Ge(0), Setting("Norm to which a longer gradient is cut; 0: never")] = 0.0
    normalize_gradients: Annotated[
        bool, Setting("Give each layer of each term a gradient whose L1 norm is its weight")
    ] = False
    precision: Annotated[PrecisionName, Setting("What the networks compute in")] = "auto"
    seed: Annotated[int, Interval(ge=0, lt=2**63), Setting("Seed of everything that is drawn")] = 0

    def __post_init__(self) -> None:
        if self.framing != "square" and self.short_edge < self.crop:
            raise ConfigError(
                f"a crop of {self.crop} pixels does not fit into pictures whose shorter edge is "
                f"{self.short_edge}; raise short_edge or lower crop"
            )
