"""``velatura train``: what it says, what it refuses, and Ctrl-C."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open

from velatura.imaging import Picture
from velatura.networks import read_model


@pytest.fixture
def words(tmp_path):
    """A training of a small network, which takes well under a second a step."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Picture.of(rng.random((24, 30, 3), np.float32)).save(tmp_path / "photos" / f"{number}.png")
    Picture.of(rng.random((24, 30, 3), np.float32)).save(tmp_path / "painting.png")
    settings = ["backbone.name=vgg19-slim", "network.width=2", "network.norm=instance", "crop=16"]
    layers = ["terms.style.layers={relu1_1=1}", "terms.content.layers={relu1_1=1}", "style_size=24"]
    return [
        *("train", "johnson", "--content", tmp_path / "photos", "--style", tmp_path / "painting.png"),
        *("-o", tmp_path / "run", "--batch", 2, "--workers", 0, "--precision", "float32", "--threads", 1),
        *(word for setting in (*settings, *layers) for word in ("--set", setting)),
    ]


def test_it_says_how_far_it_is_and_where_the_model_is(velatura, words, tmp_path):
    answer = velatura(*words, "--steps", 4, "--report-every", 2, "--validate-every", 2)
    assert answer.status == 0
    assert answer.out == f"{tmp_path / 'run' / 'model.safetensors'}\n"
    said = answer.err.splitlines()
    terms = r"\(content \S+ style \S+ smoothness \S+\)"
    learning = rf"step 2/4, loss \S+ {terms}, \S+ images/s(, waiting for pictures \d+%)?, about \d+ s left"
    assert re.fullmatch(learning, said[1])
    held = [line for line in said if "held out" in line]
    assert [re.fullmatch(rf"step (\d)/4, held out: loss \S+ {terms}", line)[1] for line in held] == [
        "0",
        "2",
        "4",
    ]


def test_quiet(velatura, words):
    answer = velatura(*words, "--steps", 1, "-q")
    assert (answer.status, answer.err) == (0, "")


def test_options_reach_the_record(velatura, words, tmp_path):
    velatura(*words, "--steps", 2, "--seed", 5, "--set", "lr=0.5", "-q")
    record = read_model(tmp_path / "run" / "model.safetensors")[1]
    settings = record.training["training"]
    assert (settings["lr"], settings["seed"], settings["batch"]) == (0.5, 5, 2)
    assert record.training["preset"] == "johnson2016"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "lrr=1"], "unknown setting 'lrr'; did you mean 'lr'?"),
        (["--batch", 0], "batch: input should be greater than or equal to 1, not 0"),
        (["--workers", -1], "workers: input should be greater than or equal to 0, not -1"),
        (["--steps", 3, "--set", "steps=4"], "steps is set twice, by --set and by an option of its own"),
        (["--from", "no.safetensors"], "leave it out"),
        (["--resume"], "cannot resume: "),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_what_is_refused(refused, words, more, message):
    assert message in refused(*words, *more)


def test_a_name_that_nobody_knows(refused, words):
    words[1] = "jonson"
    assert refused(*words).startswith("unknown training preset or network 'jonson'; did you mean 'johnson'?")


def test_ctrl_c_leaves_a_model_and_a_run_to_go_on_with(velatura, words, tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "velatura", *map(str, words)),
            *("--steps", "1000000", "--report-every", "1", "--workers", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr.readline().startswith("step 0/1000000, held out: loss ")
        assert process.stderr.readline().startswith("step 1/1000000, loss ")
        # As a terminal does it: to the workers as well.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert out == f"{tmp_path / 'run' / 'model.safetensors'}\n"
    assert "velatura: stopping after this step (Ctrl-C again to stop at once)" in err
    assert "Traceback" not in err
    step = read_model(tmp_path / "run" / "model.safetensors")[1].training["step"]
    with safe_open(tmp_path / "run" / "checkpoint.safetensors", "pt") as checkpoint:
        assert f'"step": {step},' in checkpoint.metadata()["velatura.checkpoint"]
    answer = velatura(*words, "--steps", step + 1, "--resume", "-q")
    assert answer.status == 0
    assert read_model(tmp_path / "run" / "model.safetensors")[1].training["step"] == step + 1
