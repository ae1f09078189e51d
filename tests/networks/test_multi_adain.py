import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.networks import held_statistics
from velatura.networks.bands import BandMatching
from velatura.networks.multi_adain import MultiAdaIN, MultiAdaINConfig, _carried, _correlation
from velatura.networks.transport import transport
from velatura.ops.moments import covariance, raw_moments


def built(*, trained: bool = False, **settings) -> MultiAdaIN:
    network = MultiAdaINConfig(**settings).build(rng=generator(0, "weights")).eval()
    if trained:  # It starts as the photograph in other colours: give every part something to do.
        rng = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in (network.exit.weight, network.steering[-1].bias):
                weight.normal_(0, 0.1, generator=rng)
    return network


def picture(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def test_the_transport_is_the_one_between_gaussians():
    # Of commuting covariances the map is the root of the quotient, by hand.
    own, wanted = torch.diag(torch.tensor([4.0, 1.0]))[None], torch.diag(torch.tensor([1.0, 9.0]))[None]
    linear = transport(own, wanted, floor=1e-6)
    assert_close(linear[0], torch.diag(torch.tensor([0.5, 3.0])), rtol=1e-4, atol=1e-4)


def test_the_features_get_the_paintings_correlations():
    rng = torch.Generator().manual_seed(0)
    mixing = torch.randn(2, 8, 8, generator=rng)
    maps = (mixing[0] @ torch.randn(8, 900, generator=rng) + 2).view(1, 8, 30, 30)
    style = (mixing[1] @ torch.randn(8, 900, generator=rng) - 1).view(1, 8, 30, 30)
    moved = _carried(maps, raw_moments(maps), raw_moments(style), floor=1e-4)
    mean, second = raw_moments(moved)
    assert mean.abs().max() < 1e-4
    # A hundredth of the mean square is added to each variance, here as there.
    assert_close(covariance(mean, second), _correlation(*raw_moments(style)), rtol=0, atol=0.05)


def test_untrained_it_gives_the_photograph_in_the_paintings_colours_blurred():
    network, content, painting = built(), picture(0), picture(1).square()
    out = network(content, network.encode(painting))
    assert_close(out.mean(dim=(2, 3)), painting.mean(dim=(2, 3)), rtol=0, atol=0.02)


def test_alpha_goes_from_the_photographs_own_style_to_the_paintings():
    network, content = built(trained=True), picture(0)
    style = network.encode(picture(1).square())
    own = network(content, network.encode(content))
    assert_close(network(content, style, alpha=0), own, rtol=0, atol=1e-4)
    far = [(network(content, style, alpha=alpha) - own).square().mean() for alpha in (0.25, 0.5, 1.0)]
    assert far == sorted(far)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_picture_of_one_colour_is_a_style_and_a_photograph(level):
    network, flat, busy = built(trained=True), torch.full((1, 3, 160, 160), level), picture(0, 160, 160)
    assert network(busy, network.encode(flat)).isfinite().all()
    assert network(flat, network.encode(busy)).isfinite().all()


def test_held_statistics_make_tiles_of_the_whole():
    network = built(trained=True)
    content, style = picture(0, 64, 256), network.encode(picture(1).square())
    whole = network(content, style)
    with held_statistics(network):
        network(content, style)
        tile = network(content[..., :192], style)
    assert_close(tile[..., :96], whole[..., :96], rtol=0, atol=1e-4)
    assert (network(content[..., :192], style)[..., :96] - whole[..., :96]).abs().max() > 1e-3


def test_without_bands_the_colours_get_the_paintings_moments():
    style = picture(1).square()
    matching = BandMatching(0)
    found = raw_moments(matching(picture(0), matching.encode(style)))
    wanted = raw_moments(style)
    assert_close(found[0], wanted[0], rtol=0, atol=1e-4)
    assert_close(found[1], wanted[1], rtol=0, atol=2e-3)  # A thousandth is added to each variance.


def test_the_bands_come_near_the_paintings_moments():
    """Not to it: bands overlap, so that one changes a little what another holds."""
    painting = picture(3, 64, 64) + 0.1 * torch.rand(1, 3, 64, 64)
    matching = BandMatching(3)
    blurred = picture(0, 64, 96) + 0.02 * torch.rand(1, 3, 64, 96)
    wanted = matching.encode(painting)

    def off(image):
        found = matching.encode(image)
        seconds = [key for key in wanted if key.endswith("second")]
        return sum((found[key] - wanted[key]).norm() / wanted[key].norm() for key in seconds)

    assert off(matching(blurred, wanted)) < 0.6 * off(blurred)


def test_in_training_detail_is_the_decoders_own():
    network, style = built(trained=True), built().encode(picture(1).square())
    plain = built(trained=True, bands=0)
    content = picture(0)
    assert not torch.equal(network(content, style), network.train()(content, style))
    assert network.train()(content, style).shape == plain(content, plain.encode(picture(1))).shape


@pytest.mark.parametrize("bands", [0, 1, 5])
def test_any_size_comes_back_whatever_the_bands(bands):
    network = built(trained=True, bands=bands)
    content = picture(0, 41, 67)
    assert network(content, network.encode(picture(1, 50, 33))).shape == content.shape


def test_every_style_parameter_steers_one_part():
    network = built()
    assert network.steering[-1].out_features == sum(stage.steered for stage in network.stages) == 1088
    assert sum(weight.numel() for weight in network.parameters()) == 750_124


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (32, 64)}, "3 layers, 2 widths and 3 blocks do not fit"),
        ({"layers": ("relu1_1", "relu2_1", "relu3_1")}, "have strides .1, 2, 4.; expected .2, 4, 8."),
    ],
)
def test_depths_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        built(**settings)


def test_in_half_precision_statistics_stay_exact():
    # Moments in bfloat16 made covariances with eigenvalues below zero, and pixels that were no numbers.
    network, content = built(trained=True), picture(0, 96, 128)
    painting = (picture(1) * torch.tensor([1.0, 0.9, 0.02]).view(1, 3, 1, 1)).clamp(0, 1)
    expected = network(content, network.encode(painting))
    with torch.autocast("cpu", torch.bfloat16):
        style = network.encode(painting)
        found = network(content, style)
    assert {value.dtype for value in style.values()} == {torch.float32}
    assert_close(found.float(), expected, rtol=0, atol=0.1)
