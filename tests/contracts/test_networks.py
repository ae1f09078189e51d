"""What every registered network promises, whichever package it comes from."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load, save
from torch.testing import assert_close

from velatura.core.config import to_mapping
from velatura.core.rng import generator
from velatura.jobs.schema import build
from velatura.networks import blend_styles, networks

SIZES = [(64, 64), (97, 61), (1, 1), (2, 5)]


def built(name, seed=0):
    config = networks[name]()
    num_styles = 3 if config.styles == "many" else 1
    return config.build(num_styles=num_styles, rng=generator(seed, "network weights"))


def picture(height, width, *, batch=1, seed=0):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def style_of(network, seed=1):
    """A style that such a network takes: a blend of its own, or a random painting."""
    if network.styles == "one":
        return None
    if network.styles == "many":
        return network.choose([0.5, 0.25, 0.25] if seed == 1 else [0.0, 0.0, 1.0])
    with torch.no_grad():
        return network.encode(picture(72, 80, seed=seed))


@pytest.fixture(scope="module", params=list(networks))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name):
    return built(name).eval()


@pytest.fixture(scope="module")
def stylized(network):
    """One photograph and what the network makes of it."""
    photograph = picture(64, 48)
    with torch.no_grad():
        return photograph, network(photograph, style_of(network))


def test_it_says_how_many_styles_it_knows(name, network):
    assert networks[name].styles == network.styles
    assert network.styles in ("one", "many", "any")
    assert network.num_styles == (3 if network.styles == "many" else 1)


def test_the_config_comes_back_from_its_mapping(name):
    config = networks[name]()
    mapping = json.loads(json.dumps(to_mapping(config)))
    assert mapping.pop("name") == name
    assert build(networks[name], mapping) == config


def test_the_same_seed_draws_the_same_weights_and_another_seed_others(name, network):
    before = torch.random.get_rng_state()
    own, same, other = network.state_dict(), built(name).state_dict(), built(name, seed=1).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before), "it drew from the global generator"
    assert own.keys() == same.keys() == other.keys()
    assert all(torch.equal(own[key], same[key]) for key in own)
    assert any(not torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_stylization_has_the_size_of_the_photograph(name, size, training):
    network = built(name).train(training)
    with torch.no_grad():
        stylization = network(picture(*size), style_of(network))
    assert stylization.shape == (1, 3, *size)
    assert stylization.dtype == torch.float32
    assert stylization.isfinite().all()


def test_every_weight_has_a_finite_gradient_and_what_is_frozen_has_none(name):
    network = built(name).train()
    photograph = picture(40, 33, batch=2)
    network(photograph, style_of(network)).square().mean().backward()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trained
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
        else:
            assert parameter.grad is None, key
    assert any(parameter.grad.abs().max() > 0 for parameter in trained)


def test_what_is_frozen_is_not_in_the_state_dict(network):
    frozen = {key for key, parameter in network.named_parameters() if not parameter.requires_grad}
    assert not frozen & network.state_dict().keys()


def test_a_saved_and_loaded_network_gives_the_same_pixels(name, network, stylized):
    photograph, expected = stylized
    other = built(name, seed=5).eval()
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    other.load_state_dict(load(save(state)))
    with torch.no_grad():
        assert_close(other(photograph, style_of(other)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("weights_too", [False, True], ids=["picture", "picture and weights"])
def test_it_does_not_depend_on_the_memory_format(name, stylized, weights_too):
    photograph, expected = stylized
    network = built(name).eval()
    if weights_too:
        network = network.to(memory_format=torch.channels_last)
    with torch.no_grad():
        found = network(photograph.contiguous(memory_format=torch.channels_last), style_of(network))
    assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_batch_is_its_pictures_one_by_one(network):
    photographs, style = picture(37, 50, batch=2), style_of(network)
    with torch.no_grad():
        together = network(photographs, style)
        alone = torch.cat([network(photograph[None], style) for photograph in photographs])
    assert_close(together, alone, rtol=1e-3, atol=1e-4)


def test_alpha_goes_from_one_picture_to_another_without_a_jump(network, stylized):
    photograph, expected = stylized
    style = style_of(network)
    with torch.no_grad():
        steps = [network(photograph, style, alpha=alpha) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert torch.equal(steps[-1], expected)
    whole = (steps[0] - steps[-1]).square().mean()
    assert whole > 0
    for one, other in itertools.pairwise(steps):
        assert (one - other).square().mean() < whole


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan")])
def test_alpha_is_from_0_to_1(network, alpha):
    with pytest.raises(ValueError, match="alpha must be from 0 to 1, not"):
        network(picture(16, 16), style_of(network), alpha=alpha)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16), (1, 4, 16, 16)])
def test_only_batches_of_pictures_are_taken(network, shape):
    with pytest.raises(ValueError, match=r"expected pictures of shape \(B, 3, H, W\), got"):
        network(torch.zeros(shape), style_of(network))


def test_a_style_is_asked_for_where_there_are_several_and_refused_where_there_is_one(network):
    if network.styles == "one":
        with pytest.raises(ValueError, match="a network of one style takes no other"):
            network(picture(16, 16), {"weights": torch.ones(1, 1)})
    else:
        with pytest.raises(ValueError, match=f"a network of {network.styles} styles needs one"):
            network(picture(16, 16))


def test_a_style_that_is_no_style_of_its_kind_is_refused(network):
    if network.styles == "one":
        pytest.skip("it takes none")
    with pytest.raises((ValueError, KeyError)):
        network(picture(16, 16), {"nothing": torch.ones(1, 1)})


def test_styles_are_chosen_where_there_are_many_and_encoded_where_there_is_any(network):
    if network.styles == "many":
        with pytest.raises(ValueError, match="expected 3 weights, one a style, not 2"):
            network.choose([0.5, 0.5])
    else:
        with pytest.raises(TypeError, match="has not several styles"):
            network.choose([1.0])
    if network.styles != "any":
        with pytest.raises(TypeError, match="has styles of its own"):
            network.encode(picture(16, 16))


def test_the_style_decides_and_a_blend_of_one_style_is_that_style(name):
    network = built(name).eval()
    if network.styles == "one":
        pytest.skip("it has one")
    numbers = torch.Generator().manual_seed(3)
    photograph, one, other = picture(64, 48), style_of(network), style_of(network, seed=2)
    with torch.no_grad():
        # As if trained: a network may draw all of its styles alike.
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=numbers)
        found = network(photograph, one)
        assert not torch.allclose(network(photograph, other), found, atol=1e-3)
        blend = network(photograph, blend_styles([one, one], [0.25, 0.75]))
    assert_close(blend, found, rtol=1e-3, atol=1e-4)


def test_with_masks_a_style_that_has_all_of_the_picture_is_that_style(network, stylized):
    photograph, expected = stylized
    styles = [style_of(network), style_of(network, seed=2)]
    masks = torch.zeros(1, 2, 64, 48)
    masks[:, 0] = 1
    with torch.no_grad():
        found = network.in_regions(photograph, styles, masks)
    assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 2, 16, 17), (2, 16, 16)])
def test_masks_are_one_a_style_and_as_large_as_the_photograph(network, shape):
    styles = [style_of(network)] * 2
    with pytest.raises(ValueError, match=r"expected masks of shape \(1, 2, 16, 16\), one a style"):
        network.in_regions(picture(16, 16), styles, torch.ones(shape))
