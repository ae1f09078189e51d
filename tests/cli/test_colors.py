"""``--color``, ``--palette`` and ``--keep-colors`` of ``velatura stylize`` and ``velatura apply``."""

import json

import pytest
import torch

from velatura.imaging import Picture, read_picture
from velatura.ops.color_spaces import chroma_distance


def pixels(path):
    return read_picture(path).pixels


def test_luminance_by_steps_and_by_networks(velatura, stylize, models, photo, painting, tmp_path):
    paths = plain, kept, passed, applied = [tmp_path / f"{n}.png" for n in range(4)]
    assert stylize("-q", output=plain).status == 0
    assert stylize("-q", "--color", "luminance", output=kept).status == 0
    words = ("stylize", photo, painting, "--preset", "instant", "--color", "luminance", "-q", "-o", passed)
    assert velatura(*words).status == 0
    words = ("apply", "cin", photo, "--style", "waves", "--color", "luminance", "-q", "-o", applied)
    assert velatura(*words).status == 0
    chroma = [chroma_distance(pixels(path)[None], pixels(photo)[None]) for path in paths]
    assert chroma[0] > 2
    assert max(chroma[1:]) < 1


def test_keep_colors_is_short_for_match_monge(velatura, stylize, models, photo, painting, tmp_path):
    short, long, record = tmp_path / "short.png", tmp_path / "long.png", tmp_path / "r.json"
    assert stylize("-q", "--keep-colors", "--record", record, output=short).status == 0
    assert stylize("-q", "--color", "match-monge", output=long).status == 0
    assert torch.equal(pixels(short), pixels(long))
    assert json.loads(record.read_text())["stylization"]["color"]["name"] == "match-monge"
    words = ("stylize", photo, painting, "--preset", "instant", "-q", "-o")
    assert velatura(*words, tmp_path / "plain.png").status == 0
    assert velatura(*words, tmp_path / "kept.png", "--keep-colors").status == 0
    assert not torch.equal(pixels(tmp_path / "plain.png"), pixels(tmp_path / "kept.png"))
    words = ("apply", "adain-slim", photo, "--style", painting, "--keep-colors", "-q", "-o")
    assert velatura(*words, tmp_path / "applied.png").status == 0
    assert torch.equal(pixels(tmp_path / "applied.png"), pixels(tmp_path / "kept.png"))


def test_palette_and_settings_of_the_mode(stylize, tmp_path):
    record = tmp_path / "r.json"
    words = ("--color", "luminance", "--palette", "0.25", "--set", "color.space=yiq", "--record", record)
    assert stylize("-q", *words).status == 0
    assert json.loads(record.read_text())["stylization"]["color"] == {
        "name": "luminance",
        "space": "yiq",
        "palette": 0.25,
        "epsilon": 1e-5,
    }


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--color", "luminanc"], "unknown colour mode 'luminanc'; did you mean 'luminance'?"),
        (
            ["--palette", "0.5"],
            "palette goes from the photo's colours to the painting's, and",
        ),
        (
            ["--color", "histogram", "--palette", "2"],
            "palette: input should be less than or equal to 1",
        ),
        (
            ["--keep-colors", "--color", "histogram"],
            "--keep-colors is short for --color match-monge; leave",
        ),
        (["--color", "histogram", "--set", "color.name=style"], "color.name is set twice"),
        (["--set", "colors=photo"], "unknown setting 'colors'"),
    ],
)
def test_what_is_wrong_is_one_line(stylize_refused, words, line):
    assert line in stylize_refused(*words)


@pytest.mark.parametrize("words", [["--keep-colors"], ["--color", "match-pca"]])
def test_networks_with_styles_of_their_own_recolour_no_painting(refused, models, photo, tmp_path, words):
    line = refused("apply", "cin", photo, "-o", tmp_path / "o.png", "--style", "waves", *words)
    assert "cin.safetensors has learnt the colours of its styles" in line


def test_a_grey_photograph_is_said(stylize, tmp_path):
    Picture(torch.full((3, 32, 40), 0.4)).save(tmp_path / "grey.png")
    answer = stylize("-q", "--color", "luminance", content=tmp_path / "grey.png")
    assert answer.status == 0
    assert "the photograph is grey, and with the colours of 'luminance' so is the result" in answer.err
