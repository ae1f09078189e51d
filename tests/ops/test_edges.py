"""What the border adds to a convolution, by hand."""

import torch
from torch.testing import assert_close

from velatura.ops.edges import convolve_border, fold_border, outermost

# One column in reach of a kernel that looks up: 10, 20, 30, and what lies above the 10.
COLUMN = torch.tensor([10.0, 20.0, 30.0]).reshape(1, 1, 3, 1).expand(1, 1, 3, 2)
LOOKS_UP = torch.zeros(1, 1, 3, 3)
LOOKS_UP[0, 0, 0, 1] = 1


def test_the_outermost_of_a_map():
    rows = torch.arange(12.0).reshape(1, 1, 3, 4)
    top, bottom, left, right = outermost(rows)
    assert top.flatten().tolist() == [0, 1, 2, 3]
    assert bottom.flatten().tolist() == [8, 9, 10, 11]
    assert left.flatten().tolist() == [0, 4, 8]
    assert right.flatten().tolist() == [3, 7, 11]
    assert [edge.flatten().tolist() for edge in outermost(rows, inward=1)[::2]] == [[4, 5, 6, 7], [1, 5, 9]]


def test_what_lies_above_is_added():
    for border, above in (("replicate", 10.0), ("reflect", 20.0)):
        out = torch.tensor([0.0, 10.0, 20.0]).reshape(1, 1, 3, 1).repeat(1, 1, 1, 2)  # zeros above
        convolve_border(out, COLUMN, outermost(LOOKS_UP), border)
        assert_close(out[0, 0, :, 0], torch.tensor([above, 10.0, 20.0]))


def test_what_flows_above_is_folded():
    turned = LOOKS_UP.flip(2, 3)
    bottom, top, right, left = outermost(turned)
    gradient = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1).repeat(1, 1, 1, 2)
    for border, expected in (("replicate", [3.0, 3.0, 0.0]), ("reflect", [2.0, 4.0, 0.0])):
        back = (
            torch.tensor([2.0, 3.0, 0.0]).reshape(1, 1, 3, 1).repeat(1, 1, 1, 2)
        )  # what the map itself gets
        fold_border(back, outermost(gradient), (top, bottom, left, right), border)
        assert_close(back[0, 0, :, 0], torch.tensor(expected))
