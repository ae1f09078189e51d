import math
from pathlib import Path

import pytest
from PIL import Image

from velatura.core.errors import OutputError
from velatura.jobs import plot
from velatura.jobs.plot import plot_curves, plot_history


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


def drawn(tmp_path, curves):
    plot_curves(curves, tmp_path / "curves.svg", what="loss")
    return (tmp_path / "curves.svg").read_text()


def test_peaks_that_would_hide_the_rest_are_cut_and_named(tmp_path):
    falling = [100.0, 50.0, 10.0]
    assert "are cut" not in drawn(tmp_path, {"a": {"one": falling, "two": [80.0, 2900.0, 5.0]}})
    assert "peaks up to 2e+16 are cut" in drawn(tmp_path, {"a": {"one": falling, "two": [80.0, 2e16, 5.0]}})
    # Where the loss starts is always within the panel.
    assert "are cut" not in drawn(tmp_path, {"a": {"one": falling, "two": [2e16, 80.0, 5.0]}})


def test_lines_are_named_once_where_panels_share_them(tmp_path):
    lines = {"L-BFGS": [3.0, 1.0], "Adam": [3.0, 2.0]}
    once = drawn(tmp_path, {"first": lines, "second": lines, "third": {"Adam": [2.0, 1.0]}})
    assert once.count("<!-- Adam -->") == 1
    apart = drawn(tmp_path, {"first": {"Adam": [2.0, 1.0]}, "second": {"L-BFGS": [2.0, 1.0]}})
    assert (apart.count("<!-- Adam -->"), apart.count("<!-- L-BFGS -->")) == (1, 1)


@pytest.fixture
def panels(panels_of):
    """The panels that are drawn."""
    return panels_of(plot)


@pytest.mark.parametrize("count", [1, 12, 30])
def test_a_legend_takes_nothing_of_the_panel_and_all_lines_differ(tmp_path, panels, count):
    lines = {f"{place:02}, a long name of a line in a legend": [3.0, 1.0] for place in range(count)}
    plot_curves({"a": lines}, tmp_path / "curves.png", what="loss")
    box = panels[0].get_window_extent()
    assert box.height > 250
    assert box.width > 300
    assert len({(line.get_color(), line.get_linestyle()) for line in panels[0].lines}) == count


def test_a_line_looks_the_same_in_every_panel(tmp_path, panels):
    first = {"L-BFGS": [3.0, 1.0], "Adam": [3.0, 2.0]}
    plot_curves({"a": first, "b": {"Adam": [2.0, 1.0]}}, tmp_path / "curves.png", what="loss")
    looks = [
        (line.get_color(), line.get_linestyle())
        for axes in panels
        for line in axes.lines
        if line.get_label() == "Adam"
    ]
    assert looks[0] == looks[1]


def test_a_short_range_has_plain_numbers(tmp_path):
    assert "<!-- 20 -->" in drawn(tmp_path, {"a": {"one": [40.0, 20.0, 6.0]}})
