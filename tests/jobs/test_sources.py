"""Which pictures are learnt from, and which only validate."""

import tarfile

import numpy as np
import pytest

from velatura.core.errors import ConfigError
from velatura.imaging import Picture
from velatura.jobs.sources import find_sources, hold_out, pictures_under
from velatura.networks import networks


@pytest.fixture
def folder(tmp_path):
    """Pictures in two folders, beside what is none."""
    pixels = np.zeros((8, 8, 3), np.float32)
    for name in ("b.png", "a.jpg", "deep/er/c.PNG", ".hidden.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.of(pixels).save(path.with_suffix(path.suffix.lower()))
        path.with_suffix(path.suffix.lower()).rename(path)
    (tmp_path / "pictures" / "notes.txt").write_text("x")
    (tmp_path / "pictures" / "folder.png").mkdir()
    return tmp_path / "pictures"


def test_every_twentieth_is_held_out():
    learnt, held = hold_out(list(range(45)))
    assert held == [0, 20, 40]
    assert learnt == [number for number in range(45) if number not in held]
    assert hold_out(list(range(45)), most=2) == ([n for n in range(45) if n not in (0, 20)], [0, 20])
    assert hold_out([7]) == ([], [7])


def test_a_folder_is_looked_through_to_the_bottom(folder):
    assert [location.name for location in pictures_under(folder)] == ["a.jpg", "b.png", "deep/er/c.PNG"]


def test_a_tar_holds_what_the_folder_holds(folder, tmp_path):
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        tar.add(folder, arcname="")
    inside, outside = pictures_under(tmp_path / "all.tar"), pictures_under(folder)
    assert [location.name for location in inside] == [location.name for location in outside]
    assert [location.content() for location in inside] == [location.content() for location in outside]


def test_a_picture_is_one(folder):
    assert [location.path for location in pictures_under(folder / "b.png")] == [folder / "b.png"]
    with pytest.raises(ConfigError, match=r"cannot read pictures from .*z\.png: No such file or directory"):
        pictures_under(folder / "z.png")


def test_styles_of_a_network_s_own_have_names_and_hashes(folder):
    sources = find_sources(str(folder), [str(folder)], networks["cin"]())
    assert sources.own_names == ("a", "b", "c")
    assert len(set(sources.own_sha256)) == 2  # The two PNG files are equal.
    assert sources.held_styles == sources.styles
    assert find_sources(str(folder), [str(folder)], networks["adain"]()).own_names == ()
