"""Folders become a page."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from velatura.core.errors import ConfigError, ImageError, OutputError
from velatura.jobs.schema import build
from velatura.jobs.survey.make import SurveyJob, run_make_survey

SIZE = (30, 40)


@pytest.fixture
def make(tmp_path):
    """Makes a survey; gives what was made, and what the page's script knows."""

    def run(*folders, **settings):
        output = str(tmp_path / "survey.html")
        made = run_make_survey(
            build(SurveyJob, {"folders": folders, "output": output, "checks": 0, **settings})
        )
        return made, known_to(Path(output).read_text(encoding="utf-8"))

    return run


@pytest.fixture
def refused(make):
    """The same, where it must be refused; gives the message."""

    def run(*folders, error=ConfigError, **settings):
        with pytest.raises(error) as refusal:
            make(*folders, **settings)
        return str(refusal.value)

    return run


def known_to(page):
    return json.loads(re.search(r'<script id="survey" type="application/json">(.*?)</script>', page)[1])


def picture(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def two(folder):
    names = {"lake.png": SIZE, "town.png": SIZE, "tree.png": SIZE}
    return folder("ours", names), folder("theirs", names)


def test_folders_are_paired_by_name_whatever_the_format(make, folder):
    ours, theirs = folder("ours", {"lake.png": SIZE, "town.png": SIZE}), folder("theirs", {"lake.jpg": SIZE})
    made, known = make(ours, theirs)
    assert made.definition.methods == ("ours", "theirs")
    assert made.definition.items == ("lake",)
    assert made.notes == ("left out: 'town' is not in theirs",)
    assert len(known["pairs"]) == 1


def test_the_page_knows_the_pictures_but_not_the_methods(make, two, tmp_path):
    made, known = make(*two, repeat=2, checks=1)
    page = (tmp_path / "survey.html").read_text(encoding="utf-8")
    for word in ("ours", "theirs", "lake", "town", str(tmp_path)):
        assert word not in page.replace("yours", ""), word
    assert set(known["pictures"]) == set(made.definition.pictures)
    assert list(known["pictures"]) == sorted(known["pictures"])
    assert known["pairs"] == sorted(known["pairs"], key=lambda pair: pair["pictures"])
    assert all(pair["pictures"] == sorted(pair["pictures"]) for pair in known["pairs"])
    assert (known["id"], known["repeat"], known["checks"]) == (made.definition.id, 2, 1)
    assert made.num_trials == 6


def test_which_folder_comes_first_shows_in_nothing_but_the_seal(make, two):
    (_, one), (_, other) = make(*two), make(*reversed(two))
    assert one["id"] != other["id"]
    assert {**one, "id": 0, "sealed": 0} == {**other, "id": 0, "sealed": 0}


def test_the_page_asks_for_nothing_else(make, two, tmp_path):
    make(*two)
    page = (tmp_path / "survey.html").read_text(encoding="utf-8")
    assert "http:" not in page
    assert "https:" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_words_of_the_maker_are_text(make, two, tmp_path):
    words = '</script><b>$x & "y" — œ'
    _, known = make(*two, title=words, question=words)
    page = (tmp_path / "survey.html").read_text(encoding="utf-8")
    assert (known["title"], known["question"]) == (words, words)
    assert words not in page
    assert "<title>&lt;/script&gt;&lt;b&gt;$x &amp; &quot;y&quot; — œ</title>" in page


def test_pictures_of_one_item_are_as_large_as_its_smallest(make, folder):
    ours = folder("ours", {"lake.png": (60, 80), "town.png": (200, 100)})
    theirs = folder("theirs", {"lake.png": (30, 40), "town.png": (400, 200)})
    made, known = make(ours, theirs, size=120)
    sizes = {
        (made.definition.items[origin.item], picture(known["pictures"][one]).size)
        for one, origin in made.definition.pictures.items()
    }
    assert sizes == {("lake", (40, 30)), ("town", (60, 120))}
    assert made.notes == ()


def test_pictures_of_another_shape_are_said(make, folder):
    made, _ = make(folder("ours", {"lake.png": (30, 40)}), folder("theirs", {"lake.png": (40, 40)}))
    assert made.notes == ("'lake': the pictures differ in shape, which raters will see",)


def test_an_embedded_picture_has_its_pixels_and_nothing_else(make, two, tmp_path):
    file = Path(two[0]) / "lake.jpg"
    with Image.open(Path(two[0]) / "lake.png") as image:
        exif = image.getexif()
        exif[0x013B] = "the artist"
        flat = Image.new("RGB", image.size, (200, 100, 50))
        flat.save(file, exif=exif, quality=95)
    (Path(two[0]) / "lake.png").unlink()
    made, known = make(*two)
    shown = next(
        picture(known["pictures"][one])
        for one, origin in made.definition.pictures.items()
        if origin.method == 0 and made.definition.items[origin.item] == "lake"
    )
    assert not shown.getexif()
    assert shown.convert("RGB").getpixel((20, 15)) == pytest.approx((200, 100, 50), abs=4)


def test_three_folders_make_three_pairs_of_each_item(make, two, folder):
    made, known = make(*two, folder("others", {"lake.png": SIZE, "tree.png": SIZE}))
    assert made.definition.items == ("lake", "tree")
    assert len(known["pairs"]) == 6
    assert made.notes == ("left out: 'town' is not in others",)


def test_the_same_picture_twice_is_no_pair(make, folder):
    ours = folder("ours", {"lake.png": (*SIZE, 1), "town.png": (*SIZE, 2)})
    theirs = folder("theirs", {"lake.png": (*SIZE, 1), "town.png": (*SIZE, 3)})
    made, known = make(ours, theirs)
    assert made.notes == ("left out: 'lake' is the same picture in ours and theirs",)
    assert len(known["pairs"]) == 1
    assert set(known["pictures"]) == set(made.definition.pictures)


def test_photographs_and_paintings_are_found_by_name(make, folder, tmp_path):
    names = {"lake+wave.png": SIZE, "town+wave.png": SIZE}
    ours, theirs = folder("ours", names), folder("theirs", names)
    photos = folder("photos", {"lake.png": SIZE, "town.png": SIZE})
    wave = folder("paintings", {"wave.png": SIZE})
    _, known = make(ours, theirs, content=photos, style=f"{wave}/wave.png")
    contents = [pair["content"] for pair in known["pairs"]]
    assert len(set(contents)) == 2
    assert len({pair["style"] for pair in known["pairs"]}) == 1
    assert {*contents, known["pairs"][0]["style"]} <= set(known["pictures"])


def test_without_them_none_is_shown(make, two):
    _, known = make(*two)
    assert {(pair["content"], pair["style"]) for pair in known["pairs"]} == {(None, None)}


def test_folders_of_one_name_are_called_by_their_paths(make, folder):
    ours, theirs = folder("a/out", {"lake.png": SIZE}), folder("b/out", {"lake.png": SIZE})
    made, _ = make(ours, theirs)
    assert made.definition.methods == (ours, theirs)


def test_a_large_page_is_said(make, folder, monkeypatch):
    monkeypatch.setattr("velatura.jobs.survey.make._LARGE_MIB", 0.001)
    made, _ = make(folder("ours", {"lake.png": SIZE}), folder("theirs", {"lake.png": SIZE}))
    assert "a lot to send; --size or --quality make it smaller" in made.notes[0]


def test_what_cannot_be_paired_is_refused(refused, two, folder, tmp_path):
    assert "no picture has the same name in all of ours, others" in refused(
        two[0], folder("others", {"cat.png": SIZE})
    )
    assert "got one twice" in refused(two[0], two[0])
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in refused(two[0], str(tmp_path / "empty"))
    assert "no such file or directory" in refused(two[0], str(tmp_path / "nowhere"))
    assert "have one name" in refused(two[0], folder("double", {"lake.png": SIZE, "lake.jpg": SIZE}))


def test_a_survey_of_nothing_but_the_same_is_refused(refused, folder):
    same = {"lake.png": (*SIZE, 1)}
    assert "nothing to compare" in refused(folder("ours", same), folder("theirs", same))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeat": 4}, "there are 3 pairs; --repeat can be at most that, not 4"),
        ({"checks": 4}, "a rater sees 3 pairs; --checks can be at most that, not 4"),
        ({"checks": -1}, "checks: input should be greater than or equal to 0"),
        ({"size": 10}, "size: input should be greater than or equal to 64"),
        ({"question": ""}, "question"),
        ({"output": "survey.txt"}, "expected a page such as survey.html"),
    ],
)
def test_settings_that_make_no_sense_are_refused(refused, two, settings, message):
    assert message in refused(*two, **settings)


def test_a_picture_or_a_namesake_that_is_not_there_is_refused(refused, two, folder):
    (Path(two[0]) / "lake.png").write_bytes(b"no picture")
    assert "lake.png" in refused(*two, error=ImageError)
    photos = folder("photos", {"cat.png": SIZE})
    assert "no photograph is called 'lake' (there are cat)" in refused(*two, content=photos)


def test_a_page_that_cannot_be_written_is_refused(refused, two, tmp_path):
    (tmp_path / "folder.html").mkdir()
    assert "it is a folder" in refused(*two, output=str(tmp_path / "folder.html"), error=OutputError)
