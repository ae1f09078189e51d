"""Colour modes by what the paper says of each."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura import colors as module
from velatura.colors import colors
from velatura.ops.color import luma
from velatura.ops.color_spaces import YIQ, chroma_distance, srgb_to_lab

LINEAR = ("match-cholesky", "match-pca", "match-monge")


def picture(seed, tint=(1.0, 1.0, 1.0), size=(24, 32)):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.rand(1, 3, *size, generator=rng, dtype=torch.float64)
    return (0.7 * pixels + 0.3 * pixels.mean(dim=1, keepdim=True)) * torch.tensor(tint)[:, None, None]


def moments(image):
    flat = image[0].flatten(1)
    return flat.mean(dim=1), flat.cov(correction=0)


def recolored(name, photo, painting, **config):
    return colors[name](**config).prepare(photo, [painting])[1][0]


@pytest.mark.parametrize("name", LINEAR)
@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_linear_modes_give_the_painting_the_photograph_s_mean_and_covariance(name, seed):
    photo, painting = picture(seed, (0.3, 0.6, 0.9)), picture(seed + 1, (1, 0.4, 0.2))
    found = recolored(name, photo, painting, epsilon=1e-9)
    assert_close(moments(found), moments(photo), rtol=1e-4, atol=1e-6)


def test_match_mean_std_gives_each_channel_its_mean_and_deviation_and_keeps_correlations():
    photo, painting = picture(0, (0.3, 0.6, 0.9)), picture(1, (1, 0.4, 0.2))
    found = recolored("match-mean-std", photo, painting, epsilon=1e-12)
    assert_close(found.mean(dim=(2, 3)), photo.mean(dim=(2, 3)))
    assert_close(found.std(dim=(2, 3)), photo.std(dim=(2, 3)), rtol=1e-6, atol=1e-6)
    assert_close(found[0].flatten(1).corrcoef(), painting[0].flatten(1).corrcoef())


def test_histogram_gives_each_channel_the_photograph_s_values():
    photo, painting = picture(0, (0.3, 0.6, 0.9)), picture(1, (1, 0.4, 0.2))
    found = recolored("histogram", photo, painting)
    assert_close(found.flatten(2).sort().values, photo.flatten(2).sort().values)


def test_histogram_3d_gives_the_photograph_s_covariance_too():
    photo, painting = picture(0, (0.3, 0.6, 0.9)), picture(1, (1, 0.4, 0.2))
    found = [moments(recolored(name, photo, painting))[1] for name in ("histogram", "histogram-3d")]
    alone, whole = ((matrix - moments(photo)[1]).norm() for matrix in found)
    assert whole < 0.2 * alone or whole < 1e-3


@pytest.mark.parametrize("space", ["lab", "yiq"])
def test_luminance_gives_paintings_the_lightness_of_the_photograph(space):
    """The shift and the factor of the paper's section 3.1, in grey."""
    mode = colors["luminance"](space=space, epsilon=1e-12)
    photo, painting = picture(0, (0.3, 0.6, 0.9)), picture(1, (1, 0.4, 0.2))
    content, (style,) = mode.prepare(photo, [painting])

    def light(image):
        return luma(image) if space == "yiq" else srgb_to_lab(image)[:, :1]

    assert_close(content, content[:, :1].expand_as(content), rtol=0, atol=1e-5)
    assert_close(style, style[:, :1].expand_as(style), rtol=0, atol=1e-5)
    assert_close(light(content), light(photo), rtol=1e-4, atol=1e-5)
    own, wanted = light(painting), light(photo)
    expected = wanted.std() / own.std() * (own - own.mean()) + wanted.mean()
    assert_close(light(style), expected, rtol=1e-4, atol=1e-3)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_luminance_keeps_the_chroma_whatever_comes_of_the_transfer(seed):
    photo, result = picture(seed), picture(seed + 1).mean(dim=1, keepdim=True).expand(1, 3, -1, -1)
    found = colors["luminance"]().finish(result, photo, [], [])
    assert chroma_distance(found, photo).item() < 0.1
    assert found.min() >= 0
    assert found.max() <= 1
    # Clipping, as in the paper, does not.
    clipped = YIQ.decode(torch.cat([luma(result), YIQ.encode(photo)[:, 1:]], dim=1)).clamp(0, 1)
    assert chroma_distance(clipped, photo).item() > 1


def test_luminance_reaches_the_lightness_where_a_screen_has_the_colour():
    photo = 0.4 + 0.2 * picture(0)
    result = (0.45 + 0.1 * picture(1))[:, :1].expand_as(photo)
    found = colors["luminance"]().finish(result, photo, [], [])
    assert_close(srgb_to_lab(found)[:, 0], srgb_to_lab(result)[:, 0], rtol=0, atol=1e-6)
    in_yiq = colors["luminance"](space="yiq").finish(result, photo, [], [])
    assert_close(YIQ.encode(in_yiq), torch.cat([luma(result), YIQ.encode(photo)[:, 1:]], dim=1))


def test_luminance_of_a_flat_colour_by_hand():
    """A mid red, made lighter to the lightness of a grey: the grey's L*, the red's a* and b*."""
    red = torch.tensor([0.6, 0.4, 0.4], dtype=torch.float64)[None, :, None, None]
    grey = torch.full_like(red, 0.6)
    found = srgb_to_lab(colors["luminance"]().finish(grey, red, [], []))
    expected = torch.cat([srgb_to_lab(grey)[:, :1], srgb_to_lab(red)[:, 1:]], dim=1)
    assert_close(found, expected, rtol=0, atol=1e-6)


def test_the_whole_palette_of_luminance_is_that_of_both_paintings_by_their_weights():
    """Mean and covariance of a* and b*, where no colour leaves the screen."""
    photo = 0.45 + 0.1 * picture(0)
    paintings = [0.45 + 0.1 * picture(n, tint) for n, tint in ((1, (1.0, 0.2, 0.2)), (2, (0.2, 0.3, 1.0)))]
    mode = colors["luminance"](palette=1.0, epsilon=1e-12)
    found = mode.finish(photo, photo, paintings, [0.25, 0.75])
    repeated = torch.cat([paintings[0], *[paintings[1]] * 3], dim=3)
    chroma = [srgb_to_lab(image)[:, 1:] for image in (found, repeated)]
    assert_close(moments(chroma[0]), moments(chroma[1]), rtol=1e-3, atol=1e-3)
    assert_close(srgb_to_lab(found)[:, 0], srgb_to_lab(photo)[:, 0], rtol=0, atol=1e-3)


def test_strips_of_a_print_are_composed_as_the_whole(monkeypatch):
    mode = colors["luminance"](palette=0.5)
    photo, result, painting = picture(0), picture(1), picture(2, (1, 0.3, 0.2))

    def through():
        return (*mode.prepare(photo, [painting])[1], mode.finish(result, photo, [painting], [1.0]))

    whole = through()
    monkeypatch.setattr(module, "_AT_ONCE", 70)
    for found, expected in zip(through(), whole, strict=True):
        assert_close(found, expected, rtol=0, atol=1e-9)
