"""Tiles: parts that are the whole, and how far a network sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from velatura.core.errors import Cancelled, ConfigError
from velatura.core.rng import generator
from velatura.engine import tiles as module
from velatura.engine.tiles import GRID, largest_whole, margin, reach, stylize_in_tiles, tiles
from velatura.networks import InstanceNorm, Network, held_statistics, networks


class Convolutions(Network):
    """Convolutions whose reach is known by hand: of half a kernel each, times the stride that they are at."""

    styles = "one"

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def stylize(self, content, style, *, alpha):
        return self.layers(content)[..., : content.shape[2], : content.shape[3]]


def small(kind, **settings):
    """A network of the registry, of few channels, and a style that it takes."""
    config = networks[kind](**settings)
    network = config.build(num_styles=3 if config.styles == "many" else 1, rng=generator(0, kind))
    network.eval().requires_grad_(False)
    if config.styles == "any":
        return network, network.encode(picture(64, 64, seed=5))
    return network, network.choose([0.2, 0.3, 0.5]) if config.styles == "many" else None


def picture(height, width, seed=0):
    """Smooth colour with grain."""
    rng = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([torch.sin(rows / 9 + k) * torch.cos(columns / 7 - k) for k in range(3)])
    return (0.5 + 0.3 * waves + 0.1 * torch.rand((3, height, width), generator=rng))[None].clamp(0, 1)


@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    inner=st.integers(1, 6),
    overlap=st.integers(0, 3),
)
def test_tiles_cover_each_pixel_once_and_show_its_surroundings(size, inner, overlap):
    edge, around = GRID * (inner + 2 * overlap), GRID * overlap
    written = torch.zeros(size, dtype=torch.int)
    for tile in tiles(size, edge=edge, overlap=around):
        written[tile.written] += 1
        for axis in range(2):
            read, kept, goes = tile.read[axis], tile.kept[axis], tile.written[axis]
            assert read.start % GRID == 0
            assert read.stop - read.start <= edge
            assert (read.start + kept.start, read.start + kept.stop) == (goes.start, goes.stop)
            assert read.start == 0 or kept.start >= around
            assert read.stop == size[axis] or read.stop - goes.stop >= around
    assert bool((written == 1).all())


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.Conv2d(3, 3, 1)], 0),
        ([nn.Conv2d(3, 3, 9, padding=4)], 4),
        ([nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1)], 3),
        # At a stride of 2, a 3x3 convolution sees 2 pixels more to the left, and one more in its own step.
        ([nn.Conv2d(3, 3, 2, stride=2), nn.Conv2d(3, 3, 3, padding=1), nn.Upsample(scale_factor=2)], 2),
    ],
)
def test_the_reach_of_convolutions(layers, expected):
    network = Convolutions(*layers).eval()
    assert reach(network, None) == expected


def test_weights_of_zero_are_no_reason_to_see_less():
    network = Convolutions(nn.Conv2d(3, 3, 9, padding=4)).eval()
    nn.init.zeros_(network.layers[0].weight)
    assert reach(network, None) == 4


def test_a_norm_over_the_whole_has_no_reach_of_its_own():
    network = Convolutions(nn.Conv2d(3, 3, 3, padding=1), InstanceNorm(3)).eval()
    assert reach(network, None) == 1
    whole = Convolutions(nn.Conv2d(3, 3, 3, padding=1), nn.InstanceNorm2d(3)).eval()
    assert reach(whole, None) is None


@pytest.mark.parametrize("stride", [GRID, 2 * GRID])
def test_a_position_of_more_pixels_than_the_grid_is_found_out(stride):
    network = Convolutions(
        nn.Conv2d(3, 3, 1), nn.AvgPool2d(stride, ceil_mode=True), nn.Upsample(scale_factor=stride)
    ).eval()
    assert (reach(network, None) is None) == (stride > GRID)


def test_a_network_that_draws_noise_is_not_for_tiles():
    network, _ = small("texture-net", task="stylization", scales=2, padding="reflect")
    assert reach(network, None) is None
    with pytest.raises(ConfigError, match="draws noise, and cannot work in tiles; choose a smaller size"):
        margin(network, None)


@pytest.mark.parametrize("kind", ["johnson", "cin", "adain"])
def test_the_margin_is_a_step_of_the_grid_and_an_overlap_must_reach(kind):
    network, style = small(kind, **({} if kind == "adain" else {"width": 2}))
    needed = reach(network, style)
    assert 40 <= needed <= 64
    assert margin(network, style) == 64
    assert margin(network, style, overlap=65) == 96
    with pytest.raises(ConfigError, match=f"an overlap of {needed - 1} pixels would leave seams"):
        margin(network, style, overlap=needed - 1)


CASES = {
    "johnson": {"width": 2},
    "johnson, instance norm": {"width": 2, "norm": "instance", "padding": "reflect", "upsampling": "nearest"},
    "cin": {"width": 2},
    "adain": {},
}


@pytest.fixture(params=CASES)
def case(request):
    return small(request.param.partition(",")[0], **CASES[request.param])


def in_tiles(network, style, content, **options):
    overlap = margin(network, style)
    return stylize_in_tiles(
        network, content, style, **{"alpha": 1.0, "edge": 2 * overlap + 64, "overlap": overlap, **options}
    )


def whole(network, style, content, edge, alpha=1.0):
    """The same statistics as the tiles have, and one pass."""
    with torch.no_grad(), held_statistics(network):
        network(module._reduced(content, edge * edge), style, alpha=alpha)
        return network(content, style, alpha=alpha)


@pytest.mark.parametrize("size", [(201, 149), (97, 320)])
def test_tiles_are_the_whole_to_float_rounding(case, size):
    network, style = case
    content = picture(*size)
    tiled = in_tiles(network, style, content, alpha=0.7)
    assert_close(tiled, whole(network, style, content, 192, alpha=0.7), rtol=0, atol=1e-5)


def test_no_seam_shows(case):
    network, style = case
    content = picture(90, 290)
    tiled = in_tiles(network, style, content)
    at_borders, elsewhere = steps_of(tiled)
    assert len(at_borders) == 4
    assert at_borders.mean() <= 1.1 * elsewhere.mean()
    assert at_borders.max() <= 1.1 * elsewhere.max()


def steps_of(tiled):
    """Mean step to the next column: where a tile begins, at 64, 128, 192 and 256, and elsewhere.

    Only every eighth column counts: a network of stride 8 has a pattern of that period.
    """
    steps = (tiled[..., 1:] - tiled[..., :-1]).abs().mean(dim=(0, 1, 2))[7::8]
    return steps[7::8], steps[[n for n in range(len(steps)) if n % 8 != 7]]


def test_a_margin_that_is_too_narrow_would_show():
    network, style = small("cin", width=2)
    content = picture(90, 290)
    narrow = in_tiles(network, style, content, edge=64, overlap=0)
    assert (narrow - whole(network, style, content, 64)).abs().max() > 1e-3
    at_borders, elsewhere = steps_of(narrow)
    assert at_borders.mean() > 1.1 * elsewhere.mean()


def test_the_statistics_are_the_whole_s_at_its_own_size_where_that_is_no_more_than_a_tile():
    network, style = small("johnson", width=2, norm="instance", padding="reflect", upsampling="nearest")
    content = picture(100, 280)
    with torch.no_grad():
        plain = network(content, style)
    assert_close(in_tiles(network, style, content, edge=224), plain, rtol=0, atol=1e-5)


def test_nothing_is_held_afterwards(case):
    network, style = case
    with torch.no_grad():
        before = network(picture(80, 80), style)
        in_tiles(network, style, picture(200, 80, seed=1))
        assert torch.equal(network(picture(80, 80), style), before)


def test_a_tile_that_is_all_margin_is_refused():
    network, style = small("johnson", width=2)
    with pytest.raises(ConfigError, match=r"a tile of 128 pixels is all margin: 64 are .* at least 160"):
        stylize_in_tiles(network, picture(200, 200), style, alpha=1.0, edge=150, overlap=64)


def test_each_tile_is_told_and_may_be_the_last():
    network, style = small("johnson", width=2)
    told = []
    in_tiles(network, style, picture(193, 70), on_tile=lambda done, count: told.append((done, count)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    calls = iter([False, False, True])
    with pytest.raises(Cancelled, match=r"^interrupted after 2 of 4 tiles$"):
        in_tiles(network, style, picture(193, 70), cancelled=lambda: next(calls))


@settings(max_examples=5)
@given(free=st.integers(2**24, 2**40))
def test_the_largest_whole_picture_follows_from_the_memory_that_is_free(free):
    network = Convolutions(nn.Conv2d(3, 8, 3, padding=1)).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "available_memory", lambda: free)
        # 11 channels of float32 in the only layer, three times over two: what came and what it gives.
        pixels = largest_whole(network, None)
    assert pixels == pytest.approx(min(free / 2, 1.5 * 2**30) / (11 * 4 * 3 / 2), rel=1e-6, abs=1)
