"""``velatura sweep`` as it is called."""

import pytest

from velatura.core.errors import VelaturaError
from velatura.jobs.sweep import worker

SPEC = """
base: {size: 32, pyramid.smallest: 0, pyramid.steps: [2]}
axes: {strength: [0.5, 2]}
pairs: [{content: photo.png, style: painting.png}]
metrics: [rmse]
"""


@pytest.fixture
def sweep(photo, painting, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: None)
    (tmp_path / "sweep.yaml").write_text(SPEC)
    return tmp_path / "sweep.yaml"


def test_a_sweep_says_what_it_does_and_names_what_it_wrote(velatura, sweep, tmp_path):
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--jobs", 1)
    assert answer.status == 0
    table, _, paths = answer.out.partition("\n\n")
    assert table in (tmp_path / "out" / "table.md").read_text()
    assert [line.split(" | ")[0] for line in table.splitlines()] == ["| strength", "| ---", "| 0.5", "| 2"]
    assert paths.splitlines() == [
        str(tmp_path / "out" / name) for name in ("table.md", "sheet.png", "cells.csv")
    ]
    lines = answer.err.splitlines()
    assert lines[0].startswith("1/2 strength=0.5, photo+painting, seed 0: ")
    assert "s left" in lines[0]
    assert lines[1].startswith("2/2 strength=2, photo+painting, seed 0: ")
    again = velatura("sweep", sweep, "-o", tmp_path / "out", "--quiet")
    assert (again.status, again.out) == (0, paths)


def test_a_failing_cell_gives_status_1(velatura, sweep, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise VelaturaError("no such luck")

    monkeypatch.setattr(worker, "stylize_pictures", fail)
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--jobs", 1, "--quiet")
    assert answer.status == 1
    assert "velatura: strength=2, photo+painting, seed 0: no such luck" in answer.err
    assert "2 of 2 cells failed; the table says why" in answer.err


def test_a_picture_that_cannot_be_read_gives_status_1_and_the_rest(velatura, sweep, photo, tmp_path):
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:-40])
    sweep.write_text(SPEC.replace("pairs: [", "pairs: [{content: cut.png, style: painting.png}, "))
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--jobs", 1, "--quiet")
    assert answer.status == 1
    assert answer.out.split() == [
        str(tmp_path / "out" / name) for name in ("table.md", "sheet.png", "cells.csv")
    ]
    assert "2 of 4 cells failed; the table says why" in answer.err


def test_the_sweeps_that_ship_are_listed(velatura):
    answer = velatura("sweep", "--list")
    assert (answer.status, answer.err) == (0, "")
    assert "saric2020-style-weight" in answer.out
    assert len(answer.out.splitlines()) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sweep",), "expected a sweep and a folder"),
        (("sweep", "li2018-pooling"), "expected a sweep and a folder"),
        (("sweep", "li2018-poling", "-o", "x"), "did you mean 'li2018-pooling'?"),
        (("sweep", "none.yaml", "-o", "x"), "cannot read none.yaml: No such file"),
        (
            ("sweep", "li2018-pooling", "-o", "x", "--search", 3),
            "--search N and --objective METRIC",
        ),
        (
            ("sweep", "li2018-pooling", "-o", "x", "--search", 0, "--objective", "style-gram"),
            "a search tries 1 point at least, not 0",
        ),
        (("sweep", "li2018-pooling", "-o", "x", "--set", "sizes=3"), "unknown setting 'sizes'"),
        (("sweep", "li2018-pooling", "-o", "x", "--jobs", 0), "jobs: input should be greater than"),
    ],
)
def test_what_is_wrong_is_one_line(refused, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(*words)
    assert not (tmp_path / "x" / "cells").exists()


def test_a_long_table_is_not_printed(velatura, sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.cli.sweep._MOST_LINES", 3)
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--jobs", 1)
    assert "|" not in answer.out


def test_a_folder_of_pictures_stands_for_the_reference(velatura, sweep, photo, tmp_path):
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--jobs", 1, "--reference", photo.parent)
    assert answer.status == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert f"Chosen by hand: reference from {photo.parent}." in table
    assert f"compare with a pseudo ground truth: pictures in {photo.parent.absolute()}" in table


def test_a_folder_that_is_not_there_is_no_reference(velatura, sweep, tmp_path):
    answer = velatura("sweep", sweep, "-o", tmp_path / "out", "--reference", tmp_path / "none")
    assert (answer.status, answer.err) == (
        2,
        f"velatura: --reference: there is no folder {tmp_path / 'none'}\n",
    )
