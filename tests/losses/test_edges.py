import pytest
import torch
from torch.autograd import gradcheck

from velatura.core.errors import ConfigError
from velatura.losses.edges import Edges


def image(seed, size=(7, 6)):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)


def ramp(slope):
    """Grey that rises by ``slope`` a pixel from left to right."""
    return (slope * torch.arange(8, dtype=torch.float64)).expand(1, 3, 5, 8)


def test_a_worked_example():
    # Beside a flat photograph: the slope, from each of seven pixels to the next in five rows.
    loss = Edges(reduction="sum")
    assert loss.forward(ramp(0.1), loss.target(ramp(0.0))).item() == pytest.approx(5 * 7 * 0.1**2)
    assert Edges().forward(ramp(0.1), Edges().target(ramp(0.0))).item() == pytest.approx(0.1**2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "relative"])
def test_is_the_sum_over_neighbours(reduction):
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    ours, theirs = ((weights[:, None, None] * image(seed)[0]).sum(0) for seed in (1, 2))
    height, width = ours.shape
    error, own, numbers = [0.0, 0.0], 0.0, [(height - 1) * width, height * (width - 1)]
    for row in range(height):
        for column in range(width):
            for axis, (below, right) in enumerate(((row + 1, column), (row, column + 1))):
                if below < height and right < width:
                    step, wanted = (y[below, right] - y[row, column] for y in (ours, theirs))
                    error[axis] += (step - wanted).item() ** 2
                    own += wanted.item() ** 2
    expected = {
        "mean": error[0] / numbers[0] + error[1] / numbers[1],
        "sum": sum(error),
        "relative": sum(error) / own,
    }[reduction]
    loss = Edges(reduction=reduction)
    assert loss.forward(image(1), loss.target(image(2))).item() == pytest.approx(expected, rel=1e-5)


def test_a_turned_edge_counts_though_it_is_as_strong():
    loss = Edges()
    assert loss.forward(-ramp(0.1), loss.target(ramp(0.1))).item() == pytest.approx(
        4 * loss.forward(ramp(0.1), loss.target(ramp(0.0))).item()
    )


def test_lighter_everywhere_changes_nothing():
    assert Edges().forward(image(1) + 0.2, Edges().target(image(1))).item() < 1e-20


@pytest.mark.parametrize("reduction", ["mean", "sum", "relative"])
def test_gradient(reduction):
    loss = Edges(reduction=reduction)
    target, mask = loss.target(image(2)), image(3)[:, :1] + 0.1
    inputs = image(1).requires_grad_()
    assert gradcheck(lambda features: loss.forward(features, target, mask), inputs)


def test_features_of_a_network_are_refused():
    with pytest.raises(ValueError, match="a picture of 3 channels, not of 16; name the layer 'image'"):
        Edges().target(torch.rand(1, 16, 4, 4))


def test_relative_to_a_flat_photograph_is_refused():
    with pytest.raises(ConfigError, match="relative to a target of zeros"):
        Edges(reduction="relative").target(torch.full((1, 3, 8, 8), 0.5))
