"""Running a sweep: what is written, what is not made again, and what a failure leaves behind."""

import csv
import itertools
import json
import math

import pytest
import torch
from PIL import Image

from velatura.core.errors import ConfigError, VelaturaError, WeightsError
from velatura.imaging import read_picture
from velatura.imaging.samples import SAMPLES
from velatura.jobs.stylize import stylize_pictures
from velatura.jobs.sweep import SweepJob, load_sweep, plots, run_sweep, sheet
from velatura.jobs.sweep import cells as planning
from velatura.jobs.sweep import worker as workers
from velatura.jobs.sweep.plots import plot_losses, plot_metrics
from velatura.jobs.sweep.store import Measured, Store
from velatura.jobs.sweep.summary import rows_of
from velatura.ops.intervals import mean_interval

from .conftest import SPEC


@pytest.fixture
def made(monkeypatch):
    """The strengths of the pictures that are made."""
    strengths = []
    real = workers.stylize_pictures

    def counted(content, styles, how, **options):
        strengths.append(how.strength)
        return real(content, styles, how, **options)

    monkeypatch.setattr(workers, "stylize_pictures", counted)
    return strengths


def cells(folder):
    with (folder / "cells.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sweep_writes_everything(sweeping, tmp_path):
    reports = []
    result = sweeping(reports=reports, plots=True)
    folder = tmp_path / "results"
    assert (result.made, result.interrupted, result.failed) == (2, False, ())
    assert set(result.files) == {"csv", "table", "sheet", "metrics", "losses"}
    rows = cells(folder)
    assert [row["strength"] for row in rows] == ["0.5", "2"]
    assert {(row["content"], row["style"], row["seed"], row["error"]) for row in rows} == {
        ("photo", "painting", "0", "")
    }
    for row in rows:
        with Image.open(folder / row["picture"]) as picture:
            assert picture.size == (32, 24)
        assert float(row["rmse"]) > 0
    for name in ("sheet.png", "metrics.png", "losses.png"):
        with Image.open(folder / name) as drawn:
            assert min(drawn.size) > 50
    table = (folder / "table.md").read_text(encoding="utf-8")
    assert table.startswith("# Two strengths\n")
    assert f"| 0.5 | {float(rows[0]['rmse']):.4g} |" in table
    assert [(one.done, one.total, one.failed, one.error) for one in reports] == [
        (1, 2, 0, None),
        (2, 2, 0, None),
    ]
    assert str(reports[1].cell) == "strength=2, photo+painting, seed 0"
    assert reports[1].seconds_left == 0


def test_a_cell_is_the_job_run_by_itself(sweeping, spec, tmp_path):
    result = sweeping()
    sweep = load_sweep(spec())
    how = sweep.stylization(next(sweep.points()))
    alone = stylize_pictures(
        read_picture(tmp_path / "photo.png"), [read_picture(tmp_path / "painting.png")], how
    )
    cell = result.measured[0]
    stored = read_picture(tmp_path / "results" / "cells" / cell.key / "picture.png").pixels
    assert torch.equal((alone.picture.pixels * 255).round(), (stored * 255).round())
    assert cell.loss == pytest.approx(alone.history[-1]["loss"], rel=1e-6)
    losses = json.loads((tmp_path / "results" / "cells" / cell.key / "losses.json").read_text())
    assert losses["loss"] == pytest.approx([entry["loss"] for entry in alone.history], rel=1e-6)


def test_a_finished_sweep_makes_nothing_again(sweeping, made):
    first = sweeping()
    assert made == [0.5, 2]
    again = sweeping()
    assert (again.made, made) == (0, [0.5, 2])
    assert again.measured == first.measured


def test_only_what_is_missing_is_made(sweeping, made, tmp_path):
    first = sweeping()
    (tmp_path / "results" / "cells" / first.measured[1].key / "cell.json").unlink()
    made.clear()
    assert sweeping().made == 1
    assert made == [2]


@pytest.mark.parametrize("spoil", ["cut", "picture"])
def test_a_spoilt_cell_is_made_again(sweeping, made, tmp_path, spoil):
    cell = tmp_path / "results" / "cells" / sweeping().measured[0].key
    made.clear()
    if spoil == "cut":
        (cell / "cell.json").write_text('{"key": "')
    else:
        (cell / "picture.png").unlink()
    assert sweeping().made == 1
    assert made == [0.5]


def test_a_changed_picture_makes_its_cells_again(sweeping, spec, tmp_path):
    before = {one.key for one in sweeping().measured}
    sweep = load_sweep(spec())
    Image.open(tmp_path / "painting.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
        tmp_path / "painting.png"
    )
    job = SweepJob(sweep=sweep, folder=str(tmp_path / "results"), jobs=1)
    result = run_sweep(job)
    assert result.made == 2
    assert before.isdisjoint({one.key for one in result.measured})


def test_pairs_of_equal_files_are_made_once_and_each_is_told_of(sweeping, spec, tmp_path):
    spec()
    (tmp_path / "copy.png").write_bytes((tmp_path / "photo.png").read_bytes())
    pair = "  - {content: photo.png, style: painting.png}\n"
    result = sweeping(SPEC.replace(pair, pair + pair.replace("photo", "copy")))
    assert result.made == 2
    assert [row["content"] for row in cells(tmp_path / "results")] == ["photo", "copy"] * 2
    assert result.measured[0].values == result.measured[1].values


def test_a_failing_cell_is_recorded_and_the_rest_is_made(sweeping, monkeypatch, tmp_path):
    real = workers.stylize_pictures

    def failing(content, styles, how, **options):
        if how.strength == 0.5:
            raise VelaturaError("no such luck")
        return real(content, styles, how, **options)

    monkeypatch.setattr(workers, "stylize_pictures", failing)
    reports = []
    result = sweeping(reports=reports)
    assert [one.error for one in result.measured] == ["no such luck", None]
    assert [one.error for one in reports] == ["no such luck", None]
    assert [row["error"] for row in cells(tmp_path / "results")] == ["no such luck", ""]
    table = (tmp_path / "results" / "table.md").read_text(encoding="utf-8")
    assert "- strength=0.5, photo+painting, seed 0: no such luck" in table
    # What failed is tried again, and only that.
    monkeypatch.setattr(workers, "stylize_pictures", real)
    again = sweeping()
    assert (again.made, again.failed) == (1, ())


def test_a_pair_that_cannot_be_read_fails_alone(sweeping, spec, tmp_path):
    spec()
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:-40])
    pair = "  - {content: photo.png, style: painting.png}\n"
    result = sweeping(SPEC.replace(pair, f"{pair}  - {{content: cut.png, style: painting.png}}\n"))
    assert [one.content for one in result.failed] == ["cut", "cut"]
    assert set(result.files) == {"csv", "table", "sheet"}
    drawn = read_picture(tmp_path / "results" / "sheet.png").pixels
    # The photograph that is cut and the two results that it should have; its painting is there.
    grey = int(((drawn * 255).round() == 225).all(dim=0).sum())
    assert grey // (24 * 32) == 3


