"""The same random numbers in every test, a small random backbone, and a small run of it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from velatura.backbones import Backbone, BackboneConfig, build_backbone
from velatura.engine.objective import Term
from velatura.losses.content import Content
from velatura.losses.gram import Gram
from velatura.losses.mean_std import MeanStd
from velatura.losses.moments import Moments
from velatura.losses.total_variation import TotalVariation
from velatura.losses.wasserstein import Wasserstein


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    """The shipped architecture with random weights, which no test changes."""
    return build_backbone(BackboneConfig(name="vgg19-slim", weights="random"))


@pytest.fixture(scope="module")
def small():
    """What :mod:`small_run` defines: a stylizer, and pictures for it."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_run.py"))))


@pytest.fixture
def cancelled_after():
    """Options of a run that ends after so many steps.

    Asked once before each step and each change of scale, it says yes after them.
    """

    def options(steps):
        reports = []
        return {"on_progress": reports.append, "cancelled": lambda: len(reports) >= steps}

    return options


@pytest.fixture(scope="session")
def networks():
    """Networks in float64 with random weights, which no test changes."""
    made = {}

    def network(name, pooling="native", padding="native"):
        key = name, pooling, padding
        if key not in made:
            config = BackboneConfig(name=name, weights="random", pooling=pooling, padding=padding)
            made[key] = build_backbone(config).double()
        return made[key]

    return network


def _of(loss, of, *layers, weight=1.0):
    return Term(
        loss=loss, of=of, layers={layer: 1 + index for index, layer in enumerate(layers)}, weight=weight
    )


def _every_term(*layers):
    """A term of every loss that works in tiles, in every form that changes the sums, at three layers."""
    first, middle, deep = layers
    return {
        "gram": _of(Gram(), "style", first, deep),
        "gatys": _of(Gram(scale="none", reduction="gatys"), "style", middle, weight=1e-6),
        "expected": _of(Gram(scale="hw", reduction="relative"), "style", middle, deep),
        "moments": _of(Moments(mean_weight=0.5), "style", first, middle, deep),
        "mean_std": _of(MeanStd(), "style", first, deep),
        "wasserstein": _of(Wasserstein(reduction="relative"), "style", first, deep),
        "content": _of(Content(reduction="relative"), "content", middle),
        "mean": _of(Content(), "content", "image", deep),
        "half": _of(Content(reduction="half_sum"), "content", deep, weight=1e-3),
        "standard": _of(Content(standardize=True), "content", middle),
        "variation": _of(TotalVariation(), "nothing", "image", first),
        "steps": _of(TotalVariation(form="l1", reduction="sum"), "nothing", "image", weight=1e-3),
    }


@pytest.fixture(scope="session")
def every_term():
    """:func:`_every_term`."""
    return _every_term
