import json
import pickle

import numpy as np
import pytest

from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError
from velatura.imaging import Picture, read_picture
from velatura.jobs.schema import build
from velatura.jobs.stylize import StylizeJob, stylization
from velatura.runners import run


@pytest.fixture
def job(tmp_path):
    pixels = np.random.default_rng(0).random((2, 32, 40, 3), np.float32)
    for name, picture in zip(("photo", "painting"), pixels, strict=True):
        Picture.of(picture).save(tmp_path / f"{name}.png")
    return StylizeJob(
        content=str(tmp_path / "photo.png"),
        styles=(str(tmp_path / "painting.png"),),
        output=str(tmp_path / "out.png"),
        stylization=stylization(changes={"pyramid.steps": [2]}, device="cpu"),
    )


def test_a_job_can_be_sent_elsewhere_and_run_there(job, tmp_path):
    here = run(job).picture.pixels
    for sent in (pickle.loads(pickle.dumps(job)), build(StylizeJob, json.loads(json.dumps(to_mapping(job))))):
        assert sent == job
        assert run(sent).picture.pixels.equal(here)
    assert read_picture(tmp_path / "out.png").width == 40


def test_progress_and_cancelling_are_passed_on(job):
    told = []
    result = run(job, on_progress=told.append, cancelled=lambda: len(told) == 1)
    assert result.interrupted
    assert [progress.step for progress in told] == [1]


def test_errors_come_as_they_are(job):
    broken = build(StylizeJob, {**to_mapping(job), "output": job.content})
    with pytest.raises(ConfigError, match="will not be overwritten"):
        run(broken)
