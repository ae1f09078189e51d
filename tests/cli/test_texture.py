import json

import pytest

from velatura.imaging import read_picture


@pytest.fixture
def texture(velatura, painting, tmp_path):
    def call(*words, output=tmp_path / "out.png"):
        return velatura("texture", painting, "-o", output, "--threads", 1, "--steps", 2, *words)

    return call


@pytest.fixture
def texture_refused(refused, painting, tmp_path):
    def call(*words):
        return refused("texture", painting, "-o", tmp_path / "out.png", "--steps", 1, *words)

    return call


@pytest.mark.parametrize(("size", "expected"), [("48x32", (48, 32)), ("40", (40, 40)), ("36X52", (36, 52))])
def test_a_texture_of_a_size(texture, tmp_path, size, expected):
    answer = texture("--size", size)
    assert (answer.status, answer.out) == (0, f"{tmp_path / 'out.png'}\n")
    found = read_picture(tmp_path / "out.png")
    assert (found.width, found.height) == expected


def test_a_tileable_texture_is_rounded_up_and_says_so(texture, tmp_path):
    answer = texture("--size", "50x32", "--tileable", "x", "--smooth", "--seed", 3, "--tv", 0.1)
    assert answer.status == 0
    assert "velatura: 50x32 pixels were made 64x32" in answer.err
    assert read_picture(tmp_path / "out.png").width == 64


def test_a_texture_in_tiles(texture, tmp_path):
    record = tmp_path / "record.json"
    assert texture("--size", 40, "--tile", 400, "--record", record).status == 0
    assert json.loads(record.read_text())["texturing"]["method"]["tile"] == 400


def test_pictures_on_the_way(texture, tmp_path):
    assert texture("--size", 32, "--save-every", 1).status == 0
    assert (tmp_path / "out-00001.png").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--size", "big"], "--size: expected WIDTHxHEIGHT such as 640x480, or one number, not 'big'"),
        (["--size", "0x40"], "size.0: input should be greater than or equal to 1, not 0"),
        (["--size", "8"], "a canvas of 8x8 pixels is too small"),
        (["--tileable", "z"], "tileable: input should be 'none', 'x', 'y' or 'both', not 'z'"),
        (
            ["--preset", "fast"],
            "preset 'fast' optimises a picture: use it with 'velatura stylize --preset fast'",
        ),
        (["--preset", "textures"], "unknown preset 'textures'; did you mean 'texture'?"),
        (["--init", "content"], "the initialisation 'content' is of a photograph, and a texture has none"),
        (["--start", "a.png", "--init", "grey"], "--start needs the initialisation 'picture', not 'grey'"),
        (["--size", "64", "--tile", "40"], "a tile of 40 pixels is smaller than what the deepest layer sees"),
        (["--scale", "0"], "scale: input should be greater than 0, not 0.0"),
        (["--blend", "1,2"], "blend has 2 weights for 1 style picture; give one for each"),
        (["--start", "none.png"], "none.png"),
    ],
)
def test_a_wrong_request_is_one_line(texture_refused, words, line):
    assert line in texture_refused(*words)


def test_a_painting_that_is_not_there(refused, tmp_path):
    assert "missing.png" in refused("texture", tmp_path / "missing.png", "-o", tmp_path / "out.png")


def test_the_painting_is_not_overwritten(refused, painting):
    assert "is read by this job and will not be overwritten" in refused("texture", painting, "-o", painting)
