import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.ops.wrap import goes_round, resize_wrapped, wrapped


def image(height, width, seed=0):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_x_joins_columns_and_y_rows():
    assert [goes_round(wrap) for wrap in ("none", "x", "y", "both")] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_window_of_the_picture_repeated(memory_format):
    picture = image(5, 4).contiguous(memory_format=memory_format)
    found = wrapped(picture, 2, 3)
    assert torch.equal(found, picture.repeat(1, 1, 3, 3)[:, :, 3:12, 1:11])
    assert found.is_contiguous(memory_format=memory_format)


def test_gradients_go_where_the_copies_came_from():
    assert gradcheck(lambda picture: wrapped(picture, 2, 1).pow(3), image(3, 4).requires_grad_())


def test_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="a map of 4x3 has no 1 columns and 5 rows to go round by"):
        wrapped(image(3, 4), 5, 1)


@pytest.mark.parametrize(("size", "step"), [((48, 16), (2, 8)), ((32, 64), (4, 4)), ((16, 32), (8, 16))])
def test_resizing_a_rolled_picture_rolls_the_result(size, step):
    # Rolled by a whole step of both grids: 32 and 64 pixels have common steps of 1 / gcd.
    picture = image(32, 64)
    rolled = picture.roll((32 // step[0], 64 // step[1]), dims=(2, 3))
    expected = resize_wrapped(picture, size, "both").roll(
        (size[0] // step[0], size[1] // step[1]), dims=(2, 3)
    )
    assert_close(resize_wrapped(rolled, size, "both"), expected)


def test_resizing_is_that_of_the_picture_repeated():
    picture = image(16, 32)
    expected = torch.nn.functional.interpolate(
        picture.repeat(1, 1, 3, 3), (72, 144), mode="bicubic", antialias=True
    )[:, :, 24:48, 48:96]
    assert_close(resize_wrapped(picture, (24, 48), "both"), expected)


def test_one_axis_alone_goes_round():
    picture = image(16, 32)
    expected = torch.nn.functional.interpolate(
        picture.repeat(1, 1, 1, 3), (24, 144), mode="bicubic", antialias=True
    )[:, :, :, 48:96]
    assert_close(resize_wrapped(picture, (24, 48), "x"), expected)