def test_sources_are_drawn_no_larger_than_the_results(sweeping, tmp_path, monkeypatch):
    drawn = {}
    real = sheet.labelled_sheet

    def keeping(cells, **options):
        drawn.update(cells)
        return real(cells, **options)

    monkeypatch.setattr(sheet, "labelled_sheet", keeping)
    sweeping(changes={"size": 24})
    sizes = {column: (picture.height, picture.width) for (_, column), picture in drawn.items()}
    # The photograph has 24 rows of 32 pixels, the painting 24 of 24.
    assert sizes == {
        "photograph": (18, 24),
        "painting": (18, 18),
        "strength = 0.5": (18, 24),
        "strength = 2": (18, 24),
    }


def test_a_sweep_that_is_cancelled_goes_on(sweeping, made, tmp_path):
    reports = []
    first = sweeping(reports=reports, cancelled=lambda: len(reports) == 1)
    assert (first.interrupted, first.made, len(first.measured)) == (True, 1, 1)
    assert len(cells(tmp_path / "results")) == 1
    second = sweeping()
    assert (second.interrupted, second.made, len(second.measured)) == (False, 1, 2)


def test_a_folder_of_another_sweep_is_refused(sweeping):
    sweeping()
    with pytest.raises(ConfigError, match=r"results holds the results of another sweep: axes differ; "):
        sweeping(SPEC.replace("[0.5, 2]", "[0.5, 3]"))
    with pytest.raises(ConfigError, match="base differ"):
        sweeping(changes={"size": 24})
    # Words are no part of what a sweep is.
    assert sweeping(SPEC.replace("Two strengths", "Strengths, two")).made == 0


