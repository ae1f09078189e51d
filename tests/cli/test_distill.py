"""``velatura distill``, with a teacher of a few channels."""

import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from velatura.imaging import Picture
from velatura.jobs import distill as job


@pytest.fixture
def words(tmp_path):
    """The command for three steps: a teacher to relu1_2, pictures of 32 pixels."""
    rng = np.random.default_rng(0)
    for folder in ("contents", "styles"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            Picture.of(rng.random((32, 40, 3), np.float32)).save(tmp_path / folder / f"{number}.png")
    torch.manual_seed(0)
    state = {
        "features.0.weight": torch.randn(6, 3, 3, 3) / 3,
        "features.0.bias": torch.zeros(6),
        "features.2.weight": torch.randn(6, 6, 3, 3) / 5,
        "features.2.bias": torch.zeros(6),
    }
    save_file(state, tmp_path / "teacher.safetensors", {"input": "RGB 0-1, ImageNet mean/std"})
    settings = ("widths=[4, 4, 4, 4, 4]", "crop=32", "batch=2", "remembered=4", "warmup=1", "cooldown=1")
    folders = ("--contents", tmp_path / "contents", "--styles", tmp_path / "styles")
    files = ("--teacher", tmp_path / "teacher.safetensors", "-o", tmp_path / "run")
    sets = (word for setting in settings for word in ("--set", setting))
    return ["distill", *folders, *files, "--steps", 3, *sets]


def test_it_prints_errors_on_the_way_and_the_weights_at_the_end(velatura, words, tmp_path):
    answer = velatura(*words, "--name", "student")
    assert answer.status == 0
    assert answer.out == f"{tmp_path}/run/student.safetensors\n"
    lines = answer.err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step 0/3", "step 3/3"]
    assert "held out: 1_1 0." in lines[0]
    assert {tensor.dtype for tensor in load_file(tmp_path / "run/student.safetensors").values()} == {
        torch.float16
    }


def test_quiet_prints_no_errors(velatura, words):
    assert velatura(*words, "-q").err == ""


def test_the_same_command_goes_on(velatura, words):
    velatura(*words)
    lines = velatura(*words, "--steps", 4).err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step 3/4", "step 4/4"]


def test_ctrl_c_saves_what_was_learnt(velatura, words, monkeypatch):
    real = job.distill

    def distill(*args, cancelled, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args, cancelled=cancelled, **kwargs)

    monkeypatch.setattr(job, "distill", distill)
    answer = velatura(*words)
    assert answer.status == 130
    assert "step 0/3" in answer.err
    monkeypatch.undo()
    assert velatura(*words).status == 0


def test_slips_are_one_line(refused, words, tmp_path):
    assert refused(*words, "--set", "lrr=1").startswith("unknown setting 'lrr'; did you mean 'lr'?")
    assert refused(*words, "--set", "lr=0").startswith("lr: input should be greater than 0, not 0")
    assert refused(*words, "--contents", tmp_path / "none").endswith(
        "no folder of pictures: No such file or directory"
    )
    assert refused("distill").startswith("Missing option '--contents'")
