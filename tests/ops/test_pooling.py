"""Average pooling that spreads its gradient where it is added to others."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.ops.convolution import FrozenKernel, frozen_convolution
from velatura.ops.distance import squared_distance_in_passing
from velatura.ops.joining import joined_gradient
from velatura.ops.moments import raw_moments, raw_moments_in_passing
from velatura.ops.pooling import average_pool
from velatura.ops.rectifier import below_rectifier, rectified

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def random(*shape, seed=0, layout=torch.channels_last):
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return numbers.to(memory_format=layout) if len(shape) == 4 else numbers


@pytest.fixture
def joined(monkeypatch):
    """What each joined gradient was made of."""
    calls = []

    def watched(features, **parts):
        calls.append({name for name, part in parts.items() if part is not None and part is not False})
        return joined_gradient(features, **parts)

    monkeypatch.setattr("velatura.ops.moments.joined_gradient", watched)
    return calls


def layer(features, *, seed=1):
    """A convolution with its rectifier, ours and as torch has it."""
    weight = random(4, features.shape[1], 3, 3, seed=seed) / 3
    return frozen_convolution(features, FrozenKernel(weight, None), rectify=True), weight


def plain_layer(features, weight):
    return functional.conv2d(features, weight, padding=1).relu()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
@pytest.mark.parametrize("tap", ["none", "moments", "distance", "both"])
def test_a_layer_its_taps_and_the_pool_above(layout, size, tap):
    """The gradient is what autograd makes of the plain functions, whatever is joined."""
    image = random(2, 3, *size, layout=layout).requires_grad_()
    wanted, direction = random(2, 4, *size, seed=2, layout=layout), random(2, 4, 4, seed=3)
    features, weight = layer(image)
    loss = torch.zeros((), dtype=torch.float64)
    if tap in ("distance", "both"):
        features, distance = squared_distance_in_passing(features, wanted)
        loss = loss + distance.sum()
    if tap in ("moments", "both"):
        features, mean, second = raw_moments_in_passing(features)
        loss = loss + mean.pow(3).sum() + (direction * second).sum()
    (ours,) = torch.autograd.grad(loss + average_pool(features).pow(3).sum(), image)

    expected = plain_layer(image, weight)
    loss = functional.avg_pool2d(expected, 2).pow(3).sum()
    if tap in ("distance", "both"):
        loss = loss + (expected - wanted).square().sum()
    if tap in ("moments", "both"):
        mean, second = raw_moments(expected)
        loss = loss + mean.pow(3).sum() + (direction * second).sum()
    (theirs,) = torch.autograd.grad(loss, image)
    assert_close(ours, theirs)


def test_all_at_once_where_a_rectified_layer_is_tapped_and_pooled(joined):
    image = random(1, 3, 4, 6).requires_grad_()
    features, mean, second = raw_moments_in_passing(layer(image)[0])
    (average_pool(features).sum() + mean.sum() + second.sum()).backward()
    assert joined == [{"products", "everywhere", "pooled", "rectified"}]


def test_a_pool_steps_over_the_rectifier_where_nothing_taps_the_layer():
    image = random(1, 3, 4, 6).requires_grad_()
    features, weight = layer(image)
    pooled = average_pool(features)
    assert pooled.grad_fn.next_functions[0][0] is below_rectifier(features).grad_fn
    (ours,) = torch.autograd.grad(pooled.pow(3).sum(), image)
    (theirs,) = torch.autograd.grad(functional.avg_pool2d(plain_layer(image, weight), 2).pow(3).sum(), image)
    assert_close(ours, theirs)


def test_a_map_that_others_read_too():
    """A loss without a way of its own, beside the pool and the moments."""
    image = random(1, 3, 4, 6).requires_grad_()
    features, weight = layer(image)
    passed, mean, second = raw_moments_in_passing(features)
    loss = features.pow(3).sum() + passed.pow(2).sum() + average_pool(passed).sum() + mean.sum()
    (ours,) = torch.autograd.grad(loss + second.sum(), image)
    expected = plain_layer(image, weight)
    mean, second = raw_moments(expected)
    loss = expected.pow(3).sum() + expected.pow(2).sum() + functional.avg_pool2d(expected, 2).sum()
    (theirs,) = torch.autograd.grad(loss + mean.sum() + second.sum(), image)
    assert_close(ours, theirs)


def test_a_pool_of_anything_else():
    maps = random(1, 3, 5, 7).requires_grad_()
    pooled = average_pool(maps)
    assert torch.equal(pooled, functional.avg_pool2d(maps, 2))
    assert torch.autograd.gradcheck(average_pool, (maps,))


def test_a_rectifier_passes_what_is_above_zero():
    below = torch.tensor([0.0, 2.0, 0.0, 3.0]).reshape(1, 1, 2, 2).requires_grad_()
    above = rectified(below)
    assert torch.equal(above, below)
    assert below_rectifier(above) is below
    assert below_rectifier(above * 1) is None
    assert below_rectifier(below) is None
    above.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 2, 2))
    assert below.grad.flatten().tolist() == [0, 2, 0, 4]


def test_nothing_is_held_in_a_circle():
    """What is kept for the way back goes with the result, without a collection of garbage."""
    import gc
    import weakref

    gc.disable()
    try:
        image = random(1, 3, 4, 6).requires_grad_()
        features, mean, _ = raw_moments_in_passing(layer(image)[0])
        pooled = average_pool(features)
        kept = weakref.ref(pooled.grad_fn), weakref.ref(mean.grad_fn), weakref.ref(features)
        del features, mean, _, pooled
        assert [reference() for reference in kept] == [None, None, None]
    finally:
        gc.enable()
