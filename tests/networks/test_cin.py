"""CIN: what a style costs, how styles mix, and that one more leaves the others as they are."""

import pytest
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.networks import held_statistics
from velatura.networks.cin import Cin, ConditionalNorm


def built(num_styles=2, *, width=2, trained=True):
    """A network whose rows and kernels are not those that it starts with."""
    network = Cin(width=width).build(num_styles=num_styles, rng=generator(0, "network weights")).eval()
    if trained:
        numbers = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=numbers)
    return network


def picture(height, width, *, batch=1, seed=0, dtype=torch.float32):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_a_style_is_3206_numbers():
    network = built(10, width=32, trained=False)
    assert len([module for module in network.modules() if isinstance(module, ConditionalNorm)]) == 16
    assert [row.numel() for row in network.rows] == [3206] * 10
    shared = sum(value.numel() for key, value in network.named_parameters() if not key.startswith("rows."))
    # Johnson's 1,679,235 without 3,200 numbers of norms and 1,603 biases of convolutions.
    assert shared == 1_674_432
    assert round(100 * 3206 / (shared + 3206), 2) == 0.19


def test_ten_styles_are_less_than_4_megabytes_of_float16():
    state = built(10, width=32, trained=False).half().state_dict()
    assert len(save({key: value.contiguous() for key, value in state.items()})) < 4e6


def test_it_starts_as_the_authors_code_starts():
    network = built(2, width=32, trained=False)
    kernels = torch.cat(
        [module.weight.flatten() for module in network.modules() if isinstance(module, nn.Conv2d)]
    )
    assert_close(kernels.std().item(), 0.01, rtol=0.01, atol=0)
    assert kernels.mean().abs() < 1e-4
    for row in network.rows:
        assert set(row.tolist()) == {0.0, 1.0}
        assert row.sum() == 1603
        assert row[:32].tolist() == [1.0] * 32
        assert row[32:64].tolist() == [0.0] * 32
        assert row[-6:].tolist() == [1.0] * 3 + [0.0] * 3


@pytest.mark.parametrize("count", [0, -1])
def test_a_network_of_no_style_is_refused(count):
    with pytest.raises(ConfigError, match=f"a cin network knows at least 1 style, not {count}"):
        Cin().build(num_styles=count, rng=generator(0, "network weights"))


def test_a_conditional_norm_by_hand():
    norm = ConditionalNorm(1, epsilon=0.0)
    features = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2).repeat(2, 1, 1, 1)
    found = norm(features, torch.tensor([[2.0], [0.5]]), torch.tensor([[10.0], [-1.0]]))
    # Mean 2, deviation 1: -1 and 1, then each picture's scale and shift.
    assert_close(found.flatten(1), torch.tensor([[8.0, 12.0], [-1.5, -0.5]]))


def plain(network, photographs, row):
    """The network in one style as calls to torch, for photographs whose sides divide by 4."""
    state = {key.removeprefix("transform."): value for key, value in network.state_dict().items()}
    at = 0

    def layer(name, x, stride=1):
        nonlocal at
        weight = state[f"{name}.conv.weight"]
        channels, reach = weight.shape[0], weight.shape[-1] // 2
        x = functional.conv2d(functional.pad(x, [reach] * 4, mode="reflect"), weight, stride=stride)
        scale, shift = row[at : at + channels], row[at + channels : at + 2 * channels]
        at += 2 * channels
        return functional.instance_norm(x, weight=scale, bias=shift, eps=1e-5)

    x = photographs
    for number, stride in ((0, 1), (1, 2), (2, 2)):
        x = layer(f"down.{number}", x, stride).relu()
    for number in range(5):
        y = layer(f"residual.{number}.first", x).relu()
        x = x + layer(f"residual.{number}.second", y)
    for number in range(2):
        x = layer(f"up.{number}", functional.interpolate(x, scale_factor=2)).relu()
    x = layer("last", x).sigmoid()
    assert at == len(row)
    return x


def test_it_is_the_network_in_plain_torch_for_each_style_and_for_a_blend():
    network = built(3, width=3).double()
    photographs = picture(44, 52, batch=2, dtype=torch.float64)
    for weights in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]):
        row = sum(weight * row for weight, row in zip(weights, network.rows, strict=True))
        with torch.no_grad():
            expected = plain(network, photographs, row)
            found = network(photographs, network.choose(weights))
        assert_close(found, expected, rtol=1e-9, atol=1e-9)
        assert 0 < found.min() < found.max() < 1