def test_a_folder_of_something_else_is_refused(sweeping, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files and no sweep"):
        sweeping()
    (tmp_path / "results" / "mine.txt").unlink()
    (tmp_path / "results" / "sweep.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no sweep's"):
        sweeping()


def test_what_points_share_is_found_once(spec, tmp_path, monkeypatch):
    asked = []
    for name in ("version", "_long_edge", "_reference_file"):
        real = getattr(planning, name)
        monkeypatch.setattr(planning, name, lambda *of, name=name, real=real: asked.append(name) or real(*of))
    sweep = load_sweep(spec(SPEC.replace("[0.5, 2]", "{from: 0.1, to: 10, num: 20}")))
    assert len({cell.key for cell in planning.Planner(sweep, tmp_path).cells(sweep.points())}) == 20
    assert sorted(asked) == ["_long_edge", "_reference_file", "version"]


def test_very_many_cells_have_to_be_meant(spec, tmp_path, made):
    sweep = load_sweep(spec(SPEC.replace("[0.5, 2]", "{from: 0.1, to: 10, num: 100000}")))
    with pytest.raises(ConfigError, match="this sweep has 100000 cells; say --yes if that is meant"):
        run_sweep(SweepJob(sweep=sweep, folder=str(tmp_path / "results")))
    assert not (tmp_path / "results").exists()
    assert made == []


def test_weights_that_are_missing_are_named_before_anything_runs(sweeping, made):
    absent = SPEC.replace("axes:", "  backbone.name: vgg16\naxes:")
    with pytest.raises(WeightsError, match=r"^strength=0.5: weights vgg16 are not .* by --reduced or --set$"):
        sweeping(absent, folder="network")
    judge = SPEC.replace("[rmse]", "{rmse: , style-gram: {judge: vgg16}}")
    with pytest.raises(WeightsError, match=r"^metric style-gram: its judge cannot be had: weights vgg16"):
        sweeping(judge, folder="judge")
    assert made == []
    # Who corrects the sweep goes on in the same folder.
    assert sweeping(folder="judge").made == 2


def test_a_layer_that_a_judge_lacks_is_named_before_anything_runs(sweeping, made):
    with pytest.raises(ConfigError, match=r"^metric 'style-gram'"):
        sweeping(SPEC.replace("[rmse]", "{style-gram: {layers: [relu9_9]}}"))
    assert made == []


def test_seeds_count_only_where_something_is_drawn(sweeping):
    drawn = SPEC.replace("axes:", "  initialization.name: uniform\nseeds: 3\naxes:")
    assert [one.seed for one in sweeping(drawn, folder="drawn").measured] == [0, 1, 2, 0, 1, 2]
    still = SPEC.replace("axes:", "seeds: 3\naxes:")
    assert [one.seed for one in sweeping(still, folder="still").measured] == [0, 0]


def test_means_and_intervals_of_the_table_are_those_of_the_cells(sweeping, tmp_path):
    sweeping(SPEC.replace("axes:", "  initialization.name: uniform\nseeds: 3\naxes:"))
    values = [float(row["rmse"]) for row in cells(tmp_path / "results") if row["strength"] == "0.5"]
    found = mean_interval(values)
    line = f"| 0.5 | {found.value:.4g} ± {found.half_width:.2g} |"
    assert line in (tmp_path / "results" / "table.md").read_text(encoding="utf-8")
    # By hand: t of two degrees of freedom is 4.3027.
    mean = sum(values) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
    assert found.half_width == pytest.approx(4.302653 * deviation / math.sqrt(3), rel=1e-6)


def test_pixels_are_compared_with_a_reference_that_is_made(sweeping, tmp_path):
    text = SPEC + "reference: {preset: fast, settings: {pyramid.smallest: 0, pyramid.steps: [2]}}\n"
    result = sweeping(text.replace("[0.5, 2]", "[1, 2]"))
    # The first cell is the reference's own job, but for a file of 16 bits between.
    assert result.measured[0].values["rmse"] < 1e-4
    assert result.measured[1].values["rmse"] > 1e-3
    assert len(list((tmp_path / "results" / "references").iterdir())) == 1


def test_pixels_are_compared_with_a_reference_from_a_folder(sweeping, tmp_path, spec):
    spec()
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "photo+painting.png").write_bytes((tmp_path / "photo.png").read_bytes())
    with_folder = sweeping(SPEC + "reference: {folder: truth}\n", folder="a").measured
    # The photograph is what rmse compares with where nothing is said.
    assert [one.values for one in with_folder] == [one.values for one in sweeping(folder="b").measured]
    (tmp_path / "truth" / "photo+painting.png").rename(tmp_path / "truth" / "photo.png")
    assert [one.values for one in sweeping(SPEC + "reference: {folder: truth}\n", folder="c").measured] == [
        one.values for one in with_folder
    ]
    (tmp_path / "truth" / "photo.png").rename(tmp_path / "truth" / "other.png")
    with pytest.raises(ConfigError, match=r"expected one picture called 'photo.painting' or 'photo' in"):
        sweeping(SPEC + "reference: {folder: truth}\n", folder="c")


