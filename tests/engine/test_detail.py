"""Fine detail no stronger than the painting's."""

import pytest
import torch
from torch.testing import assert_close

from velatura.engine.detail import detail_of, limited_detail
from velatura.ops.color import luma
from velatura.ops.filters import energy_above
from velatura.ops.resize import fit


def noise(amplitude, *, size=(48, 64), seed=0):
    """Grey, with noise of a variance that is known."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + amplitude * torch.randn(1, *size, generator=generator, dtype=torch.float64).expand(3, -1, -1)


def energy(picture):
    return energy_above(luma(picture[None]), 0.25).item()


def limited(picture, *, styles, blend=(1.0,), strength=1.0, content=None, most=1.0):
    edge = max(picture.shape[1:])
    content = noise(0.02, seed=9) if content is None else content
    sizes = [fit(*style.shape[1:], edge) for style in styles]
    allowed = detail_of(content, styles, blend, edge=edge, style_sizes=sizes, strength=strength)
    found = limited_detail(picture[None], most * allowed)
    return picture if found.data_ptr() == picture.data_ptr() else found[0]


def test_a_picture_with_less_detail_is_left_alone():
    picture = noise(0.02)
    assert limited(picture, styles=[noise(0.03, seed=1)]) is picture


def test_a_picture_with_more_is_brought_near():
    painting = noise(0.02, seed=1)
    picture = noise(0.04)
    found = limited(picture, styles=[painting])
    assert energy(picture) > 3.5 * energy(painting)
    assert energy(painting) < energy(found) < 1.3 * energy(painting)


def test_so_much_more_may_stay():
    painting, picture = noise(0.02, seed=1), noise(0.04)
    ratio = energy(picture) / energy(painting)
    assert limited(picture, styles=[painting], most=1.01 * ratio) is picture
    assert limited(picture, styles=[painting], most=0.99 * ratio) is not picture


def test_what_is_coarse_stays():
    """A ramp under noise: what is taken away has no part of it."""
    ramp = torch.linspace(0.2, 0.8, 64, dtype=torch.float64).expand(3, 48, 64)
    picture = ramp + noise(0.04) - 0.5
    found = limited(picture, styles=[torch.full((3, 48, 64), 0.5, dtype=torch.float64)])
    assert energy(found) < 0.1 * energy(picture)
    # Means of 16x16 blocks.
    coarse = [torch.nn.functional.avg_pool2d(image, 16) for image in (found, picture)]
    assert_close(coarse[0], coarse[1], rtol=0, atol=2e-3)


def test_two_paintings_allow_the_mean_of_theirs():
    smooth, rough = noise(0.01, seed=1), noise(0.03, seed=2)
    allowed = 0.5 * energy(smooth) + 0.5 * energy(rough)
    for amplitude, changes in ((0.9, False), (1.1, True)):
        picture = noise(amplitude * 0.03 * (allowed / energy(rough)) ** 0.5, seed=2)
        assert (limited(picture, styles=[smooth, rough], blend=(0.5, 0.5)) is not picture) == changes


@pytest.mark.parametrize(("strength", "changes"), [(0.01, False), (0.5, True), (1.0, True), (4.0, True)])
def test_at_little_strength_the_photograph_counts(strength, changes):
    photograph = noise(0.04, seed=3)
    picture = noise(0.039, seed=3)
    found = limited(picture, styles=[noise(0.01, seed=1)], strength=strength, content=photograph)
    assert (found is not picture) == changes


def test_the_painting_counts_at_the_size_of_the_picture():
    """Of noise, a resampling to half the size leaves about a quarter of the variance."""
    painting = noise(0.04, size=(96, 128), seed=1)
    picture = noise(0.039)
    assert limited(picture, styles=[painting]) is not picture


def test_a_picture_that_goes_round_shows_no_seam():
    """Shifted by half, it is limited to the same pixels, shifted."""
    picture = noise(0.04)[None]
    allowed = 0.3 * energy(picture[0])
    found = limited_detail(picture, allowed, wrap="x")
    shifted = limited_detail(picture.roll(32, dims=3), allowed, wrap="x").roll(-32, dims=3)
    factors = [(image - picture).std() for image in (found, shifted)]
    # The window sees other pixels in the middle: the same band, a little more or less of it.
    assert_close((found - picture) / factors[0], (shifted - picture) / factors[1])