def test_each_picture_of_a_batch_may_have_its_own_style():
    network, photographs = built(3), picture(32, 36, batch=3)
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    with torch.no_grad():
        together = network(photographs, {"weights": weights})
        for index in range(3):
            alone = network(photographs[index : index + 1], {"weights": weights[index : index + 1]})
            assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("style", "complaint"),
    [
        ({"weights": torch.ones(1, 2)}, r"expected weights of shape \(2, 3\) or \(1, 3\), .* not \(1, 2\)"),
        ({"weights": torch.ones(3)}, r"expected weights of shape .* not \(3,\)"),
        ({"weights": torch.ones(3, 3)}, r"expected weights of shape .* not \(3, 3\)"),
        ({"mean": torch.ones(1, 3)}, "needs 'weights': take them from choose"),
    ],
)
def test_weights_that_do_not_fit_are_refused(style, complaint):
    with pytest.raises(ValueError, match=complaint):
        built(3)(picture(16, 16, batch=2), style)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.5),
    ],
    ids=["adamw", "sgd"],
)
def test_training_one_style_moves_its_row_and_nothing_else(optimizer):
    network, photographs = built(3), picture(24, 24, batch=2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train_only_style(1)
    assert [key for key, value in network.named_parameters() if value.requires_grad] == ["rows.1"]
    steps, found = optimizer(network.parameters()), []
    for _ in range(12):
        steps.zero_grad()
        loss = (network(photographs, network.choose([0.0, 1.0, 0.0])) - 0.9).square().mean()
        loss.backward()
        steps.step()
        found.append(loss.item())
    assert found[-1] < 0.8 * found[0]
    after = network.state_dict()
    assert [key for key in after if not torch.equal(after[key], before[key])] == ["rows.1"]


@pytest.mark.parametrize("like", [None, 1])
def test_one_style_more_leaves_every_bit_of_the_others(like):
    network, photograph = built(3), picture(31, 45)
    choices = ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.2, 0.5, 0.3])
    with torch.no_grad():
        before = [network(photograph, network.choose(weights)) for weights in choices]
        assert network.add_style(like=like) == 3
        assert network.num_styles == 4
        after = [network(photograph, network.choose([*weights, 0.0])) for weights in choices]
        for one, other in zip(before, after, strict=True):
            assert torch.equal(one, other)
        new = network(photograph, network.choose([0.0, 0.0, 0.0, 1.0]))
        fresh = [1.0] * 2 + [0.0] * 2
        if like is None:
            assert network.rows[3][:4].tolist() == fresh
            assert not torch.allclose(new, before[1], atol=1e-3)
        else:
            assert torch.equal(new, network(photograph, network.choose([0.0, 1.0, 0.0, 0.0])))
    network.train_only_style(3)
    assert network.rows[3].requires_grad
    with torch.no_grad():
        network.rows[3] += 1
    assert not torch.equal(network.rows[3], network.rows[1]), "the copy is not the row itself"
    larger = built(4, trained=False)
    larger.load_state_dict(network.state_dict())


@pytest.mark.parametrize("index", [-1, 2])
def test_a_style_that_is_not_there_can_be_neither_trained_nor_copied(index):
    network = built(2)
    with pytest.raises(ValueError, match=f"expected a style from 0 to 1, not {index}"):
        network.train_only_style(index)
    with pytest.raises(ValueError, match=f"expected a style from 0 to 1, not {index}"):
        network.add_style(like=index)


def test_held_statistics_make_a_tile_equal_to_its_part_of_the_whole():
    network, photograph = built(2), picture(48, 256)
    style = network.choose([0.5, 0.5])
    with torch.no_grad(), held_statistics(network):
        whole = network(photograph, style)
        tile = network(photograph[..., 96:], style)
    # An output pixel sees less than 64 pixels to each side.
    assert_close(tile[..., 64:], whole[..., 160:], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        alone = network(photograph[..., 96:], style)
    assert not torch.allclose(alone[..., 64:], whole[..., 160:], atol=1e-3)


def test_it_can_be_exported_with_its_sizes_left_open():
    network = built(3)
    sides = {2: torch.export.Dim("height", min=8), 3: torch.export.Dim("width", min=8)}
    shapes = {"content": sides, "style": {"weights": None}}
    exported = torch.export.export(
        network, (picture(64, 72), {"weights": torch.rand(1, 3)}), dynamic_shapes=shapes
    )
    style = network.choose([0.2, 0.3, 0.5])
    for photograph in (picture(8, 50), picture(97, 61)):
        with torch.no_grad():
            found = exported.module()(photograph, style)
            assert_close(found, network(photograph, style), rtol=1e-4, atol=1e-5)


def test_bfloat16_autocast_is_near_float32():
    network, photograph = built(2, width=8), picture(48, 48)
    with torch.no_grad():
        exact = network(photograph, network.choose([0.5, 0.5]))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(photograph, network.choose([0.5, 0.5]))
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.03
