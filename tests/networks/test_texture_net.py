"""Texture networks: counts and sizes of the paper, noise by its seed, textures without a seam."""

import copy
import pickle

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.losses.diversity import Diversity
from velatura.losses.gram import Gram
from velatura.networks.texture_net import TextureNet, _mirrored
from velatura.ops.gradients import normalize_gradient

STYLIZATION = {"task": "stylization", "padding": "reflect"}


def _built(seed=0, **settings):
    return TextureNet(**settings).build(rng=generator(seed, "network weights"))


def _picture(height=64, width=64, batch=1):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def _shapes(network, kinds, *args):
    """What the modules of a kind give, in the order in which they are called."""
    shapes = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
        for module in network.modules()
        if isinstance(module, kinds)
    ]
    network(*args)
    for hook in hooks:
        hook.remove()
    return shapes


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"scales": 1}, 955),
        ({"scales": 5}, 71_659),
        ({"scales": 6}, 116_915),
        ({"scales": 6, **STYLIZATION}, 118_211),
        ({"scales": 6, **STYLIZATION, "noise_channels": 0, "norm": "instance"}, 116_915),
    ],
)
def test_parameters_by_the_number_of_scales(settings, count):
    """Of K scales: 928 K; 1216 i^2 + 88 i for each i from 2 to K; 24 K + 3; with a photograph 216 K more."""
    assert sum(parameter.numel() for parameter in _built(**settings).parameters()) == count


def test_activation_sizes_of_five_scales_at_256_pixels():
    """Three blocks a branch, three after each join; 8 channels more at each scale (2016, figure 2)."""
    network = _built().eval()
    with torch.no_grad():
        found = _shapes(network, torch.nn.Conv2d, _picture(256, 256))
    expected = [(8, 16, 16)] * 3
    for number, size in enumerate([32, 64, 128, 256], start=2):
        expected += [(8, size, size)] * 3 + [(8 * number, size, size)] * 3
    assert found == [*expected, (3, 256, 256)]


def test_every_convolution_but_the_last_is_normalised_and_each_join_twice():
    network = _built()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 5 * 3 + 4 * 3 + 4 * 2
    channels = [(join.coarse.num_features, join.fine.num_features) for join in network.joins]
    assert channels == [(8, 8), (16, 8), (24, 8), (32, 8)]


def test_a_network_of_two_scales_is_the_formula_written_out():
    """Padded, convolved, normalised and joined here by torch's functions, from the same weights."""
    network = _built(scales=2, norm="instance").double()
    coarse, fine = torch.rand(1, 3, 4, 4).double(), torch.rand(1, 3, 8, 8).double()

    def block(layers, features):
        for conv, norm, _ in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
            margin = conv.kernel_size[0] // 2
            around = functional.pad(features, (margin,) * 4, mode="circular")
            features = functional.conv2d(around, conv.weight, conv.bias)
            features = functional.instance_norm(features, weight=norm.weight, bias=norm.bias, eps=1e-5)
            features = torch.where(features > 0, features, 0.01 * features)
        return features

    def normed(norm, features):
        return functional.instance_norm(features, weight=norm.weight, bias=norm.bias, eps=1e-5)

    (join,) = network.joins
    low = block(network.branches[0], coarse).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    high = block(network.branches[1], fine)
    joined = block(join.block, torch.cat([normed(join.coarse, low), normed(join.fine, high)], dim=1))
    weights = network.last.weight[:, :, 0, 0]
    expected = torch.einsum("oc,bchw->bohw", weights, joined) + network.last.bias[:, None, None]
    assert_close(network.generate([coarse, fine]), expected)


def test_relu_gives_nothing_of_what_is_below_zero():
    leaky, relu = _built(activation="leaky"), _built(activation="relu")
    features = torch.tensor([-2.0, 3.0])
    assert_close(leaky.branches[0][2](features.clone()), torch.tensor([-0.02, 3.0]))
    assert_close(relu.branches[0][2](features.clone()), torch.tensor([0.0, 3.0]))


def test_pixels_are_less_the_mean_of_255():
    network = _built().eval()
    torch.nn.init.zeros_(network.last.weight)
    network.last.bias.data = torch.tensor([255 - 123.68, -116.779, 0.0])
    found = network(_picture())
    assert_close(found[0, :, 5, 7], torch.tensor([1.0, 0.0, 103.939 / 255]))


def test_weights_are_drawn_as_torch_7_draws_them():
    network = _built()
    conv, norm = network.joins[0].block[0], network.joins[0].block[1]
    bound = (16 * 9) ** -0.5
    assert conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert 0 <= norm.weight.min() < norm.weight.max() <= 1
    assert norm.bias.abs().max() == 0


@pytest.mark.parametrize("settings", [{}, {"norm": "instance"}, STYLIZATION])
@pytest.mark.parametrize("scales", [1, 3, 6])
@pytest.mark.parametrize("size", [(64, 96), (97, 61), (1, 1), (2, 5)])
def test_any_size_comes_back(settings, scales, size):
    network = _built(scales=scales, **settings)
    for training in (True, False):
        with torch.no_grad():
            found = network.train(training)(_picture(*size))
        assert found.shape == (1, 3, *size)
        assert found.isfinite().all()


@pytest.mark.parametrize("padding", ["circular", "reflect", "replicate", "zeros"])
def test_every_padding_works_down_to_one_pixel(padding):
    assert _built(padding=padding).train()(_picture(1, 1)).isfinite().all()


def test_the_seed_of_the_noise_decides_the_texture():
    network = _built(norm="instance").eval()
    found = []
    for seed in (1, 1, 2):
        network.rng = generator(seed, "noise")
        found.append(network(_picture()))
    assert torch.equal(found[0], found[1])
    assert (found[0] - found[2]).abs().mean() > 1e-4


