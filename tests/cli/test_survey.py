"""``velatura survey``: make a page, analyse answers."""

import json
import subprocess
import sys

import numpy as np
import pytest

from velatura.imaging import Picture


@pytest.fixture
def folders(tmp_path):
    """Two folders of two pictures each."""
    paths = []
    for number, method in enumerate(("ours", "theirs")):
        (tmp_path / method).mkdir()
        for item, name in enumerate(("lake", "town")):
            pixels = np.random.default_rng(2 * number + item).random((24, 32, 3), np.float32)
            Picture.of(pixels).save(tmp_path / method / f"{name}.png")
        paths.append(tmp_path / method)
    return paths


def test_make_writes_the_page_and_says_what_is_in_it(velatura, folders, tmp_path):
    (folders[0] / "alone.png").write_bytes((folders[0] / "lake.png").read_bytes())
    answer = velatura("survey", "make", *folders, "-o", tmp_path / "survey.html", "--repeat", 1)
    assert answer.status == 0
    assert answer.err.splitlines() == ["1/2 lake", "2/2 town", "velatura: left out: 'alone' is not in theirs"]
    assert "survey.html: 2 pairs, 5 choices for each rater, 0.0 MiB, survey " in answer.out
    assert (tmp_path / "survey.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_words_of_the_page_can_be_chosen(velatura, folders, tmp_path):
    page = tmp_path / "survey.html"
    words = ("--question", "Which one is nearer to the painting?", "--title", "Wellen", "--checks", 0, "-q")
    answer = velatura(
        "survey", "make", *folders, "-o", page, *words, "--size", 64, "--quality", 50, "--seed", 3
    )
    assert (answer.status, answer.err) == (0, "")
    text = page.read_text(encoding="utf-8")
    assert "<title>Wellen</title>" in text
    assert "Which one is nearer to the painting?" in text


def test_wrong_requests_are_refused_in_one_line(refused, folders, tmp_path):
    page = tmp_path / "survey.html"
    assert "expected two folders or more" in refused("survey", "make", folders[0], "-o", page)
    assert "--checks can be at most" in refused("survey", "make", *folders, "-o", page, "--checks", 9, "-q")
    assert "cannot look into folder" in refused("survey", "make", folders[0], tmp_path / "no", "-o", page)
    assert "it cannot be read" in refused("survey", "analyse", tmp_path / "no.json")
    assert "holds no .json file" in refused("survey", "analyse", folders[0])
    (tmp_path / "edited.json").write_text('{"answers": []}')
    assert "it is no answers file" in refused("survey", "analyse", tmp_path / "edited.json")


def test_reports_are_refused_where_they_cannot_go(refused, tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text("{}")
    assert "expected a report such as report.json" in refused(
        "survey", "analyse", answers, "-o", "report.txt"
    )
    assert "will not be overwritten" in refused("survey", "analyse", answers, "-o", answers)
    assert json.loads(answers.read_text()) == {}


@pytest.mark.parametrize("words", [["survey"], ["survey", "make"], ["survey", "analyse"]])
def test_help_and_analysis_need_no_torch(words):
    program = (
        "import sys\n"
        "from velatura.cli import main\n"
        "import velatura.jobs.survey.analyse, velatura.jobs.survey.report\n"
        f"try: main({[*words, '--help']!r})\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
