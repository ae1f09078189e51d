"""Adam and AdamW: by hand, equal to torch's in either memory format, and across sizes."""

import pytest
import torch
from torch.testing import assert_close

from velatura.optimizers.adam import Adam, AdamW

CASES = [
    (Adam(), torch.optim.Adam, {"lr": 0.03, "betas": (0.9, 0.99)}),
    (
        AdamW(lr=0.1, betas=(0.8, 0.9), weight_decay=0.2),
        torch.optim.AdamW,
        {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.2},
    ),
]


def _canvas(size=(6, 5), **kwargs):
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return pixels.to(**kwargs).requires_grad_()


def _closure(canvas, wanted):
    def closure():
        loss = ((canvas - wanted) ** 2 + 0.1 * canvas**4).mean()
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("config", "theirs", "settings"), CASES, ids=["adam", "adamw"])
def test_steps_are_those_of_torch(config, theirs, settings, memory_format):
    wanted = torch.rand(1, 3, 6, 5, dtype=torch.float64)
    canvas, reference = _canvas(memory_format=memory_format), _canvas()
    ours, expected = config.build(canvas), theirs([reference], **settings, foreach=False)
    for _ in range(50):
        ours.step(_closure(canvas, wanted))
        expected.zero_grad()
        _closure(reference, wanted)()
        expected.step()
        assert_close(canvas, reference, rtol=0, atol=1e-12)


def test_a_first_step_by_hand():
    canvas = torch.full((1, 1, 1, 2), 0.5, requires_grad=True)
    optimizer = Adam(lr=0.03).build(canvas)

    def closure():
        loss = (canvas * torch.tensor([2.0, -5.0])).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == -1.5
    # The first step is the step size against the sign of the gradient.
    assert_close(canvas.detach(), torch.tensor([0.47, 0.53]).reshape(1, 1, 1, 2))


def test_a_second_step_by_hand():
    """Gradients 2 and -1: m = 0.9 * 0.2 - 0.1, v = 0.99 * 0.04 + 0.01, over 1 - 0.9^2 and 1 - 0.99^2."""
    canvas = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64, requires_grad=True)
    optimizer = Adam(lr=0.03).build(canvas)
    for gradient in (2.0, -1.0):
        optimizer.step(lambda gradient=gradient: (canvas * gradient).sum().backward() or torch.zeros(()))
    step = 0.03 * (0.08 / 0.19) / (0.0496 / 0.0199) ** 0.5
    assert canvas.detach().item() == pytest.approx(0.5 - 0.03 - step, abs=1e-9)


def test_weight_decay_draws_towards_black():
    canvas = torch.full((1, 1, 1, 1), 0.5, requires_grad=True)
    optimizer = AdamW(lr=0.1, weight_decay=0.2).build(canvas)
    optimizer.step(lambda: (canvas * 0).sum().backward() or torch.zeros(()))
    assert_close(canvas.detach(), torch.full((1, 1, 1, 1), 0.49))


def test_the_memory_follows_the_canvas_to_another_size():
    """A loss that is a mean over positions has a quarter of the gradient at twice the size."""
    pull = torch.linspace(-1, 1, 3).reshape(1, 3, 1, 1)

    def closure_of(canvas):
        def closure():
            loss = (canvas * pull).mean()
            loss.backward()
            return loss

        return closure

    canvas = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    optimizer = Adam(lr=0.01).build(canvas)
    for _ in range(5):
        optimizer.step(closure_of(canvas))
    larger = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    optimizer.rescale(larger)
    for number in range(1, 4):
        optimizer.step(closure_of(larger))
        expected = (0.5 - 0.01 * number * pull.sign()).expand(1, 3, 16, 16)
        assert_close(larger.detach(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(3, 4), (9, 7), (6, 5)])
def test_resized_moments_keep_the_step_bounded(size):
    canvas = _canvas()
    optimizer = Adam().build(canvas)
    for scale in (1.0, -50.0, 3.0):
        optimizer.step(_closure(canvas, scale * torch.randn(1, 3, 6, 5, dtype=torch.float64)))
    optimizer.rescale(_canvas(size))
    state = optimizer.state()
    assert state["mean"].shape == (1, 3, *size)
    assert (state["square"] >= 0).all()
    # |mean| <= sqrt(10) * root of the mean square after any gradients, for betas 0.9 and 0.99.
    assert (state["mean"].abs() <= 10**0.5 * state["square"].sqrt() + 1e-12).all()
