"""``velatura report`` of a sweep: its cells, its means, its own words."""

import csv
import json
import re

import numpy as np
import pytest

from velatura.imaging import Picture

HOSTILE = "<img src=x onerror=alert(1)> & 'q' \"d\""


@pytest.fixture
def sweep(tmp_path):
    """The folder of a sweep of three cells, one of which failed."""
    folder = tmp_path / "sweep"
    rows = []
    for number, rate in enumerate(("0.01", "0.1", "1.0")):
        key = f"{number:02x}" * 10
        (folder / "cells" / key).mkdir(parents=True)
        if rate != "1.0":
            Picture.of(np.full((12, 16, 3), 0.3 * number, np.float32)).save(
                folder / "cells" / key / "picture.png"
            )
            losses = {"loss": [2.0, 1.0 + number, None]}
            (folder / "cells" / key / "losses.json").write_text(json.dumps(losses))
        picture = f"cells/{key}/picture.png" if rate != "1.0" else ""
        error = "" if picture else f"not finite: {HOSTILE}"
        rows.append([rate, "photo", "painting", 0, 0.5 + number if picture else "", picture, error])
    with (folder / "cells.csv").open("w", newline="") as file:
        names = ["optimizer.lr", "content", "style", "seed", "style-gram", "picture", "error"]
        csv.writer(file).writerows([names, *rows])
    (folder / "sweep.json").write_text(json.dumps({"axes": {"optimizer.lr": ["0.01", "0.1", "1.0"]}}))
    return folder


def test_a_sweep_has_its_cells(report, sweep):
    found = report(sweep)
    assert found.page.figures == ["lr 0.01", "lr 0.1"]
    assert [curve["name"] for curve in found.page.data[0]["curves"]] == found.page.figures
    text = found.page.text
    assert "optimizer.lr style-gram error 0.01 0.5 – 0.1 1.5 – 1 – not finite" in text.replace("1.0 –", "1 –")
    assert "content photo style painting seed 0" in text
    assert HOSTILE in text
    assert "1 of 3 cells have no picture here" in text
    assert found.out.endswith(f": a sweep of 3 cells, {len(found.html.encode()) / 1024:.0f} KiB\n")


def test_a_sweep_s_own_words_and_means_are_there(report, sweep):
    about = {
        "title": f"Rates {HOSTILE}",
        "source": "Gatys et al.",
        "notes": ["Reduced."],
        "axes": {"optimizer.lr": ["0.01", "0.1", "1.0"]},
        "metrics": {"style-gram": {"direction": "lower"}},
    }
    (sweep / "sweep.json").write_text(json.dumps(about))
    (sweep / "table.md").write_text(
        "# T\n\nAfter Gatys et al..\n\nReduced.\n\n| lr | gram \\| x |\n| --- | --- |\n"
        f"| {HOSTILE} | 0.5 ± 0.1 |\n\nMeans.\n"
    )
    text = report(sweep).page.text
    assert text.count("After Gatys et al..") == text.count("Reduced.") == 1
    assert f"lr gram | x {HOSTILE} 0.5 ± 0.1 Means." in text
    assert "style-gram ↓" in text


def test_a_table_cannot_name_pictures_outside_of_its_folder(report, sweep, photo):
    text = (sweep / "cells.csv").read_text()
    outside = re.sub(r"cells/01\w+/picture.png", "../photo.png", text)
    (sweep / "cells.csv").write_text(re.sub(r"cells/00\w+/picture.png", str(photo), outside))
    found = report(sweep)
    assert found.page.figures == []
    assert "3 of 3 cells have no picture here" in found.page.text


def test_any_table_of_cells_will_do(report, tmp_path):
    for name in ("a", "b"):
        Picture.of(np.zeros((8, 8, 3), np.float32)).save(tmp_path / "any" / f"{name}.png")
    (tmp_path / "any" / "cells.csv").write_text("cell,size,same\na,1,x\nb,2\n")
    found = report(tmp_path / "any")
    assert found.page.figures == ["cell a, size 1, same x", "cell b, size 2"]


def test_an_empty_table_is_refused(refused, tmp_path):
    (tmp_path / "cells.csv").write_text("a,b\n")
    assert "has no cell in it" in refused("report", tmp_path)
