"""The same random numbers in every test, a small random backbone, and a small run of it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from velatura.backbones import Backbone, BackboneConfig, build_backbone


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
