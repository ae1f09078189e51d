"""Initialisations: where the canvas starts."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.initializations import (
    Content,
    Gaussian,
    Grey,
    Picture,
    Recolored,
    StyleStatistics,
    Uniform,
    initializations,
)

CONTENT = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)


def _draw(initialization, *styles, **kwargs):
    return initialization.draw(CONTENT, styles, generator(0, "initialization"), **kwargs)


def test_content_is_the_photograph():
    assert_close(_draw(Content()), CONTENT, rtol=0, atol=0)


def test_content_mixed_with_noise():
    noise = _draw(Content(noise=1.0))
    assert_close(_draw(Content(noise=0.7)), 0.3 * CONTENT + 0.7 * noise)
    assert (noise - CONTENT).abs().mean() > 0.2


@pytest.mark.parametrize(
    ("initialization", "is_random"),
    [
        (Content(noise=0.1), True),
        (Uniform(low=0.2, high=0.2), False),
        (Gaussian(std=0), False),
        (Gaussian(std=0.1), True),
    ],
)
def test_the_seed_has_a_say_where_something_is_drawn(initialization, is_random):
    assert initialization.is_random == is_random
    one, other = (initialization.draw(CONTENT, [], generator(seed, "initialization")) for seed in (0, 1))
    assert torch.equal(one, other) != is_random


def test_uniform_noise_fills_its_range():
    canvas = _draw(Uniform(low=0.2, high=0.4))
    assert canvas.min() >= 0.2
    assert canvas.max() <= 0.4
    # 12,288 values: the mean is within 5 / (12 * 12288)^0.5 * 0.2 of the middle.
    assert abs(canvas.mean().item() - 0.3) < 0.003


def test_uniform_bounds_in_order():
    with pytest.raises(ConfigError, match=r"low 0.9 is above high 0.1; exchange them"):
        Uniform(low=0.9, high=0.1)


def test_gaussian_noise_around_the_mean_pixel():
    canvas = _draw(Gaussian(std=90 / 255))
    assert_close(canvas.mean(dim=(0, 2, 3)), torch.tensor([0.485, 0.456, 0.406]), rtol=0, atol=0.03)
    assert_close(canvas.std(dim=(0, 2, 3)), torch.full((3,), 90 / 255), rtol=0.05, atol=0)


def test_gaussian_noise_of_no_width_is_its_mean():
    canvas = _draw(Gaussian(mean=(0.1, 0.2, 0.3), std=0.0))
    assert_close(canvas, torch.tensor([0.1, 0.2, 0.3])[:, None, None].expand(1, 3, 64, 64))


def test_grey():
    assert_close(_draw(Grey(level=0.25)), torch.full((1, 3, 64, 64), 0.25))


def test_style_statistics_are_the_paintings_colours():
    red = torch.rand(1, 1, 40, 40)
    style = torch.cat([red, 0.5 * red + 0.2, 0.9 - red], dim=1)
    pixels = _draw(StyleStatistics(), style)[0].flatten(1)
    assert_close(pixels.mean(dim=1), style.mean(dim=(0, 2, 3)), rtol=0, atol=0.03)
    assert_close(torch.cov(pixels), torch.cov(style[0].flatten(1)), rtol=0, atol=0.01)


def test_style_statistics_of_one_colour():
    canvas = _draw(StyleStatistics(), torch.full((1, 3, 2, 2), 0.3))
    assert_close(canvas, torch.full((1, 3, 64, 64), 0.3), rtol=0, atol=2e-3)


def test_style_statistics_need_a_painting():
    with pytest.raises(ConfigError, match="needs a painting, and none was given"):
        _draw(StyleStatistics())


def _colors(canvas):
    pixels = canvas[0].flatten(1).double()
    return pixels.mean(1), pixels.cov(correction=0)


# Colours well inside of [0, 1], so that none is clamped.
PAINTING = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
OTHER = PAINTING * 0.5 + 0.1
PHOTO = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def _recolored(*styles, **kwargs):
    return Recolored().draw(PHOTO, styles, generator(0, "initialization"), **kwargs)


def test_recolored_has_the_paintings_mean_and_covariance():
    assert_close(_colors(_recolored(PAINTING)), _colors(PAINTING), rtol=0.02, atol=1e-4)


def test_recolored_by_two_paintings_has_the_colours_of_both_together():
    """Raw moments blend: half of each is as if the paintings hung side by side."""
    both = torch.cat([PAINTING, OTHER], dim=3)
    assert_close(_colors(_recolored(PAINTING, OTHER)), _colors(both), rtol=0.02, atol=1e-4)
    assert_close(_recolored(PAINTING, OTHER, blend=[0.0, 1.0]), _recolored(OTHER))


def test_a_strength_below_one_recolours_part_of_the_way():
    whole = _recolored(PAINTING)
    assert_close(_recolored(PAINTING, strength=0.25), torch.lerp(PHOTO, whole, 0.25))
    assert_close(_recolored(PAINTING, strength=0), PHOTO, rtol=0, atol=0)
    assert_close(_recolored(PAINTING, strength=5), whole)


def test_recolored_needs_a_painting():
    with pytest.raises(ConfigError, match="'recolored' needs a painting"):
        _recolored()


def test_a_picture_is_resampled_to_the_canvas():
    picture = torch.rand(1, 3, 64, 64)
    assert_close(_draw(Picture(), picture=picture), picture)
    smaller = torch.full((1, 3, 32, 32), 0.4)
    assert_close(_draw(Picture(path="start.png"), picture=smaller), torch.full((1, 3, 64, 64), 0.4))


def test_a_picture_must_be_given_and_have_the_canvass_proportions():
    with pytest.raises(ConfigError, match="needs a picture; name its file in the setting 'path'"):
        _draw(Picture(path="start.png"))
    with pytest.raises(ConfigError, match="start from is 80x60 and the canvas 64x64; crop it"):
        _draw(Picture(), picture=torch.rand(1, 3, 60, 80))


def test_the_initializations_that_ship():
    shipped = {"content", "gaussian", "grey", "picture", "recolored", "style_statistics", "uniform"}
    assert shipped <= set(initializations)
