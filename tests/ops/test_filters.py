"""Sobel and the energy of detail: ramps, waves, white noise."""

import math

import pytest
import torch
from torch.testing import assert_close

from velatura.ops.filters import energy_above, finest_band, sobel_magnitude


def _wave(height, width, down, across):
    rows, columns = torch.arange(height).double()[:, None], torch.arange(width).double()
    return torch.cos(2 * math.pi * (down * rows + across * columns))[None, None]


def test_sobel_of_a_worked_example():
    """Kernels (-1 0 1; -2 0 2; -1 0 1) / 8 and its transpose, by hand at the middle."""
    image = torch.tensor([[0.0, 0, 1], [3, 4, 5], [7, 1, 2]]).reshape(1, 1, 3, 3)
    gx, gy = (1 - 0 + 2 * (5 - 3) + 2 - 7) / 8, (7 + 2 * 1 + 2 - 0 - 2 * 0 - 1) / 8
    assert sobel_magnitude(image)[0, 0, 1, 1].item() == pytest.approx(math.hypot(gx, gy))


def test_a_ramp_has_its_slope_everywhere_inside():
    rows, columns = torch.arange(6.0)[:, None], torch.arange(8.0)
    image = torch.stack([0.3 * columns + 0 * rows, 0.4 * rows + 0.3 * columns])[None]
    found = sobel_magnitude(image)
    assert found.shape == image.shape
    assert_close(found[0, 0, :, 1:-1], torch.full((6, 6), 0.3))
    assert_close(found[0, 1, 1:-1, 1:-1], torch.full((4, 6), 0.5))


def test_a_flat_picture_has_no_edges():
    assert sobel_magnitude(torch.full((2, 3, 4, 4), 0.7)).abs().max() == 0


def test_a_wave_has_half_its_square_where_it_counts():
    """A cosine of amplitude 1 has variance 1/2, all of it at its own frequency."""
    image = _wave(64, 48, 0.0, 0.375)
    assert energy_above(image, 0.3).item() == pytest.approx(0.5, rel=1e-3)
    assert energy_above(image, 0.45).item() < 1e-4


def test_a_frequency_is_counted_along_any_direction():
    image = _wave(64, 64, 0.25, 0.25)  # 0.354 cycles a pixel along the diagonal
    assert energy_above(image, 0.32).item() == pytest.approx(0.5, rel=1e-3)
    assert energy_above(image, 0.39).item() < 1e-4


@pytest.mark.parametrize("size", [(256, 256), (180, 300)])
def test_white_noise_has_the_share_of_the_plane_whatever_its_size(size):
    """Beyond a circle of radius 0.25 lies 1 - pi / 16 of the unit square of frequencies."""
    image = 0.2 * torch.randn(1, 1, *size, dtype=torch.float64)
    assert energy_above(image, 0.25).item() == pytest.approx(0.04 * (1 - math.pi / 16), rel=0.05)


def test_borders_that_do_not_match_are_no_detail():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    assert energy_above(ramp, 0.25).item() < 1e-8  # 3e-3 without a window


def test_brightness_is_no_energy():
    image = torch.rand(1, 1, 24, 20, dtype=torch.float64)
    assert_close(energy_above(image + 0.5, 0.01), energy_above(image, 0.01))


def test_every_channel_and_sample_has_its_own():
    image = torch.rand(2, 3, 16, 12, dtype=torch.float64)
    found = energy_above(image, 0.25)
    assert found.shape == (2, 3)
    assert_close(found[1, 2], energy_above(image[1:, 2:], 0.25)[0, 0])


@pytest.mark.parametrize("function", [sobel_magnitude, lambda image: energy_above(image, 0.25)])
def test_what_is_not_four_dimensional_is_refused(function):
    with pytest.raises(ValueError, match=r"must be \(B, C, H, W\)"):
        function(torch.zeros(3, 4, 4))


def test_the_finest_band_of_a_worked_example():
    """One bright pixel: 1 - (6/16)^2 of it stay, and a neighbour loses 4/16 * 6/16."""
    image = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    image[0, 0, 3, 3] = 1
    band = finest_band(image)[0, 0]
    assert band[3, 3].item() == pytest.approx(1 - (6 / 16) ** 2)
    assert band[3, 4].item() == pytest.approx(-(4 / 16) * (6 / 16))
    assert band[1, 5].item() == pytest.approx(-((1 / 16) ** 2))
    assert band.sum().item() == pytest.approx(0)


@pytest.mark.parametrize(("frequency", "share"), [(0.5, 1.0), (0.25, 0.75), (0.125, 0.2714)])
def test_the_finest_band_of_a_wave(frequency, share):
    """1 - cos^4(pi f), at the middle, where no edge is in reach."""
    wave = _wave(16, 16, 0, frequency)
    middle = (..., slice(4, 12), slice(4, 12))
    assert_close(finest_band(wave)[middle], share * wave[middle], rtol=0, atol=1e-4)


def test_a_flat_image_has_no_finest_band():
    assert not finest_band(torch.full((1, 3, 4, 5), 0.3, dtype=torch.float64)).abs().max() > 1e-15
