"""What every registered optimiser promises."""

import math

import pytest
import torch
from safetensors.torch import load, save
from torch.testing import assert_close

from velatura.optimizers import optimizers

FORMATS = [torch.contiguous_format, torch.channels_last]


def _canvas(size=(8, 6), memory_format=torch.contiguous_format):
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3))
    return pixels.contiguous(memory_format=memory_format).requires_grad_()


def _closure(canvas):
    """A mean over positions that is not quadratic, least at 0.3."""

    def closure():
        away = canvas - 0.3
        loss = (away**2 + away**4).mean()
        loss.backward()
        return loss

    return closure


def _stepped(name, canvas, steps):
    optimizer = optimizers[name]().build(canvas)
    for _ in range(steps):
        optimizer.step(_closure(canvas))
    return optimizer


@pytest.mark.parametrize("name", optimizers)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_descends(name, memory_format):
    canvas = _canvas(memory_format=memory_format)
    optimizer = optimizers[name]().build(canvas)
    losses = [optimizer.step(_closure(canvas)) for _ in range(200)]
    assert losses[-1] < 0.1 * losses[0]
    assert all(isinstance(loss, float) for loss in losses)


@pytest.mark.parametrize("name", optimizers)
def test_returns_the_loss_before_the_step(name):
    canvas = _canvas()
    expected = float(_closure(canvas)().detach())
    canvas.grad = None
    assert optimizers[name]().build(canvas).step(_closure(canvas)) == expected


@pytest.mark.parametrize("name", optimizers)
def test_clears_the_gradient_before_each_evaluation(name):
    canvas, other = _canvas(), _canvas()
    optimizer, plain = optimizers[name]().build(canvas), optimizers[name]().build(other)
    for _ in range(3):
        canvas.grad = torch.full_like(canvas, 1e3)
        optimizer.step(_closure(canvas))
        plain.step(_closure(other))
    assert_close(canvas, other, rtol=0, atol=0)


@pytest.mark.parametrize("name", optimizers)
def test_the_same_start_gives_the_same_pixels(name):
    one, other = _canvas(), _canvas()
    _stepped(name, one, 8)
    _stepped(name, other, 8)
    assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("name", optimizers)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_a_saved_and_restored_state_continues_to_the_bit(name, memory_format, steps):
    canvas = _canvas(memory_format=memory_format)
    optimizer = _stepped(name, canvas, steps)
    saved = load(save({key: value.contiguous() for key, value in optimizer.state().items()}))
    resumed = canvas.detach().clone().requires_grad_()
    continued = optimizers[name]().build(resumed)
    continued.restore(saved)
    for _ in range(5):
        assert optimizer.step(_closure(canvas)) == continued.step(_closure(resumed))
        assert_close(resumed, canvas, rtol=0, atol=0)


@pytest.mark.parametrize("name", optimizers)
def test_a_state_is_a_copy_both_ways(name):
    canvas = _canvas()
    optimizer = _stepped(name, canvas, 3)
    state = optimizer.state()
    before = {key: value.clone() for key, value in state.items()}
    optimizer.step(_closure(canvas))
    assert_close(state, before, rtol=0, atol=0)
    optimizer.restore(state)
    optimizer.step(_closure(canvas))
    assert_close(state, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", optimizers)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", [(16, 12), (11, 9), (4, 3), (8, 6), (1, 1)])
def test_follows_the_canvas_to_another_size(name, memory_format, size):
    optimizer = _stepped(name, _canvas(memory_format=memory_format), 5)
    canvas = _canvas(size, memory_format)
    optimizer.rescale(canvas)
    assert all(value.isfinite().all() for value in optimizer.state().values())
    losses = [optimizer.step(_closure(canvas)) for _ in range(150)]
    assert canvas.isfinite().all()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", optimizers)
def test_rescaling_before_the_first_step(name):
    optimizer = optimizers[name]().build(_canvas())
    canvas, fresh = _canvas((12, 9)), _canvas((12, 9))
    optimizer.rescale(canvas)
    optimizer.step(_closure(canvas))
    _stepped(name, fresh, 1)
    assert_close(canvas, fresh, rtol=0, atol=0)


@pytest.mark.parametrize("name", optimizers)
def test_shrinking_lowers_the_step_and_forgets_what_is_not_finite(name):
    canvas = _canvas()
    optimizer = _stepped(name, canvas, 4)
    good, step_size = canvas.detach().clone(), optimizer.step_size

    def broken():
        loss = (canvas * float("nan")).sum()
        loss.backward()
        return loss

    assert math.isnan(optimizer.step(broken))
    with torch.no_grad():
        canvas.copy_(good)
    optimizer.shrink(0.5)
    assert optimizer.step_size == 0.5 * step_size
    losses = [optimizer.step(_closure(canvas)) for _ in range(5)]
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", optimizers)
def test_a_smaller_step_is_kept_across_sizes_and_files(name):
    optimizer = _stepped(name, _canvas(), 3)
    optimizer.shrink(0.25)
    step_size = optimizer.step_size
    optimizer.rescale(_canvas((12, 9)))
    assert optimizer.step_size == step_size
    restored = optimizers[name]().build(_canvas((12, 9)))
    restored.restore(optimizer.state())
    assert restored.step_size == step_size


@pytest.mark.parametrize("name", optimizers)
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_says_how_many_canvases_it_remembers(name, steps):
    """Of a loss whose curvature is there in every step, so that each is worth remembering."""
    canvas = _canvas()
    settings = optimizers[name]()
    optimizer = settings.build(canvas)
    for _ in range(steps):
        optimizer.step(_closure(canvas))
    held = sum(value.numel() for value in optimizer.state().values() if value.numel() >= canvas.numel())
    assert held / canvas.numel() <= settings.remembered(steps, 12 * 10)
    if steps < 20:
        assert held / canvas.numel() == settings.remembered(steps, 12 * 10)
