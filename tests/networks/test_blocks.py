"""The pieces of Johnson's network, by their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from velatura.networks.blocks import (
    Block,
    Convolution,
    FractionalConvolution,
    ResidualBlock,
    ResizeConvolution,
    faded,
    mirrored_around,
)


def with_random_weights(module):
    numbers = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=numbers))
    return module.double()


def test_a_row_mirrored_by_hand():
    row = torch.arange(9.0).reshape(1, 1, 1, 9).expand(1, 1, 8, 9)
    framed = mirrored_around(row, margin=2)
    # Two on the left, then three to the next multiple of 4, and two on the right.
    assert framed[0, 0, 0].tolist() == [2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3]
    assert framed.shape == (1, 1, 12, 16)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 23), st.sampled_from([0, 1, 40]))
def test_the_frame_is_numpys_reflection_however_often_it_takes(height, width, margin):
    picture = torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(height))
    missing = [max(8, (size + 3) // 4 * 4) - size for size in (height, width)]
    around = [(0, 0), (0, 0), *((margin, margin + more) for more in missing)]
    expected = torch.from_numpy(np.pad(picture.numpy(), around, mode="reflect"))
    assert_close(mirrored_around(picture, margin=margin), expected, rtol=0, atol=0)


def test_a_frame_keeps_the_memory_format_and_lets_gradients_through():
    picture = torch.rand(2, 3, 12, 12).contiguous(memory_format=torch.channels_last).requires_grad_()
    framed = mirrored_around(picture, margin=4)
    assert framed.is_contiguous(memory_format=torch.channels_last)
    framed.sum().backward()
    # The corner is where the mirrors meet, and seen once; what lies beside it, in both and in their corner.
    assert picture.grad.sum() == framed.numel()
    assert picture.grad[0, 0, 0, 0] == 1
    assert picture.grad[0, 0, 1, 1] == 4


def test_a_convolution_by_hand_with_each_border():
    pixels = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    sums = {}
    for border in ("zeros", "reflect"):
        conv = Convolution(1, 1, 3, border=border)
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)
        sums[border] = conv(pixels)[0, 0].tolist()
    # Mirrored at its first pixel, the neighbourhood is 4 3 4 / 2 1 2 / 4 3 4.
    assert sums == {"zeros": [[10, 10], [10, 10]], "reflect": [[27, 24], [21, 18]]}
    valid = Convolution(1, 1, 3, border="valid")
    nn.init.ones_(valid.weight)
    nn.init.zeros_(valid.bias)
    assert valid(torch.ones(1, 1, 3, 3)).tolist() == [[[[9.0]]]]


def test_a_resize_convolution_is_four_copies_then_a_convolution():
    conv = with_random_weights(ResizeConvolution(3, 2, 3, border="reflect"))
    features = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    larger = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    framed = torch.from_numpy(np.pad(larger.numpy(), [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect"))
    assert_close(conv(features), functional.conv2d(framed, conv.weight, conv.bias))


def test_a_fractional_convolution_is_a_convolution_between_zeros():
    conv = with_random_weights(FractionalConvolution(3, 2))
    features = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    sparse = torch.zeros(2, 3, 10, 8, dtype=torch.float64)
    sparse[:, :, ::2, ::2] = features
    kernel = conv.weight.transpose(0, 1).flip(2, 3)
    assert_close(conv(features), functional.conv2d(sparse, kernel, conv.bias, padding=1))


def test_a_valid_residual_block_adds_to_the_centre():
    block = with_random_weights(ResidualBlock(3, border="valid", norm=lambda _: nn.Identity()))
    features = torch.randn(2, 3, 9, 7, dtype=torch.float64)
    first, second = block.first.conv, block.second.conv
    inner = functional.conv2d(features, first.weight, first.bias).clamp_min(0)
    change = functional.conv2d(inner, second.weight, second.bias)
    found = block(features)
    assert found.shape == (2, 3, 5, 3)
    assert_close(found, features[:, :, 2:-2, 2:-2] + change)
    assert (found < 0).any(), "the sum is not rectified"


@pytest.mark.parametrize("border", ["zeros", "reflect"])
def test_a_padded_residual_block_adds_to_all_of_it(border):
    block = with_random_weights(ResidualBlock(3, border=border, norm=lambda _: nn.Identity()))
    features = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    mode = {"zeros": "constant", "reflect": "reflect"}[border]

    def convolved(maps, conv):
        framed = torch.from_numpy(np.pad(maps.detach().numpy(), [(0, 0), (0, 0), (1, 1), (1, 1)], mode=mode))
        return functional.conv2d(framed, conv.weight, conv.bias)

    change = convolved(convolved(features, block.first.conv).clamp_min(0), block.second.conv)
    assert_close(block(features), features + change)


def test_a_block_rectifies_after_its_norm_where_it_is_asked_to():
    class Less(nn.Module):
        def forward(self, features, shift):
            return features - shift

    conv = Convolution(1, 1, 1, border="valid", bias=False)
    nn.init.ones_(conv.weight)
    pixels = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
    assert Block(conv, Less())(pixels, torch.tensor(2.0)).flatten().tolist() == [0, 1]
    assert Block(conv, Less(), rectify=False)(pixels, torch.tensor(2.0)).flatten().tolist() == [-1, 1]


def test_what_is_faded_is_cut_and_mixed_in_pixels():
    photograph, stylization = torch.full((1, 3, 5, 6), 0.2), torch.full((1, 3, 8, 8), 1.2)
    assert_close(faded(photograph, stylization, 0.25), torch.full((1, 3, 5, 6), 0.45))
    assert torch.equal(faded(photograph, stylization, 0.0), photograph)
    assert torch.equal(faded(photograph, stylization, 1.0), stylization[:, :, :5, :6])
