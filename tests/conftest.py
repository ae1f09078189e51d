"""Fixtures for every test: one torch thread, and the folder of real pictures and weights."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that VELATURA_TEST_DATA names; tests that need it skip where it is not set."""
    folder = os.environ.get("VELATURA_TEST_DATA")
    if not folder:
        pytest.skip("VELATURA_TEST_DATA is not set")
    return Path(folder).resolve()
