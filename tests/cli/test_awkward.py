"""Every file of the awkward collection as photograph and as painting, through the whole job.

Either a picture of the right size or one line, in seconds, within 2 GiB, and nothing left behind.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_picture
from velatura.ops.resize import fit

pytestmark = pytest.mark.data

_SIZE = 48
# Torch is loaded once for all runs: its import takes longer than a run.
_RUNS = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from velatura.core.errors import VelaturaError
from velatura.jobs.stylize import StylizeJob, stylization
from velatura.runners import run
photo, painting, folder = sys.argv[1:4]
changes = {"pyramid.steps": [1], "pyramid.smallest": 0}
how = stylization(changes=changes, size=int(sys.argv[4]), precision="float32", device="cpu")
answers = {}
for path in sys.stdin.read().splitlines():
    for role in ("content", "style"):
        given = {"content": photo, "styles": (painting,)}
        given |= {"content": path} if role == "content" else {"styles": (path,)}
        output = str(Path(folder) / f"{len(answers)}.png")
        began = time.process_time()
        try:
            picture = run(StylizeJob(output=output, stylization=how, **given)).picture
            answer = [picture.width, picture.height]
        except VelaturaError as error:
            answer = [type(error).__name__, str(error)]
        answers[f"{role} {path}"] = [answer, output, time.process_time() - began]
print(json.dumps([answers, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


@pytest.fixture(scope="module")
def files(data_dir, request):
    """Every file, or, unless the tests run whole, every fifth and every one that is not from PngSuite."""
    folder = data_dir / "awkward"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(every) == 226
    if request.config.getoption("--whole"):
        return every
    return [path for number, path in enumerate(every) if number % 5 == 0 or path.parent.name == "pillow"]


@pytest.fixture(scope="module")
def runs(files, tmp_path_factory):
    """Role and path to what came of it; the most memory; and the folders that were written to."""
    outputs, temporary = map(tmp_path_factory.mktemp, ("outputs", "temporary"))
    others = [tmp_path_factory.mktemp("given") / name for name in ("photo.png", "painting.png")]
    for path in others:
        Picture.of(np.random.default_rng(0).random((36, 48, 3), np.float32)).save(path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _RUNS, *map(str, others), str(outputs), str(_SIZE)],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        timeout=280,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers, memory = json.loads(done.stdout)
    return answers, memory, outputs, temporary


def test_a_photograph_gives_a_picture_of_its_proportions_or_one_line(runs):
    answers, *_ = runs
    for key, (answer, output, _) in answers.items():
        if not key.startswith("content") or isinstance(answer[0], str):
            continue
        source, written = read_picture(key.removeprefix("content ")), read_picture(output)
        assert (written.height, written.width) == fit(source.height, source.width, _SIZE), key
        assert [written.width, written.height] == answer, key
        assert (written.alpha is None) == (source.alpha is None), key


def test_a_painting_gives_a_picture_of_the_photograph_or_one_line(runs):
    answers, *_ = runs
    sizes = {
        tuple(answer)
        for key, (answer, _, _) in answers.items()
        if key.startswith("style") and not isinstance(answer[0], str)
    }
    assert sizes == {(48, 36)}


def test_what_is_refused_is_refused_in_one_line_and_for_a_reason(runs):
    answers, *_ = runs
    refused = {key: answer for key, (answer, _, _) in answers.items() if isinstance(answer[0], str)}
    for key, (kind, line) in refused.items():
        assert kind in ("ImageError", "ConfigError"), key
        assert "\n" not in line, key
        path = key.partition(" ")[2]
        if kind == "ImageError":
            with pytest.raises(ImageError):
                read_picture(path)
            assert line.startswith(f"cannot read '{path}': "), key
        else:
            assert "too small" in line or "squarer shape" in line, (key, line)
    # PngSuite's broken files are the ones that begin with an x.
    broken = [key for key in answers if "/png__x" in key]
    assert broken
    assert set(broken) <= set(refused)
    assert len(refused) < len(answers) / 2


def test_no_run_takes_long_or_much_memory(runs):
    answers, memory, *_ = runs
    slowest = max(answers, key=lambda key: answers[key][2])
    assert answers[slowest][2] < 10, slowest
    assert memory < 2 * 2**30


def test_nothing_is_left_behind(runs):
    answers, _, outputs, temporary = runs
    pictures = [output for answer, output, _ in answers.values() if not isinstance(answer[0], str)]
    assert {path.name for path in outputs.iterdir()} == {Path(picture).name for picture in pictures}
    assert list(temporary.iterdir()) == []


def test_the_command_line_says_the_line_and_leaves_nothing(refused, data_dir, photo, tmp_path):
    broken = data_dir / "awkward" / "pillow" / "truncated_jpeg.jpg"
    before = {path.name for path in tmp_path.iterdir()}
    for words in ([broken, photo], [photo, broken]):
        line = refused("stylize", *words, "-o", tmp_path / "out.png", "--steps", 1)
        assert line.startswith(f"cannot read '{broken}': image file is truncated")
    assert {path.name for path in tmp_path.iterdir()} == before
