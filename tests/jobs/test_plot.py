import math
from pathlib import Path

import pytest
from PIL import Image

from velatura.core.errors import OutputError
from velatura.jobs.plot import plot_history


def history(*losses, scale=1, size=(36, 48)):
    return [
        {"scale": scale, "step": step, "size": list(size), "loss": loss, "terms": {"style": loss}}
        for step, loss in enumerate(losses, start=1)
    ]


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".jpg", ".webp"])
def test_every_format_begins_as_it_should(tmp_path, suffix):
    path = tmp_path / f"losses{suffix}"
    plot_history(history(3.0, 2.0, 1.0), path)
    signatures = {
        ".png": b"\x89PNG",
        ".pdf": b"%PDF",
        ".svg": b"<?xml",
        ".jpg": b"\xff\xd8",
        ".webp": b"RIFF",
    }
    assert path.read_bytes().startswith(signatures[suffix])


def test_scales_are_marked_with_their_sizes(tmp_path):
    plot_history(history(3.0, 2.0) + history(2.5, scale=2, size=(72, 96)), tmp_path / "losses.svg")
    drawn = (tmp_path / "losses.svg").read_text()
    assert "48x36" in drawn
    assert "96x72" in drawn
    assert "style" in drawn


@pytest.mark.parametrize("losses", [(), (1.0,), (0.0, 0.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_odd_histories_are_drawn_too(tmp_path, losses):
    plot_history(history(*losses), tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as image:
        assert image.size == (960, 540)


def test_a_plot_that_cannot_be_written_is_one_line():
    with pytest.raises(OutputError, match=r"^cannot write '/proc/losses.png'"):
        plot_history(history(1.0), Path("/proc/losses.png"))
