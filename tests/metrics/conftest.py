"""Random numbers that do not depend on the order of tests, and views drawn from a seed."""

import pytest
import torch

from velatura.metrics import View


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def seeing():
    """Makes a view of features alone."""

    def make(**features):
        return View(pixels=torch.zeros(1, 3, 1, 1), features=features)

    return make


@pytest.fixture
def showing():
    """Makes a view of pixels alone."""

    def make(pixels):
        return View(pixels=pixels)

    return make
