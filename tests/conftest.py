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


def _brighten(decoder: torch.nn.Sequential) -> None:
    """Random weights of PyTorch's own draw fade from layer to layer, and the picture would be black."""
    *inner, last = [part for part in decoder if isinstance(part, torch.nn.Conv2d)]
    with torch.no_grad():
        for convolution in inner:
            convolution.weight *= 6**0.5
        last.bias += 0.5


def _tell_apart(rows: torch.nn.ParameterList) -> None:
    """Before they are trained, all styles are one."""
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for row in rows:
            row += 0.5 * torch.randn(row.shape, generator=numbers)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small networks with random weights, which can be had by name.

    ``johnson`` has one style, ``cin`` has three, ``adain-slim`` takes any.
    """
    from velatura.core.config import to_mapping
    from velatura.core.rng import generator
    from velatura.networks import ModelRecord, networks, write_model

    folder = tmp_path / "models"
    names = {"johnson": ("waves",), "cin": ("waves", "mosaic", "hatching"), "adain-slim": ()}
    for name, styles in names.items():
        kind = name.partition("-")[0]
        config = networks[kind](**({} if kind == "adain" else {"width": 4}))
        network = config.build(num_styles=max(1, len(styles)), rng=generator(0, name))
        if name == "adain-slim":
            _brighten(network.decoder)
        if name == "cin":
            _tell_apart(network.rows)
        record = ModelRecord(
            config=to_mapping(config), style_names=styles, style_sha256=("00" * 32,) * len(styles)
        )
        write_model(folder / f"{name}.safetensors", network, record)
    monkeypatch.setenv("VELATURA_WEIGHTS", str(folder))
    return folder
