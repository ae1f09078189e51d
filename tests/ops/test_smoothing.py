import numpy as np
import pytest
import torch
from torch.testing import assert_close

from velatura.ops.smoothing import guided_filter, softened


def image(height=9, width=11):
    return torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_loops(plane, radius, epsilon):
    """He et al. 2010, algorithm 1 with the input as its own guide."""
    height, width = plane.shape

    def window(maps, row, column):
        return maps[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1]

    slope, offset, out = (np.zeros_like(plane) for _ in range(3))
    for row in range(height):
        for column in range(width):
            pixels = window(plane, row, column)
            slope[row, column] = pixels.var() / (pixels.var() + epsilon)
            offset[row, column] = (1 - slope[row, column]) * pixels.mean()
    for row in range(height):
        for column in range(width):
            mean = window(slope, row, column).mean(), window(offset, row, column).mean()
            out[row, column] = mean[0] * plane[row, column] + mean[1]
    return out


@pytest.mark.parametrize("radius", [1, 2])
def test_it_is_the_published_algorithm(radius):
    found = guided_filter(image(), radius=radius, epsilon=0.05)
    for channel in range(2):
        expected = by_loops(image()[0, channel].numpy(), radius, 0.05)
        assert_close(found[0, channel], torch.from_numpy(expected))


def test_bands_of_rows_change_nothing():
    tall = image(1100, 7)
    found = guided_filter(tall, radius=3)
    assert_close(found[:, :, 500:530], guided_filter(tall[:, :, 480:550], radius=3)[:, :, 20:50])


def test_a_picture_that_goes_round_stays_one():
    rolled = guided_filter(image().roll((4, 5), dims=(2, 3)), wrap="both")
    assert_close(rolled, guided_filter(image(), wrap="both").roll((4, 5), dims=(2, 3)))


def test_edges_stay_and_grain_goes():
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1
    grain = 0.05 * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    found = guided_filter(step + grain, radius=2)
    assert (found[..., 8] - found[..., 7]).mean() > 0.85
    assert (found - step).std() < 0.6 * grain.std()


def test_a_flat_picture_stays_as_it_is():
    assert_close(softened(torch.full((3, 20, 30), 0.3)), torch.full((3, 20, 30), 0.3))


@pytest.mark.parametrize("options", [{"radius": 0}, {"epsilon": 0.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="expected a radius of at least 1 and an epsilon above 0"):
        guided_filter(image(), **options)