def test_in_evaluation_the_same_picture_comes_again_for_any_batch():
    network = _built(norm="instance").eval()
    one, again, batch = network(_picture()), network(_picture()), network(_picture(batch=3))
    assert torch.equal(one, again)
    for sample in batch:
        assert_close(sample, one[0], rtol=1e-4, atol=1e-6)


def test_in_training_noise_is_new_at_each_step_and_for_each_picture():
    network = _built(norm="instance").train()
    state = network.rng.get_state()
    first, second = network(_picture(batch=2)), network(_picture(batch=2))
    assert not torch.allclose(first[0], first[1], atol=1e-4)
    assert not torch.allclose(first, second, atol=1e-4)
    network.rng.set_state(state)
    assert torch.equal(network(_picture(batch=2)), first)


def test_noise_is_uniform_and_drawn_for_each_picture_alone():
    network = _built()
    alone, among = (network.draw_noise(count, (64, 96), generator(3, "noise")) for count in (1, 4))
    assert [tuple(part.shape) for part in among] == [
        (4, 3, 64 // ratio, 96 // ratio) for ratio in (16, 8, 4, 2, 1)
    ]
    for one, several in zip(alone, among, strict=True):
        assert torch.equal(one[0], several[0])
        assert not torch.equal(several[0], several[1])
    assert 0 <= among[-1].min() < 0.01
    assert 0.99 < among[-1].max() < 1


def test_a_texture_takes_its_size_alone_from_the_photograph():
    network = _built(norm="instance").eval()
    assert torch.equal(network(_picture()), network(torch.zeros(1, 3, 64, 64)))


def test_a_stylization_takes_the_photograph_at_every_scale():
    network = _built(scales=3, **STYLIZATION).eval()
    photograph = _picture()
    given = []
    for branch in network.branches:
        branch.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    network(photograph)
    for inputs, ratio in zip(given, (4, 2, 1), strict=True):
        blocks = photograph.reshape(1, 3, 64 // ratio, ratio, 64 // ratio, ratio)
        assert_close(inputs[:, :3], blocks.mean(dim=(3, 5)))
        assert inputs.shape[1] == 6


def test_without_noise_the_photograph_alone_decides():
    network = _built(noise_channels=0, norm="instance", **STYLIZATION).train()
    assert network.rng is None
    assert torch.equal(network(_picture()), network(_picture()))


def test_a_photograph_is_continued_by_its_mirror_image():
    row = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    assert _mirrored(row, (2, 8)).tolist() == [[[[1, 2, 3, 2, 1, 2, 3, 2]] * 2]]


def _rolled(tensor, down, across):
    return tensor.roll((down, across), dims=(2, 3))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("padding", ["circular", "reflect", "zeros"])
def test_only_circular_convolutions_roll_a_texture_with_its_noise(norm, padding):
    """They know no edge: what goes out at the bottom comes in at the top, so copies lie side by side."""
    network = _built(scales=3, norm=norm, padding=padding).train()
    noise = network.draw_noise(1, (32, 48), generator(1, "noise"))
    with torch.no_grad():
        still = network.generate(noise)
        moved = [
            _rolled(part, 12 // ratio, -20 // ratio) for part, ratio in zip(noise, (4, 2, 1), strict=True)
        ]
        found = network.generate(moved)
    assert still.std() > 0.1
    change = (found - _rolled(still, 12, -20)).abs().max()
    assert change < 1e-4 if padding == "circular" else change > 0.1


def test_a_texture_beside_itself_is_one_texture_of_twice_the_width():
    network = _built(scales=3, norm="instance").eval()
    noise = network.draw_noise(1, (32, 32), generator(1, "noise"))
    with torch.no_grad():
        one, two = network.generate(noise), network.generate([part.repeat(1, 1, 1, 2) for part in noise])
    assert_close(two, one.repeat(1, 1, 1, 2), rtol=1e-4, atol=1e-4)


def test_alpha_lays_the_texture_over_the_picture():
    network, picture = _built(norm="instance").eval(), _picture()
    whole = network(picture)
    assert torch.equal(network(picture, alpha=0.0), picture)
    assert_close(network(picture, alpha=0.25), 0.75 * picture + 0.25 * whole)


def test_a_network_is_copied_and_pickled_with_its_noise():
    network = _built(scales=2, norm="instance").eval()
    network.rng = generator(5, "noise")
    expected = network(_picture())
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(_picture()), expected)


def test_a_texture_without_noise_is_refused():
    with pytest.raises(ConfigError, match="a texture is made of noise alone; give it noise_channels of 1"):
        TextureNet(noise_channels=0)


def test_several_styles_are_refused():
    with pytest.raises(ConfigError, match="a texture network learns 1 style, not 3; take cin"):
        TextureNet().build(num_styles=3, rng=generator(0, "network weights"))


def _objective(network, target):
    pictures = network(torch.zeros(2, 3, 32, 32))
    return (
        Gram().forward(normalize_gradient(pictures), target).mean() + Diversity().forward(pictures, {}).mean()
    )


def test_the_loss_of_a_seed_and_that_it_falls():
    """Gram matrices of pixels with normalised gradients, and diversity; the start as computed once."""
    network = _built(scales=2, norm="instance", activation="relu").train()
    target = Gram().target(_picture(32, 32))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    start = _objective(network, target).item()
    for _ in range(20):
        optimizer.zero_grad()
        _objective(network, target).backward()
        optimizer.step()
    assert start == pytest.approx(2.39482, abs=1e-3)
    assert _objective(network, target).item() < start - 2
