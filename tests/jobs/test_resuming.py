"""Jobs that are cut short, and jobs that go on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from velatura.core.errors import Cancelled, ConfigError
from velatura.imaging import read_picture
from velatura.jobs.regions import Region, Regions
from velatura.runners import run


def after(steps):
    """Cancels once so many steps have been asked for."""
    asked = iter(range(10_000))
    return lambda: next(asked) > steps


def test_an_interrupted_run_writes_the_best_so_far(job, tmp_path):
    result = run(job(changes={"pyramid.steps": [50]}), cancelled=after(3))
    assert result.interrupted
    assert len(result.history) == 3
    assert read_picture(tmp_path / "out.png").width == 48


def test_interrupted_at_a_small_scale_the_result_has_its_size_all_the_same(job):
    changes = {"pyramid.steps": [5], "pyramid.smallest": 32, "pyramid.ratio": 1.4}
    result = run(job(changes=changes), cancelled=after(2))
    assert result.history[-1]["size"] == [26, 34]
    assert (result.picture.width, result.picture.height) == (48, 36)


def test_interrupted_before_anything_there_is_nothing_to_write(job, tmp_path):
    with pytest.raises(Cancelled, match="interrupted before the first step"):
        run(job(), cancelled=lambda: True)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_resumed_run_gives_the_pixels_of_an_unbroken_one(job, tmp_path, optimizer):
    changes = {
        "pyramid.steps": [3],
        "pyramid.smallest": 32,
        "pyramid.ratio": 1.4,
        "optimizer.name": optimizer,
        "initialization.name": "uniform",
    }
    unbroken = run(job(changes=changes, output="unbroken.png"))
    checkpoint = str(tmp_path / "run.safetensors")
    run(job(changes=changes, saving={"checkpoint": checkpoint}), cancelled=after(4))
    resumed = run(job(changes=changes, saving={"checkpoint": checkpoint, "resume": checkpoint}))
    assert not resumed.interrupted
    assert torch.equal(resumed.picture.pixels, unbroken.picture.pixels)
    assert resumed.history == unbroken.history


@pytest.fixture
def left(tmp_path):
    """A mask of the left half."""
    Image.fromarray(np.uint8([[255, 0]] * 2)).resize((48, 36), Image.Resampling.NEAREST).save(
        tmp_path / "left.png"
    )
    return tmp_path / "left.png"


@pytest.mark.parametrize("with_regions", [False, True], ids=["fine style", "regions"])
def test_with_other_controls_too_a_resumed_run_gives_the_pixels_of_an_unbroken_one(
    job, photo, painting, left, tmp_path, with_regions
):
    regions = Regions(regions=(Region(mask=str(left), styles=(str(painting),)),))
    checkpoint = str(tmp_path / "run.safetensors")

    def going(saving=None):
        if with_regions:
            of_all = job(changes={"pyramid.steps": [5]}, saving=saving, color={"name": "luminance"})
            return replace(of_all, regions=regions)
        changes = {"pyramid.steps": [5], "fine.steps": 2, "fine.until": "relu2_1"}
        return replace(job(changes=changes, saving=saving), fine=str(photo))

    seen = []

    def count(progress):
        # Laying a fine style on has no previews.
        seen.extend([progress] if progress.picture is not None else [])

    unbroken = run(going())
    begun = run(going({"checkpoint": checkpoint}), on_progress=count, cancelled=lambda: len(seen) == 3)
    assert begun.interrupted
    assert len(begun.history) == 3
    resumed = run(going({"resume": checkpoint}))
    assert torch.equal(resumed.picture.pixels, unbroken.picture.pixels)


def test_a_run_is_saved_while_it_runs(job, tmp_path):
    path = tmp_path / "run.safetensors"
    seen = []
    saving = {"checkpoint": str(path), "checkpoint_every": 0.0}
    run(job(changes={"pyramid.steps": [3]}, saving=saving), on_progress=lambda _: seen.append(path.exists()))
    assert seen[1:] == [True, True]


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"seed": 1}, "seed"), ({"strength": 2.0}, "strength"), ({"changes": {"optimizer.lr": 0.5}}, "lr")],
)
def test_a_checkpoint_of_another_run_is_refused(job, tmp_path, settings, what):
    checkpoint = str(tmp_path / "run.safetensors")
    run(job(saving={"checkpoint": checkpoint}))
    with pytest.raises(ConfigError, match=f"of a run with another .*{what}"):
        run(job(saving={"resume": checkpoint}, **settings))


def test_a_checkpoint_of_another_photo_is_refused(job, painting, tmp_path):
    checkpoint = str(tmp_path / "run.safetensors")
    run(job(saving={"checkpoint": checkpoint}))
    with pytest.raises(ConfigError, match=r"of a run with another .*picture"):
        run(job(saving={"resume": checkpoint}, styles=[tmp_path / "photo.png"]))


def test_resuming_from_nothing_is_one_line(job, tmp_path):
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        run(job(saving={"resume": str(tmp_path / "none.safetensors")}))


def test_a_resumed_run_goes_on_in_the_precision_it_was_begun_in(job, tmp_path, monkeypatch):
    """Even where the measurement would now say otherwise, as on a machine that has become busy."""
    changes = {"pyramid.steps": [4]}
    checkpoint = str(tmp_path / "run.safetensors")
    begun = run(job(changes=changes, precision="bfloat16", output="unbroken.png"))
    monkeypatch.setattr("velatura.engine.precision.bfloat16_wins", lambda network: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    saving = {"checkpoint": checkpoint}
    run(job(changes=changes, saving=saving, precision="auto"), cancelled=after(2))
    monkeypatch.setattr("velatura.engine.precision.bfloat16_wins", lambda network: False)
    resumed = run(job(changes=changes, saving={"resume": checkpoint}, precision="auto"))
    assert resumed.record["machine"]["precision"] == "bfloat16"
    assert torch.equal(resumed.picture.pixels, begun.picture.pixels)


def test_the_record_says_what_was_computed_in(job):
    assert run(job()).record["machine"]["precision"] == "float32"
