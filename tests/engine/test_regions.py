"""Masks as shares of the pixels, in one piece and in tiles."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.rng import generator
from velatura.engine import tiles as module
from velatura.engine.regions import regions
from velatura.engine.tiles import margin, stylize_in_tiles
from velatura.networks import blend_styles, held_statistics, networks

KINDS = {"cin": {"width": 2}, "adain": {}, "multi-adain": {}}


def picture(height, width, seed=0):
    """Smooth colour with grain."""
    rng = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([torch.sin(rows / (9 + seed) + k) * torch.cos(columns / 7 - k) for k in range(3)])
    return (0.5 + 0.3 * waves + 0.1 * torch.rand((3, height, width), generator=rng))[None].clamp(0, 1)


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    """A network, and two styles that it takes."""
    config = networks[request.param](**KINDS[request.param])
    network = config.build(num_styles=2, rng=generator(0, request.param)).eval().requires_grad_(False)
    numbers = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter += 0.05 * torch.randn(parameter.shape, generator=numbers)  # As if trained.
    if config.styles == "many":
        return network, [network.choose([1.0, 0.0]), network.choose([0.0, 1.0])]
    return network, [network.encode(picture(64, 64, seed=5)), network.encode(picture(64, 64, seed=9) ** 3)]


def ramp(height, width):
    """Two masks with a soft edge between them."""
    left = (1.5 - torch.arange(width) / width * 2).clamp(0, 1).expand(height, width)
    return torch.stack([left, 1 - left])


def test_shares_by_hand():
    """Both at once, half of one, nothing, and one alone."""
    masks = torch.tensor([[1.0, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.8]])[:, None]
    found = regions([None, None], masks)
    assert_close(found.weights[0, :, 0], torch.tensor([[0.5, 1.0, 0.5, 0.0], [0.5, 0.0, 0.5, 1.0]]))
    assert_close(found.cover[0, 0, 0], torch.tensor([1.0, 0.5, 0.0, 0.8]))
    photograph, painted = torch.zeros(1, 3, 1, 4), torch.ones(1, 3, 1, 4)
    assert_close(found.with_photograph(painted, photograph)[0, 0, 0], torch.tensor([1.0, 0.5, 0.0, 0.8]))


def test_shares_still_sum_to_one_in_another_size():
    rng = torch.Generator().manual_seed(0)
    masks = (torch.rand((3, 40, 50), generator=rng) > 0.5).float()
    smaller = regions([None] * 3, masks).sized((13, 17))
    assert smaller.weights.min() >= 0
    assert_close(smaller.weights.sum(dim=1), torch.ones(1, 13, 17))
    assert smaller.cover.shape == (1, 1, 13, 17)


def test_each_style_is_where_its_mask_is(case):
    network, styles = case
    content, masks = picture(64, 128), torch.zeros(2, 64, 128)
    masks[0, :, :64], masks[1, :, 64:] = 1, 1
    placed = regions(styles, masks).painted(network, content, alpha=1.0)
    alone = [network(content, style) for style in styles]
    assert_close(placed[..., :16], alone[0][..., :16], rtol=0, atol=1e-4)
    assert_close(placed[..., -16:], alone[1][..., -16:], rtol=0, atol=1e-4)
    assert (alone[0] - alone[1]).abs().max() > 1e-2


def test_equal_masks_are_a_blend_of_features_in_adain_and_of_pixels_elsewhere(case):
    network, styles = case
    content = picture(40, 56)
    placed = regions(styles, torch.full((2, 40, 56), 1.0)).painted(network, content, alpha=0.6)
    if type(network).__name__ == "AdaIN":
        expected = network(content, blend_styles(styles, [0.5, 0.5]), alpha=0.6)
    else:
        expected = sum(network(content, style, alpha=0.6) for style in styles) / 2
    assert_close(placed, expected, rtol=0, atol=1e-4)


def test_tiles_with_masks_are_the_whole_to_float_rounding(case):
    network, styles = case
    content, placed = picture(201, 310), regions(styles, ramp(201, 310))
    overlap = margin(network, styles[0])
    edge = 2 * overlap + 96
    tiled = stylize_in_tiles(network, content, None, alpha=0.9, edge=edge, overlap=overlap, regions=placed)
    with held_statistics(network):
        small = module._reduced(content, edge * edge)
        placed.sized(tuple(small.shape[2:])).painted(network, small, alpha=0.9)
        whole = placed.painted(network, content, alpha=0.9)
    # A multi-adain in tiles is 1e-3 from the whole, without masks too, where its pixels deviate by 0.14.
    atol = 2e-3 if type(network).__name__ == "MultiAdaIN" else 2e-4
    assert_close(tiled, whole, rtol=0, atol=atol)
    assert_close(network(content, styles[1]), network(content.clone(), styles[1]))  # Nothing is held.
