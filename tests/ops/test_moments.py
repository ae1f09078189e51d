"""Moments: a worked example, mixing, masks, and their gradient."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from velatura.ops.moments import (
    channel_moments,
    covariance,
    deviation,
    moments_distance,
    raw_moments,
    raw_moments_in_passing,
)

WORKED = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)


def test_moments_of_a_worked_example():
    mean, second = raw_moments(WORKED)
    assert_close(mean, torch.tensor([[1.5, 1.0]]))
    assert_close(second, torch.tensor([[[2.5, 0.5], [0.5, 5.0]]]))
    assert_close(covariance(mean, second), torch.tensor([[[0.25, -1.0], [-1.0, 4.0]]]))


def test_channel_moments_of_a_worked_example():
    mean, square = channel_moments(WORKED)
    assert_close(mean, torch.tensor([[1.5, 1.0]]))
    assert_close(square, torch.tensor([[2.5, 5.0]]))
    assert_close(deviation(mean, square, epsilon=0), torch.tensor([[0.5, 2.0]]))


def test_a_mask_weighs_the_positions():
    mask = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
    mean, second = raw_moments(WORKED, mask)
    assert_close(mean, torch.tensor([[1.75, 0.0]]))
    assert_close(second, torch.tensor([[[3.25, -0.75], [-0.75, 3.0]]]))
    mean, square = channel_moments(WORKED, mask)
    assert_close(mean, torch.tensor([[1.75, 0.0]]))
    assert_close(square, torch.tensor([[3.25, 3.0]]))


def test_a_deviation_is_finite_where_rounding_leaves_a_negative_variance():
    square = torch.tensor([[0.9999999]], requires_grad=True)
    found = deviation(torch.tensor([[1.0]]), square)
    found.sum().backward()
    assert_close(found.detach(), torch.tensor([[1e-5]]).sqrt())
    assert square.grad.isfinite().all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), left=st.integers(1, 6), right=st.integers(1, 6))
def test_moments_of_two_pictures_side_by_side_are_their_weighted_mean(seed, left, right):
    generator = torch.Generator().manual_seed(seed)
    one, other = (
        torch.randn(1, 3, 4, width, generator=generator, dtype=torch.float64) for width in (left, right)
    )
    share = left / (left + right)
    both = raw_moments(torch.cat([one, other], dim=3))
    for whole, first, second in zip(both, raw_moments(one), raw_moments(other), strict=True):
        assert_close(whole, share * first + (1 - share) * second)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_binary_mask_is_a_crop(seed):
    features = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mask = torch.zeros(1, 1, 5, 6, dtype=torch.float64)
    mask[..., 1:4, 2:5] = 1
    crop = features[..., 1:4, 2:5]
    for function in (raw_moments, channel_moments):
        for masked, cropped in zip(function(features, mask), function(crop), strict=True):
            assert_close(masked, cropped)


def test_covariance_agrees_with_torch():
    features = torch.randn(1, 4, 7, 9, dtype=torch.float64)
    mean, second = raw_moments(features)
    assert_close(covariance(mean, second)[0], torch.cov(features[0].flatten(1), correction=0))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("function", [raw_moments, channel_moments])
def test_gradient(function, memory_format, masked):
    features = torch.randn(2, 3, 2, 4, dtype=torch.float64).contiguous(memory_format=memory_format)
    mask = torch.rand(1, 1, 2, 4, dtype=torch.float64) if masked else None
    features.requires_grad_()
    assert gradcheck(lambda f: function(f, mask), (features,))
    assert gradgradcheck(lambda f: function(f, mask), (features,))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_keeps_the_memory_format(memory_format):
    features = torch.randn(1, 8, 6, 6).contiguous(memory_format=memory_format).requires_grad_()
    mean, second = raw_moments(features)
    (gradient,) = torch.autograd.grad(mean.sum() + second.square().sum(), features)
    assert gradient.is_contiguous(memory_format=memory_format)


def test_one_moment_alone_has_a_gradient():
    features = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(raw_moments(features)[0].sum(), features)
    assert_close(gradient, torch.full_like(features, 0.25))


def test_half_precision_and_autocast_are_summed_in_float32():
    features = torch.randn(1, 4, 32, 32).bfloat16()
    expected = raw_moments(features.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = raw_moments(features)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert_close(ours, theirs)


def test_features_of_another_shape():
    with pytest.raises(ValueError, match=r"features must be \(B, C, H, W\), not \(4,\)"):
        raw_moments(torch.zeros(4))
    with pytest.raises(ValueError, match="resize it to the layer"):
        raw_moments(WORKED, torch.ones(1, 1, 2, 2))


def test_a_distance_worked_by_hand():
    """Means (1.5, 1) from (1, 1), covariance [[0.25, -1], [-1, 4]] from [[1, 0], [0, 0]]."""
    wanted = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    distance = moments_distance(WORKED, torch.ones(1, 2), wanted, mean_weight=3.0)
    assert_close(distance, torch.tensor([3 * 0.25 + 18.5625]))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("targets", [1, 2])
def test_the_distance_and_its_gradient_are_those_of_its_parts(memory_format, targets):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    features = features.contiguous(memory_format=memory_format).requires_grad_()
    wanted_mean = torch.randn(targets, 3, generator=generator, dtype=torch.float64)
    root = torch.randn(targets, 3, 3, generator=generator, dtype=torch.float64)
    wanted = root @ root.mT
    mean, second = raw_moments(features)
    expected = 0.7 * (mean - wanted_mean).square().sum(1)
    expected = expected + (covariance(mean, second) - wanted).square().sum((1, 2))
    found = moments_distance(features, wanted_mean, wanted, mean_weight=0.7)
    assert_close(found, expected)
    weights = torch.tensor([2.0, -0.5], dtype=torch.float64)
    (ours,) = torch.autograd.grad(found, features, weights)
    (theirs,) = torch.autograd.grad(expected, features, weights)
    assert_close(ours, theirs)
    assert ours.is_contiguous(memory_format=memory_format)
    assert gradcheck(lambda f: moments_distance(f, wanted_mean, wanted, mean_weight=0.7), (features,))


def test_the_distance_of_half_precision_is_taken_in_float32():
    features = torch.randn(1, 4, 32, 32).bfloat16().requires_grad_()
    mean, wanted = torch.zeros(1, 4), torch.eye(4)[None]
    with torch.autocast("cpu", torch.bfloat16):
        found = moments_distance(features, mean, wanted, mean_weight=1.0)
    wide = features.detach().float().requires_grad_()
    expected = moments_distance(wide, mean, wanted, mean_weight=1.0)
    assert found.dtype == torch.float32
    assert_close(found, expected)
    (ours,), (theirs,) = torch.autograd.grad(found, features), torch.autograd.grad(expected, wide)
    assert ours.dtype == torch.bfloat16
    assert_close(ours, theirs.bfloat16())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("goes_on", ["up", "nowhere"])
def test_moments_in_passing_are_the_moments_and_join_the_gradients(memory_format, goes_on):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 7, 5, generator=generator, dtype=torch.float64)
    features = features.contiguous(memory_format=memory_format).requires_grad_()
    weights = [torch.randn(2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2)]

    def loss(passed, mean, second):
        moments = (weights[0][:, 0] * mean).sum() + (weights[1] * second).sum()
        return moments + (passed.pow(3).sum() if goes_on == "up" else 0)

    passed, mean, second = raw_moments_in_passing(features)
    assert torch.equal(passed, features)
    assert passed.stride() == features.stride()
    expected_mean, expected_second = raw_moments(features)
    assert_close(mean, expected_mean)
    assert_close(second, expected_second)
    (ours,) = torch.autograd.grad(loss(passed, mean, second), features)
    (theirs,) = torch.autograd.grad(loss(features, expected_mean, expected_second), features)
    assert_close(ours, theirs)
    assert ours.is_contiguous(memory_format=memory_format)


def test_the_mean_alone_in_passing():
    features = torch.randn(1, 3, 4, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(raw_moments_in_passing(features)[1].sum(), features)
    assert_close(gradient, torch.full_like(features, 0.05))


def test_moments_in_passing_that_nothing_asks_for_leave_the_gradient_alone():
    features = torch.randn(1, 3, 4, 5, requires_grad=True)
    gradient = torch.randn(1, 3, 4, 5)
    passed, *_ = raw_moments_in_passing(features)
    assert torch.equal(torch.autograd.grad(passed, features, gradient)[0], gradient)


@pytest.mark.parametrize("batch", [1, 2])
def test_maps_of_many_positions_are_joined_part_by_part(batch):
    """A map of 3 channels and more positions than are taken at once, and no multiple of them."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(batch, 3, 300, 301, generator=generator, dtype=torch.float64)
    features = features.contiguous(memory_format=torch.channels_last).requires_grad_()
    passed, mean, second = raw_moments_in_passing(features)
    (ours,) = torch.autograd.grad((passed * features.detach()).sum() + mean.sum() + second.sum(), features)
    positions = 300 * 301
    sums = features.detach().sum(dim=1, keepdim=True)  # every channel is paired with every other, both ways
    assert_close(ours, features.detach() + (1 + 2 * sums) / positions)
    assert_close(mean, features.detach().mean(dim=(2, 3)))
    flat = features.detach().flatten(2)
    assert_close(second, flat @ flat.mT / positions)


def test_moments_in_passing_of_half_precision():
    features = (
        torch.randn(1, 4, 6, 6).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    )
    passed, mean, second = raw_moments_in_passing(features)
    assert (passed.dtype, mean.dtype, second.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    (ours,) = torch.autograd.grad(passed.float().sum() + second.sum(), features)
    wide = features.detach().float().requires_grad_()
    (theirs,) = torch.autograd.grad(wide.sum() + raw_moments(wide)[1].sum(), wide)
    assert ours.dtype == torch.bfloat16
    assert_close(ours.float(), theirs, rtol=2e-2, atol=1e-2)