def test_published_values_stand_beside_ours(sweeping, tmp_path):
    text = SPEC + "published:\n  - {at: {strength: 2}, values: {rmse: 0.25}, source: A book}\n"
    sweeping(text)
    table = (tmp_path / "results" / "table.md").read_text(encoding="utf-8")
    assert "| strength | rmse ↓ | rmse, published |" in table
    assert [line.split(" | ")[2] for line in table.splitlines() if line.startswith(("| 0.5", "| 2 "))] == [
        "",
        "0.25",
    ]
    assert "Published: A book." in table


def test_metrics_are_drawn_with_each_pair_and_what_was_published(sweeping, tmp_path):
    text = SPEC.replace(
        "  - {content: photo.png, style: painting.png}",
        "  - {content: photo.png, style: painting.png}\n  - {content: painting.png, style: photo.png}",
    )
    text += "published:\n  - {at: {strength: 2}, values: {rmse: 0.25}, source: A book}\n"
    result = sweeping(text)
    sweep = load_sweep(tmp_path / "sweep.yaml")
    rows = rows_of(sweep, list(sweep.points()), result.measured)
    values = {(one.labels["strength"], one.pair): one.values["rmse"] for one in result.measured}
    assert rows[0].of_pairs["rmse"] == {
        pair: values["0.5", pair] for pair in ("photo+painting", "painting+photo")
    }
    plot_metrics(sweep, rows, tmp_path / "metrics.svg")
    drawn = (tmp_path / "metrics.svg").read_text()
    for words in (
        "one pair",
        "mean, 95 % interval",
        "published, right axis",
        "(lower is better)",
        "strength",
    ):
        assert f"<!-- {words}" in drawn or f"{words} -->" in drawn
    alone = rows_of(sweep, list(sweep.points()), [one for one in result.measured if one.content == "photo"])
    plot_metrics(sweep, alone, tmp_path / "metrics.svg")
    assert "one pair" not in (tmp_path / "metrics.svg").read_text()


def of_formula(sweep, store):
    """Cells of a sweep that nothing was made for, each with three losses."""
    for number, (point, pair) in enumerate(itertools.product(sweep.points(), sweep.pairs)):
        one = Measured(
            key=str(number),
            labels=point.labels,
            content=pair.content.name,
            style=pair.style.name,
            seed=0,
            values={"rmse": number},
            steps=3,
        )
        store.write_losses(one.key, [{"loss": loss, "terms": {}} for loss in (3.0, 2.0, 1.0)])
        yield one


def test_what_is_not_drawn_of_the_losses_is_said(spec, tmp_path):
    pair = "  - {content: photo.png, style: painting.png}\n"
    others = "".join(f"  - {{content: old-town, style: {name}}}\n" for name in list(SAMPLES)[:8])
    text = SPEC.replace("[0.5, 2]", "{from: 0.1, to: 10, num: 13}").replace(pair, others)
    sweep, store = load_sweep(spec(text)), Store(tmp_path)
    made = list(of_formula(sweep, store))
    plot_losses(sweep, store, list(sweep.points()), made, tmp_path / "losses.svg")
    drawn = (tmp_path / "losses.svg").read_text()
    assert drawn.count("<!-- (the first 12 of 13 lines) -->") == 6
    assert "<!-- the first 6 of 8 pairs -->" in drawn
    few = [one for one in made if one.pair == made[0].pair and one.labels != made[0].labels]
    plot_losses(sweep, store, list(sweep.points()), few, tmp_path / "losses.svg")
    assert "the first" not in (tmp_path / "losses.svg").read_text()


def test_lines_of_metrics_differ_where_colours_come_again(spec, tmp_path, monkeypatch):
    text = SPEC.replace("axes:\n", "axes:\n  terms.style.weight: {from: 1, to: 100, num: 12}\n")
    sweep = load_sweep(spec(text))
    rows = rows_of(sweep, list(sweep.points()), list(of_formula(sweep, Store(tmp_path))))
    drawn = []
    monkeypatch.setattr(plots, "add_legend", lambda _, panels: drawn.extend(panels))
    plot_metrics(sweep, rows, tmp_path / "metrics.svg")
    lines = [bars.lines[0] for bars in drawn[0].containers]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12
