import pytest
from PIL import Image

from velatura.imaging import READABLE, read_picture
from velatura.jobs.pictures import PICTURE_SUFFIXES, pictures_in


def test_pictures_come_in_the_order_of_their_names(tmp_path):
    for name in ("b.JPG", "a.png", "c.tif", "notes.txt", ".hidden.png", "._b.jpg", "png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png", "b.JPG", "c.tif"]


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_every_extension_is_of_a_format_that_is_read(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.new("L" if suffix == ".pgm" else "RGB", (32, 32), "white").save(path)
    assert read_picture(path).width == 32


def test_every_format_that_is_read_has_an_extension():
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in PICTURE_SUFFIXES} == {name.upper() for name in READABLE}
