"""Fixtures for every test: one torch thread, and the folder of real pictures and weights."""

import os
import tempfile
from pathlib import Path

# Before torch is imported, and for every process that a test starts: tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nothing is fetched, and nothing that lies in somebody's cache changes what is tested.
os.environ["VELATURA_OFFLINE"] = "1"
_CACHE = tempfile.TemporaryDirectory(prefix="velatura-tests-")
os.environ["VELATURA_CACHE"] = os.environ["TORCH_HOME"] = _CACHE.name

import pytest  # noqa: E402 - what is set above must be set first
import torch  # noqa: E402

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="run the slow tests in full")


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether slow tests run in full; in a reduced form otherwise."""
    return bool(request.config.getoption("--whole"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that VELATURA_TEST_DATA names; tests that need it skip where it is not set."""
    folder = os.environ.get("VELATURA_TEST_DATA")
    if not folder:
        pytest.skip("VELATURA_TEST_DATA is not set")
    return Path(folder).resolve()
