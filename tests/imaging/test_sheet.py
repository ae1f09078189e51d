import pytest
import torch

from velatura.imaging import Picture
from velatura.imaging.sheet import labelled_sheet


def plain(red, height=20, width=30):
    return Picture(torch.tensor([red, 0.0, 0.0])[:, None, None].expand(3, height, width).contiguous())


def count(sheet, red):
    """Pixels of exactly that red without green and blue."""
    wanted = torch.tensor([round(255 * red), 0, 0])[:, None, None]
    return int(((sheet.pixels * 255).round() == wanted).all(dim=0).sum())


def test_every_picture_is_there_whole_with_its_names_around():
    reds = {("one", "a"): 0.2, ("one", "b"): 0.4, ("two", "a"): 0.6, ("two", "b"): 0.8}
    sheet = labelled_sheet(
        {cell: plain(red) for cell, red in reds.items()}, rows=("one", "two"), columns=("a", "b")
    )
    assert [count(sheet, red) for red in reds.values()] == [600] * 4
    assert sheet.width > 60
    assert sheet.height > 40
    assert float(sheet.pixels.min()) < 0.3  # the names' ink


def test_rows_and_columns_keep_their_order():
    cells = {("x", "left"): plain(0.2), ("x", "right"): plain(0.8), ("y", "left"): plain(0.6)}
    sheet = labelled_sheet(cells, rows=("y", "x"), columns=("right", "left"))

    def centre(red):
        wanted = torch.tensor([round(255 * red), 0, 0])[:, None, None]
        return ((sheet.pixels * 255).round() == wanted).all(dim=0).nonzero().float().mean(dim=0).tolist()

    assert centre(0.8)[1] < centre(0.2)[1]
    assert centre(0.6)[0] < centre(0.2)[0]


def test_a_small_picture_stands_in_the_middle_of_its_place():
    cells = {("x", "a"): plain(0.2), ("x", "b"): plain(0.6, 10, 12), ("y", "b"): plain(0.8)}
    sheet = labelled_sheet(cells, rows=("x", "y"), columns=("a", "b"))

    def middle(red):
        wanted = torch.tensor([round(255 * red), 0, 0])[:, None, None]
        return ((sheet.pixels * 255).round() == wanted).all(dim=0).nonzero().float().mean(dim=0).tolist()

    assert middle(0.6) == [middle(0.2)[0], middle(0.8)[1]]


def test_an_absent_picture_is_left_grey_and_captions_take_room():
    bare = labelled_sheet({("one", "a"): plain(0.2)}, rows=("one",), columns=("a", "b"))
    grey = ((bare.pixels * 255).round() == 225).all(dim=0)
    assert int(grey.sum()) == 600
    told = labelled_sheet(
        {("one", "a"): plain(0.2)}, rows=("one",), columns=("a", "b"), captions={("one", "a"): "3 %"}
    )
    assert told.height > bare.height


def test_a_long_sum_of_layers_goes_over_several_lines():
    name = "relu1_1+relu2_1+relu3_1+relu4_1"
    long = labelled_sheet({(name, "a"): plain(0.2, 60, 60)}, rows=(name,), columns=("a",))
    short = labelled_sheet({("relu1_1", "a"): plain(0.2, 60, 60)}, rows=("relu1_1",), columns=("a",))
    assert long.width < short.width + 30


def test_no_picture_at_all():
    with pytest.raises(ValueError, match="one picture at least"):
        labelled_sheet({}, rows=("one",), columns=("a",))
