"""Gram matrices: a worked example, what they forget, and their gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from velatura.ops.gram import gram_matrix

WORKED = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("none", [[5.0, 1.0], [1.0, 10.0]]),
        ("hw", [[2.5, 0.5], [0.5, 5.0]]),
        ("chw", [[1.25, 0.25], [0.25, 2.5]]),
    ],
)
def test_gram_of_a_worked_example(scale, expected):
    assert_close(gram_matrix(WORKED, scale=scale)[0], torch.tensor(expected))


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        # Positions (1, 3) and (2, -1) count 1 and 3: 1*[[1, 3], [3, 9]] + 3*[[4, -2], [-2, 1]].
        ("none", [[13.0, -3.0], [-3.0, 12.0]]),
        ("hw", [[3.25, -0.75], [-0.75, 3.0]]),
        ("chw", [[1.625, -0.375], [-0.375, 1.5]]),
    ],
)
def test_a_mask_weighs_the_positions(scale, expected):
    mask = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
    assert_close(gram_matrix(WORKED, scale=scale, mask=mask)[0], torch.tensor(expected))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 5), side=st.integers(1, 6))
def test_gram_forgets_where_pixels_are(seed, channels, side):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, channels, side, side, generator=generator, dtype=torch.float64)
    order = torch.randperm(side * side, generator=generator)
    shuffled = features.flatten(2)[:, :, order].reshape(features.shape)
    assert_close(gram_matrix(shuffled), gram_matrix(features))


def _by_loops(features):
    batch, channels, height, width = features.shape
    products = torch.zeros(batch, channels, channels, dtype=features.dtype)
    for b in range(batch):
        for i in range(channels):
            for j in range(channels):
                for y in range(height):
                    for x in range(width):
                        products[b, i, j] += features[b, i, y, x] * features[b, j, y, x]
    return products


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gram_is_the_papers_sum_in_either_memory_format(memory_format):
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=memory_format)
    assert_close(gram_matrix(features, scale="none"), _by_loops(features))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(memory_format, masked):
    features = torch.randn(2, 3, 2, 4, dtype=torch.float64).contiguous(memory_format=memory_format)
    mask = torch.rand(2, 1, 2, 4, dtype=torch.float64) if masked else None
    features.requires_grad_()
    assert gradcheck(lambda f: gram_matrix(f, mask=mask), (features,))
    assert gradgradcheck(lambda f: gram_matrix(f, mask=mask), (features,))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_keeps_the_memory_format(memory_format):
    features = torch.randn(1, 8, 6, 6).contiguous(memory_format=memory_format).requires_grad_()
    (gradient,) = torch.autograd.grad(gram_matrix(features).square().sum(), features)
    assert gradient.is_contiguous(memory_format=memory_format)


def test_a_view_that_is_not_contiguous():
    whole = torch.randn(1, 3, 6, 8, dtype=torch.float64)
    assert_close(gram_matrix(whole[..., 1:5, ::2]), gram_matrix(whole[..., 1:5, ::2].contiguous()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    features = torch.full((1, 1, 64, 64), 1.0, dtype=dtype)
    gram = gram_matrix(features, scale="none")
    assert gram.dtype == torch.float32
    assert gram.item() == 4096  # bfloat16 counts to 256 and float16 to 2048


def test_half_precision_gradient():
    features = torch.randn(1, 4, 5, 5).bfloat16()
    half, whole = features.clone().requires_grad_(), features.float().requires_grad_()
    for leaf in (half, whole):
        gram_matrix(leaf).square().sum().backward()
    assert half.grad.dtype == torch.bfloat16
    assert_close(half.grad, whole.grad.bfloat16())


def test_autocast_changes_nothing():
    features = torch.randn(1, 8, 16, 16, requires_grad=True)
    plain = gram_matrix(features)
    with torch.autocast("cpu", torch.bfloat16):
        cast = gram_matrix(features)
        (cast_gradient,) = torch.autograd.grad(cast.sum(), features)
    assert_close(cast, plain, rtol=0, atol=0)
    assert_close(cast_gradient, torch.autograd.grad(plain.sum(), features)[0], rtol=0, atol=0)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"features must be \(B, C, H, W\), not \(2, 3\)"):
        gram_matrix(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="have no position to look at"):
        gram_matrix(torch.zeros(1, 3, 0, 4))
    with pytest.raises(ValueError, match="scale must be 'none', 'hw' or 'chw', not 'wh'"):
        gram_matrix(WORKED, scale="wh")
