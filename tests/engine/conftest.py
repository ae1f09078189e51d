"""The same random numbers in every test, and a small random backbone."""

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
