import torch

from velatura.engine.allocations import Allocations

ROW = 4 * 1000


def test_counts_what_is_made_and_what_is_given_back():
    with Allocations() as counted:
        one = torch.ones(1000)
        other = one + 1
        assert counted.held == 2 * ROW
        del one
        assert counted.held == ROW
        assert counted.most == 2 * ROW
        counted.restart()
        assert counted.most == ROW
        other.add_(1)
    assert counted.most == ROW


def test_views_and_what_was_there_before_take_nothing():
    before = torch.ones(1000)
    with Allocations() as counted:
        looks = before[10:20], before.view(10, 100), before.detach().mul_(2)
        torch.add(before, 1, out=before)
    assert counted.most == 0
    assert len(looks) == 3


def test_counts_in_the_backward_pass():
    """Forward: the square, and the sum. Backward: the gradient, and what comes from the square."""
    pixels = torch.ones(1000, requires_grad=True)
    with Allocations() as counted:
        pixels.square().sum().backward()
        assert pixels.grad is not None
        assert counted.held >= ROW
    assert 2 * ROW <= counted.most <= 4 * ROW + 64
