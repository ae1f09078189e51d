"""Pieces of the painting: found by features, and laid."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.engine.tiles import margin, stylize_in_tiles
from velatura.jobs.models import load_model
from velatura.networks import blend_styles
from velatura.networks.collage import Collage
from velatura.networks.multi_adain import MultiAdaINConfig

STRIDE, CHANNELS = 4, 16


@pytest.fixture(scope="module")
def collage():
    torch.manual_seed(0)
    return Collage(CHANNELS, STRIDE, 12)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def painting(rows, columns, seed=0):
    """A painting and features of it."""
    pixels = drawn(1, 3, rows * STRIDE, columns * STRIDE, seed=seed)
    return pixels, drawn(1, CHANNELS, rows, columns, seed=seed + 100)


def built(**settings):
    network = MultiAdaINConfig(pieces=24, **settings).build(rng=generator(0, "weights")).eval()
    with torch.no_grad():
        network.exit.weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
    return network


def picture(height, width, seed=0):
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return (smooth + 0.1 * drawn(1, 3, height, width, seed=seed)).clamp(0, 1)


def found_in(collage, features, style):
    """Rows and columns found for grey positions with these features."""
    grey = torch.zeros(1, 3, *(STRIDE * edge for edge in features.shape[2:]))
    return collage._found(collage._keys(features, grey, style["pieces0.contrast"]), style["pieces0.keys"])


def test_a_photograph_with_the_features_of_the_painting_is_the_painting(collage):
    pixels, features = painting(7, 9)
    assert_close(collage(features, collage.encode(pixels, features), pixels), pixels)


def test_the_pieces_go_where_the_features_are(collage):
    pixels, features = painting(8, 20)
    moved, expected = features.roll(5, dims=3), pixels.roll(5 * STRIDE, dims=3)
    found = collage(moved, collage.encode(pixels, features), expected)
    # At its edges, and at the seam, a place has other neighbours than it had.
    same = slice(10 * STRIDE, 15 * STRIDE)
    assert_close(found[..., same], expected[..., same])


def test_of_places_with_the_same_features_the_colours_decide(collage):
    levels = torch.linspace(-1, 1, 8).repeat_interleave(STRIDE)
    pixels = levels.expand(1, 3, 4 * STRIDE, -1).contiguous()
    features = drawn(1, CHANNELS, 1, 1).expand(1, CHANNELS, 4, 8).contiguous()
    wanted = pixels.flip(3)
    found = collage(features, collage.encode(pixels, features), wanted)
    # Each row of the painting has every level; only where pieces meet, they fade.
    assert (found - wanted).abs().mean() < 0.2 * (pixels - wanted).abs().mean()


def test_a_photograph_may_be_larger_or_smaller_than_the_painting(collage):
    style = collage.encode(*painting(5, 6))
    for rows, columns in ((1, 1), (2, 9), (11, 4)):
        features = drawn(2, CHANNELS, rows, columns)
        rest = torch.zeros(2, 3, rows * STRIDE, columns * STRIDE)
        assert collage(features, style, rest).shape == rest.shape


def test_what_is_coarse_stays_the_photographs(collage):
    pixels, features = painting(9, 9)
    shade = torch.linspace(0, 1, 9 * STRIDE).expand(1, 3, 9 * STRIDE, -1)
    style = collage.encode(pixels, features)
    found = collage(features, style, pixels + shade) - pixels
    assert (found - shade).abs().mean() < 0.1 * shade.std()


def test_flat_parts_get_many_pieces_and_not_one(collage):
    pixels, features = painting(12, 12)
    # All places are nearly alike, and every position asks for the same.
    features, grey = drawn(1, CHANNELS, 1, 1) + 0.3 * features, torch.zeros_like(pixels)
    style = collage.encode(grey, features)
    flat = drawn(1, CHANNELS, 1, 1).expand(1, CHANNELS, 12, 12).contiguous()
    found = found_in(collage, flat, style)
    places = found.flatten(2).unique(dim=2).shape[2]
    assert places >= 12
    beside = (found[..., 1:] - found[..., :-1] == torch.tensor([0.0, 1.0]).view(2, 1, 1)).all(dim=1)
    assert beside.float().mean() > 0.1, "hardly any two pieces are neighbours in the painting"


def test_neighbours_agree_where_features_are_uncertain(collage, monkeypatch):
    pixels, features = painting(10, 10)
    style = collage.encode(torch.zeros_like(pixels), features)
    rows, columns = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")

    def wrong():
        found = found_in(collage, features + drawn(*features.shape, seed=50), style)
        return 1 - (found[0] == torch.stack([rows, columns])).all(dim=0).float().mean()

    together = wrong()
    monkeypatch.setattr("velatura.networks.collage._BONUS", 0.0)
    assert together < 0.5 * wrong()


def test_a_blend_is_the_sum_of_the_collages_and_the_photograph_takes_what_is_left(collage):
    features = drawn(1, CHANNELS, 4, 5)
    styles = [collage.encode(*painting(6, 7, seed=1)), collage.encode(*painting(5, 9, seed=2))]
    colours = drawn(1, 3, 4 * STRIDE, 5 * STRIDE)
    one, other = (collage(features, style, colours) for style in styles)
    blended = collage(features, blend_styles(styles, [0.7, 0.3]), colours)
    assert_close(blended, 0.7 * one + 0.3 * other)
    partly = collage(features, blend_styles([{}, blend_styles(styles, [0.7, 0.3])], [0.5, 0.5]), colours)
    assert_close(partly, 0.5 * colours + 0.35 * one + 0.15 * other)


def test_many_comparisons_are_made_in_parts(collage, monkeypatch):
    pixels, features = painting(9, 9)
    style, rest = collage.encode(pixels, features), torch.zeros(2, 3, 40 * STRIDE, 8 * STRIDE)
    asking = drawn(2, CHANNELS, 40, 8, seed=3)
    expected = collage(asking, style, rest)
    monkeypatch.setattr("velatura.networks.collage._MOST_SCORES", 500)
    assert_close(collage(asking, style, rest), expected)


def test_what_is_not_a_number_is_seen_as_far_as_it_may_matter(collage):
    style, rest = collage.encode(*painting(8, 8)), torch.zeros(1, 3, 24 * STRIDE, 24 * STRIDE)
    features = drawn(1, CHANNELS, 24, 24)
    expected = collage(features, style, rest)
    broken = features.clone()
    broken[..., 12, 12] = torch.nan
    untouched = collage(broken, style, rest).isfinite()
    assert not untouched[..., 12 * STRIDE : 13 * STRIDE, 12 * STRIDE : 13 * STRIDE].any()
    assert untouched.float().mean() > 0.4
    for seed in range(5):
        other = features.clone()
        other[..., 12, 12] = 3 * drawn(CHANNELS, seed=seed)
        assert torch.equal(collage(other, style, rest)[untouched], expected[untouched])


def test_tiles_are_the_whole():
    network = built()
    content, style = picture(96, 1500), network.encode(picture(120, 150, seed=2))
    whole = network(content, style)
    overlap = margin(network, style)
    edge = 2 * overlap + 256
    assert edge < 1500
    parts = stylize_in_tiles(network, content, style, alpha=1, edge=edge, overlap=overlap)
    # The statistics are those of a smaller picture.
    assert (parts - whole).abs().mean() < 0.05 * whole.std()


def test_the_network_that_ships_has_so_many_parameters():
    network = load_model("adain-slim").network
    assert sum(weight.numel() for weight in network.parameters()) == 1_194_108
    assert network.collage.directions.numel() == 147_456
    assert network.laid == 0.65


def test_the_search_belongs_to_the_weights():
    one, same, other = (MultiAdaINConfig(pieces=24).build(rng=generator(seed, "w")) for seed in (0, 0, 1))
    assert {"collage.directions", "collage.phases"} <= one.state_dict().keys()
    assert torch.equal(one.collage.directions, same.collage.directions)
    assert not torch.equal(one.collage.directions, other.collage.directions)


def test_the_collage_is_laid_into_the_picture_outside_of_training():
    content, painting = picture(96, 128), picture(96, 96, seed=2)
    plain, laid = built(), built(laid=1.0, bands=0)
    style = laid.encode(painting)
    assert torch.equal(plain.train()(content, style), laid.train()(content, style))
    with pytest.raises(ConfigError, match="there are no pieces to be laid"):
        MultiAdaINConfig(laid=0.5)
    own = laid.eval().encode(content)
    # Of a photograph in its own style the collage is the photograph, but where two places look alike.
    assert (laid(content, own) - content).abs().mean() < 0.05 < content.std()


def test_in_half_precision_it_is_nearly_the_same():
    network, content = built(), picture(96, 128)
    expected = network(content, network.encode(picture(96, 96, seed=2)))
    with torch.autocast("cpu", torch.bfloat16):
        found = network(content, network.encode(picture(96, 96, seed=2)))
    assert found.isfinite().all()
    assert (found.float() - expected).abs().mean() < 0.1
