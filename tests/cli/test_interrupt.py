"""Ctrl-C, in a process of its own."""

import signal
import subprocess
import sys

import pytest

from velatura.imaging import read_picture


@pytest.fixture
def running(photo, painting, tmp_path):
    """A run of far too many steps, once its first step is done."""
    words = ["stylize", photo, painting, "-o", tmp_path / "out.png", "--steps", "1000000"]
    checkpoint = ["--checkpoint", tmp_path / "run.safetensors", "--checkpoint-every", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "velatura", *map(str, [*words, *checkpoint])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("scale 1/1 40x32, step 1/1000000, loss ")
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_writes_the_best_picture_and_the_checkpoint(running, velatura, photo, painting, tmp_path):
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == f"{tmp_path / 'out.png'}\n"
    assert "velatura: stopping after this step (Ctrl-C again to stop at once)\n" in err
    assert err.endswith("40x32 pixels, interrupted: the best so far\n")
    assert "Traceback" not in err
    assert read_picture(tmp_path / "out.png").width == 40
    files = {"out.png", "painting.png", "photo.png", "run.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_second_ctrl_c_ends_at_once(photo, painting, tmp_path):
    # The first signal finds a step that never ends; only the second can end it.
    script = (
        "import sys, time\n"
        "from velatura.cli import main, one\n"
        "def run(job, *, on_progress, cancelled, **_):\n"
        "    print('begun', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.01)\n"
        "one.run = run\n"
        "main(sys.argv[1:])\n"
    )
    words = ["stylize", photo, painting, "-o", tmp_path / "out.png"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert process.stderr.readline().startswith("velatura: stopping after this step")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "out.png").exists()
