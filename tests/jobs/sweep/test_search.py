"""A search in the place of a grid; runs are replaced by a formula, so that the best point is known."""

import json
import math

import pytest

from velatura.core.errors import ConfigError
from velatura.imaging import read_picture, write_picture
from velatura.jobs.sweep import SearchJob, SweepJob, load_sweep, plots, run_search
from velatura.jobs.sweep import run as running
from velatura.jobs.sweep.store import Measured

from .conftest import SPEC

RANGE = SPEC.replace("[0.5, 2]", "{from: 0.01, to: 100, num: 5}")


FORMULAS = {
    "rmse": lambda strength: 1 + math.log10(strength / 3) ** 2,
    "psnr": lambda strength: 30 - math.log10(strength / 3) ** 2,
    "high-frequency": lambda strength: strength / 3,
}
"""Values that are best at a strength of 3: low, high and near 1."""


@pytest.fixture
def searching(spec, tmp_path, monkeypatch):
    """Searches with cells that are made by a formula; gives the result and the strengths tried."""
    pytest.importorskip("optuna")
    monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: None)
    tried = []

    def formula(cells, settings, *, cancelled):
        store = running.Store(settings.folder)
        for cell in cells:
            if cancelled():
                return
            tried.append(cell.how.strength)
            measured = Measured(
                key=cell.key,
                labels=cell.point.labels,
                content=cell.pair.content.name,
                style=cell.pair.style.name,
                seed=cell.seed,
                values={name: value(cell.how.strength) for name, value in FORMULAS.items()},
                seconds=0.1,
            )
            write_picture(read_picture(tmp_path / "photo.png"), store.picture(cell.key))
            store.write(measured)
            yield cell, measured

    monkeypatch.setattr(running, "in_this_process", formula)

    def search(text=RANGE, *, trials, objective="rmse", folder="found", **options):
        job = SweepJob(sweep=load_sweep(spec(text)), folder=str(tmp_path / folder), jobs=1)
        return run_search(SearchJob(job=job, trials=trials, objective=objective), **options)

    search.tried, search.spec, search.folder = tried, spec, tmp_path / "found"
    return search


def test_a_search_comes_near_the_best(searching, tmp_path):
    result = searching(trials=30)
    found = json.loads((tmp_path / "found" / "search.json").read_text())
    assert len(found) == 30
    assert [one["value"] for one in found] == sorted(one["value"] for one in found)
    # The best is 3, somewhere in four decades.
    assert found[0]["settings"]["strength"] == pytest.approx(3, rel=0.5)
    assert set(result.files) >= {"search", "table", "csv", "sheet"}
    table = (tmp_path / "found" / "table.md").read_text(encoding="utf-8")
    assert "A search of 30 points for the best rmse (lower), best first." in table


@pytest.mark.parametrize("objective", FORMULAS)
def test_values_are_those_of_the_metric_and_the_best_is_first(searching, objective):
    text = RANGE.replace("[rmse]", f"[{objective}]")
    searching(text, trials=12, objective=objective)
    found = json.loads((searching.folder / "search.json").read_text())
    strengths = [one["settings"]["strength"] for one in found]
    value = FORMULAS[objective]
    assert [one["value"] for one in found] == pytest.approx(list(map(value, strengths)))
    distances = [abs(value(strength) - value(3)) for strength in strengths]
    assert distances == sorted(distances)


def test_a_search_begun_again_makes_nothing_and_a_longer_one_the_rest(searching):
    searching(trials=6)
    first = list(searching.tried)
    assert searching(trials=6).made == 0
    searching(trials=12)
    again = list(searching.tried)
    searching.tried.clear()
    searching(trials=12, folder="at once")
    assert (again[:6], sorted(again)) == (first, sorted(searching.tried))


@pytest.fixture
def panels(searching, panels_of, monkeypatch):
    """The panels that are drawn, in a search with plots."""
    monkeypatch.setattr("velatura.jobs.sweep.outputs.find_spec", lambda name: name)
    return panels_of(plots)


def strengths_drawn(panel):
    return sorted(panel.lines[0].get_xdata())


def test_what_was_searched_is_drawn_at_its_numbers(searching, panels):
    searching(trials=6)
    assert strengths_drawn(panels[0]) == sorted(searching.tried)


def test_what_an_interrupted_search_made_is_drawn_too(searching, panels):
    reports = []
    result = searching(trials=8, on_cell=reports.append, cancelled=lambda: len(reports) >= 6)
    assert result.interrupted
    assert strengths_drawn(panels[0]) == sorted(searching.tried)
    assert len(searching.tried) == 6


def counts(reports):
    return [(report.done, report.total) for report in reports]


def test_progress_goes_on_from_what_is_there(searching):
    reports = []
    searching(trials=10, on_cell=reports.append)
    assert counts(reports) == [(number, 10) for number in range(1, 11)]
    reports.clear()
    searching(trials=12, on_cell=reports.append)
    assert counts(reports) == [(11, 12), (12, 12)]


def test_progress_counts_no_seeds_that_are_not_made(searching):
    reports = []
    searching("seeds: 3\n" + RANGE, trials=6, on_cell=reports.append)
    assert counts(reports) == [(number, 6) for number in range(1, 7)]


def test_pairs_of_equal_files_are_both_told_of(searching, tmp_path):
    searching.spec()
    (tmp_path / "copy.png").write_bytes((tmp_path / "photo.png").read_bytes())
    pair = "  - {content: photo.png, style: painting.png}\n"
    result = searching(RANGE.replace(pair, pair + pair.replace("photo", "copy")), trials=2)
    assert [one.content for one in result.measured] == ["photo", "copy"] * 2
    assert len(searching.tried) == 2


def test_lists_are_searched_among_their_values(searching):
    searching(SPEC, trials=8)
    assert set(searching.tried) == {0.5, 2}


def test_what_cannot_be_searched(searching):
    with pytest.raises(ConfigError, match="unknown metric of this sweep 'rsme'; did you mean 'rmse'"):
        searching(trials=2, objective="rsme")
    with pytest.raises(ConfigError, match="a search tries 1 point at least, not 0; give --search"):
        searching(trials=0)
    with pytest.raises(ConfigError, match="those of this sweep are paired"):
        searching("combine: paired\n" + SPEC, trials=2)


def test_a_grid_and_a_search_do_not_share_a_folder(searching):
    searching(trials=2)
    with pytest.raises(ConfigError, match="another sweep: objective differ"):
        running.run_sweep(
            SweepJob(sweep=load_sweep(searching.spec(RANGE)), folder=str(searching.folder), jobs=1)
        )


def test_a_search_without_optuna_says_what_to_install(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.jobs.sweep.search.find_spec", lambda name: None)
    job = SweepJob(sweep=load_sweep(spec(RANGE)), folder=str(tmp_path / "found"))
    with pytest.raises(ConfigError, match=r"a search needs optuna: pip install 'velatura\[train\]'"):
        run_search(SearchJob(job=job, trials=2, objective="rmse"))


def test_a_search_that_is_cancelled_between_two_lots_is_interrupted_too(searching):
    reports = []
    result = searching(trials=8, on_cell=reports.append, cancelled=lambda: len(reports) == 4)
    assert len(reports) == 4
    assert result.interrupted
