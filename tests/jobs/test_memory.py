"""What is said of memory before the start, and the tile that is chosen by it."""

import pytest
import torch

from velatura.backbones import build_backbone
from velatura.core.errors import ConfigError
from velatura.engine.footprint import measure_footprint
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.precision import Precision
from velatura.imaging import Picture
from velatura.jobs import memory
from velatura.jobs.memory import run_of
from velatura.jobs.stylize import stylization, stylize_pictures


def _pictures():
    rng = torch.Generator().manual_seed(1)
    return [Picture(torch.rand((3, *size), generator=rng)) for size in ((224, 480), (64, 64))]


def _run(seen, **changes):
    content, style = _pictures()
    settings = {"pyramid.smallest": 0, "pyramid.steps": [1], "optimizer.history": 2, **changes}
    how = stylization("fast", changes=settings, precision="float32")
    return stylize_pictures(content, [style], how, on_progress=seen.append)


@pytest.fixture
def _small_is_large(monkeypatch):
    monkeypatch.setattr(memory, "_SAID_ABOVE", 1000)


def test_nothing_is_said_of_small_pictures():
    seen = []
    result = _run(seen)
    assert [progress.step for progress in seen] == [1]
    assert "memory" not in result.record


@pytest.mark.usefixtures("_small_is_large")
def test_said_before_the_first_step_and_recorded():
    seen = []
    result = _run(seen)
    first, *others = seen
    assert first.step == 0
    assert first.message.startswith("about ")
    assert "GiB free" in first.message
    assert [progress.step for progress in others] == [1]
    foretold = result.record["memory"]
    assert 100 < foretold["predicted_mib"] < 4000
    assert foretold["tile"] is None


@pytest.mark.usefixtures("_small_is_large")
def test_a_tile_is_chosen_where_the_whole_does_not_fit_and_the_loss_is_the_same(monkeypatch):
    whole = _run([])
    monkeypatch.setattr(memory, "free_memory", lambda _: 80 * 2**20)
    seen = []
    result = _run(seen)
    tile = result.record["memory"]["tile"]
    assert tile is not None
    assert tile < 240
    assert f"in tiles of {tile} pixels" in seen[0].message
    assert result.record["memory"]["predicted_mib"] <= whole.record["memory"]["predicted_mib"]
    assert result.history[0]["loss"] == pytest.approx(whole.history[0]["loss"], rel=1e-4)


@pytest.mark.usefixtures("_small_is_large")
def test_a_tile_that_was_asked_for_stays(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda _: 110 * 2**20)
    assert _run([], tile=240).record["memory"]["tile"] == 240


@pytest.mark.usefixtures("_small_is_large")
def test_what_fits_in_no_tile_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda _: 2**20)
    with pytest.raises(ConfigError, match=r"480x224 pixels take .* even in the smallest tiles"):
        _run([])


def test_a_panorama_is_foretold_by_its_own_pixels():
    """By the long edge alone, its painting would have 300 megapixels."""
    method = stylization("fast", changes={"pyramid.steps": [1], "backbone.weights": "random"}).method
    backbone = build_backbone(method.backbone)
    stylizer = OptimizationStylizer(method, backbone, precision=Precision(torch.float32, torch.channels_last))
    rng = torch.Generator().manual_seed(1)
    photo, painting = (Picture(torch.rand((3, *size), generator=rng)) for size in ((6, 1000), (600, 800)))
    run = run_of(stylizer, photo, [painting], (120, 20000), saved=False)
    footprint = measure_footprint(stylizer, size=(120, 20000))
    tile = stylizer.objective.needs.least_edge
    assert run.paintings == [pytest.approx(2 * 120 * 20000, rel=1e-3)]
    assert footprint.peak(run, tile=tile**2) - footprint.base < 2**31
