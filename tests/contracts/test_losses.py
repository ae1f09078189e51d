"""What every registered loss promises."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses import losses
from velatura.losses.additive import Additive, Part

OF_TARGETS = [name for name in losses if not losses[name].compares_batch]
OF_BATCHES = [name for name in losses if losses[name].compares_batch]
FORMATS = [torch.contiguous_format, torch.channels_last]


def _features(seed, batch=1, size=(6, 5), dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, *size, generator=generator, dtype=dtype)


def _fitting(loss, seed):
    """Features of as many pictures as the loss needs."""
    return _features(seed, batch=2 if loss.compares_batch else 1)


def _own(loss):
    """Features with a target taken from them; flat where there is nothing to match."""
    features = _fitting(loss, 1)
    return features if loss.target(features) else torch.full_like(features, 0.5)


@pytest.mark.parametrize("name", OF_TARGETS)
def test_is_zero_at_its_own_target(name):
    loss = losses[name]()
    features = _own(loss)
    assert loss.forward(features, loss.target(features)).abs().item() < 1e-9


@pytest.mark.parametrize("name", OF_TARGETS)
def test_is_positive_elsewhere(name):
    loss = losses[name]()
    assert loss.forward(_features(2), loss.target(_features(1))).item() > 1e-6


@pytest.mark.parametrize("name", OF_TARGETS)
def test_gives_one_value_for_each_sample(name):
    loss = losses[name]()
    batch, target = _features(2, batch=3), loss.target(_features(1))
    found = loss.forward(batch, target)
    assert found.shape == (3,)
    assert_close(found, torch.cat([loss.forward(sample[None], target) for sample in batch]))


@pytest.mark.parametrize("name", losses)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_has_a_finite_gradient_that_is_not_zero(name, memory_format):
    loss = losses[name]()
    features = _fitting(loss, 2).contiguous(memory_format=memory_format).requires_grad_()
    loss.forward(features, loss.target(_fitting(loss, 1))).sum().backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().max() > 0


@pytest.mark.parametrize("name", OF_TARGETS)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_features_that_go_on_have_both_gradients(name, memory_format):
    loss, target = losses[name](), losses[name]().target(_features(1))
    features = _features(2).contiguous(memory_format=memory_format).requires_grad_()
    passed, distance = loss.in_passing(features, target)
    expected = loss.forward(features, target)
    assert torch.equal(passed, features)
    assert_close(distance, expected)
    (ours,) = torch.autograd.grad(2 * distance.sum() + passed.pow(3).sum(), features)
    (theirs,) = torch.autograd.grad(2 * expected.sum() + features.pow(3).sum(), features)
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", losses)
def test_has_a_finite_gradient_at_its_own_target_and_on_flat_features(name):
    loss = losses[name]()
    own = _own(loss)
    for at in (own, torch.full_like(own, 0.5)):
        features = at.clone().requires_grad_()
        loss.forward(features, loss.target(own)).sum().backward()
        assert features.grad.isfinite().all()


@pytest.mark.parametrize("name", OF_TARGETS)
def test_descent_lowers_it_tenfold(name):
    loss = losses[name]()
    features = _features(2).requires_grad_()
    target = loss.target(_features(1))
    optimizer = torch.optim.Adam([features], lr=0.05)
    start = loss.forward(features, target).item()
    for _ in range(100):
        optimizer.zero_grad()
        loss.forward(features, target).sum().backward()
        optimizer.step()
    assert loss.forward(features, target).item() < 0.1 * start


@pytest.mark.parametrize("name", losses)
def test_does_not_depend_on_the_memory_format(name):
    loss = losses[name]()
    features, target = _fitting(loss, 2), loss.target(_fitting(loss, 1))
    last = features.contiguous(memory_format=torch.channels_last)
    assert_close(loss.forward(last, target), loss.forward(features, target))


@pytest.mark.parametrize("name", losses)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_is_computed_in_float32_at_least(name, dtype):
    loss = losses[name]()
    features, wanted = _fitting(loss, 2).to(dtype), _fitting(loss, 1).to(dtype)
    found = loss.forward(features, loss.target(wanted))
    with torch.autocast("cpu", torch.bfloat16):
        cast = loss.forward(features, loss.target(wanted))
    double = loss.forward(features.double(), loss.target(wanted.double()))
    assert found.dtype == cast.dtype == torch.float32
    assert double.dtype == torch.float64
    assert_close(found.double(), double, rtol=1e-3, atol=1e-6)
    assert_close(cast, found, rtol=0, atol=0)


@pytest.mark.parametrize("name", losses)
def test_a_blend_with_all_weight_on_one_is_that_one(name):
    loss = losses[name]()
    one, other = loss.target(_fitting(loss, 1)), loss.target(_fitting(loss, 2))
    assert_close(loss.blend([one, other], [1.0, 0.0]), one)
    assert_close(loss.blend([one, other], [0.0, 1.0]), other)
    assert_close(loss.blend([one, one], [0.3, 0.7]), one)


@pytest.mark.parametrize("name", losses)
def test_a_mask_of_ones_changes_nothing(name):
    loss = losses[name]()
    features, wanted = _fitting(loss, 2), _fitting(loss, 1)
    ones = torch.ones(1, 1, 6, 5, dtype=torch.float64)
    masked = loss.forward(features, loss.target(wanted, ones), ones)
    assert_close(masked, loss.forward(features, loss.target(wanted)))


@pytest.mark.parametrize("name", losses)
def test_a_mask_hides_what_it_gives_no_weight(name):
    loss = losses[name]()
    mask = torch.ones(1, 1, 6, 5, dtype=torch.float64)
    mask[..., 3:] = 0
    features, target = _fitting(loss, 2), loss.target(_fitting(loss, 1))
    changed = features.clone()
    changed[..., 3:] = 7
    assert_close(loss.forward(changed, target, mask), loss.forward(features, target, mask))


@pytest.mark.parametrize("name", losses)
def test_is_stateless(name):
    loss = losses[name]()
    features, target = _fitting(loss, 2), loss.target(_fitting(loss, 1))
    before = {key: value.clone() for key, value in target.items()}
    first = loss.forward(features, target)
    loss.forward(_fitting(loss, 3), loss.target(_fitting(loss, 4)))
    assert_close(loss.forward(features, target), first, rtol=0, atol=0)
    assert_close(target, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", OF_BATCHES)
def test_what_compares_a_batch_has_no_target(name):
    assert losses[name]().target(_features(1)) == {}


@pytest.mark.parametrize("name", OF_BATCHES)
def test_what_compares_a_batch_refuses_a_single_picture(name):
    loss = losses[name]()
    with pytest.raises(ConfigError, match="compares the pictures of a batch and needs 2 or more, not 1"):
        loss.forward(_features(1), {})


@pytest.mark.parametrize("name", OF_BATCHES)
def test_what_compares_a_batch_gives_each_picture_its_own_value_whatever_their_order(name):
    loss, batch = losses[name](), _features(1, batch=4)
    found = loss.forward(batch, {})
    assert found.shape == (4,)
    order = torch.tensor([2, 0, 3, 1])
    assert_close(loss.forward(batch[order], {}), found[order])


@pytest.mark.parametrize("name", OF_BATCHES)
def test_what_compares_a_batch_falls_by_descent(name):
    loss, features = losses[name](), _features(1, batch=3).requires_grad_()
    start = loss.forward(features, {})
    start.sum().backward()
    assert (loss.forward(features - 0.1 * features.grad, {}) < start).all()


@pytest.mark.parametrize("name", [name for name in losses if issubclass(losses[name], Additive)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_the_sums_of_parts_are_those_of_the_whole(name, masked, memory_format):
    loss = losses[name]()
    features = _features(2, size=(7, 9)).contiguous(memory_format=memory_format).requires_grad_()
    wanted, mask = _features(1, size=(7, 9)), None
    if masked:
        mask = torch.rand(1, 1, 7, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
        mask[..., :3, :] = 0  # one part has none of it
    target = loss.target(wanted, mask)
    sums = {}
    for rows, columns in itertools.product((slice(0, 3), slice(3, 7)), (slice(0, 4), slice(4, 9))):
        beyond = tuple(slice(span.start, span.stop + loss.reads_beyond) for span in (rows, columns))
        part = Part(
            own=features[..., rows, columns],
            beyond=features[..., *beyond],
            at=(rows, columns),
            mask=None if mask is None else mask[..., *beyond],
        )
        for key, value in loss.sums(part, target).items():
            sums[key] = sums[key] + value if key in sums else value
    found, expected = loss.distance(sums, target), loss.forward(features, target, mask)
    assert_close(found, expected)
    (ours,) = torch.autograd.grad(found.sum(), features)
    (theirs,) = torch.autograd.grad(expected.sum(), features)
    assert_close(ours, theirs)
