"""``--mask`` of ``velatura stylize`` and ``velatura apply``."""

import pytest
import torch

from velatura.imaging import Picture, read_picture


@pytest.fixture
def masks(tmp_path):
    """Left and right half of 40x32 pixels."""
    left = torch.zeros(3, 32, 40)
    left[..., :20] = 1
    Picture(left).save(tmp_path / "left.png")
    Picture(1 - left).save(tmp_path / "right.png")
    return tmp_path / "left.png", tmp_path / "right.png"


def pixels(path):
    return read_picture(path).pixels


def test_masks_go_to_the_styles_in_their_order(velatura, models, photo, masks, tmp_path):
    left, right = masks
    words = ("apply", "cin", photo, "-q", "--style", "mosaic", "--style", "waves", "-o")
    assert velatura(*words, tmp_path / "a.png", "--mask", left, "--mask", right).status == 0
    assert velatura(*words, tmp_path / "b.png", "--mask", right, "--mask", left).status == 0
    one, other = pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png")
    alone = ("stylize", photo, "mosaic", "-o", tmp_path / "m.png", "--model", "cin", "-q")
    assert velatura(*alone).status == 0
    mosaic = pixels(tmp_path / "m.png")
    assert torch.equal(one[..., :20], mosaic[..., :20])
    assert torch.equal(other[..., 20:], mosaic[..., 20:])
    assert not torch.equal(one, other)


def test_stylize_takes_masks_and_says_what_they_leave(velatura, models, photo, painting, masks, tmp_path):
    words = ("stylize", photo, painting, "--preset", "instant", "--mask", masks[1], "-o")
    answer = velatura(*words, tmp_path / "o.png", "-q")
    assert answer.status == 0
    assert answer.err == "velatura: the masks leave 50% of the photograph as it is\n"
    assert torch.equal(pixels(tmp_path / "o.png")[..., :20], pixels(photo)[..., :20])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--mask", "m.png"], "cannot read 'm.png': there is no such file"),
        (
            ["--preset", "instant", "--mask", "{left}", "--mask", "{left}"],
            "2 were given, and the styles are 1",
        ),
        (["--preset", "instant", "--mask", "{left}", "--blend", "1"], "masks say where each style goes"),
    ],
)
def test_what_is_wrong_is_one_line(refused, models, photo, painting, masks, tmp_path, words, line):
    words = [word.format(left=masks[0]) for word in words]
    assert line in refused("stylize", photo, painting, "-o", tmp_path / "o.png", *words)


def test_a_batch_does_not_write_over_a_mask(refused, models, photo, masks, tmp_path):
    (tmp_path / "photos").mkdir()
    photo.rename(tmp_path / "photos" / "left.png")
    line = refused("apply", "johnson", tmp_path / "photos", "--mask", masks[0], "-o", tmp_path)
    assert line.endswith("left.png is read here and will not be overwritten; choose another folder")
    missing = tmp_path / "none.png"
    line = refused("apply", "johnson", tmp_path / "photos", "--mask", missing, "-o", tmp_path / "out")
    assert line == f"cannot read '{missing}': there is no such file"
