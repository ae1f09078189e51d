"""L-BFGS: equal to torch's in one call, and what is kept of its history."""

from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from velatura.optimizers import lbfgs
from velatura.optimizers.lbfgs import LBFGS


def _canvas(size=(6, 5), memory_format=torch.contiguous_format):
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return pixels.contiguous(memory_format=memory_format).requires_grad_()


def _pairs(state):
    """The steps and the changes of a state, oldest first."""
    count = len(state["curvatures"])
    assert {key for key in state if "." in key} == {
        f"{name}.{number}" for name in ("step", "change") for number in range(count)
    }
    steps, changes = (
        torch.stack([state[f"{name}.{number}"] for number in range(count)]) for name in ("step", "change")
    )
    return steps, changes


class Valley:
    """A mean over positions, curved in each channel differently, with a quartic part."""

    def __init__(self, canvas):
        self.canvas, self.evaluations = canvas, 0
        self.scale = torch.tensor([1.0, 10.0, 0.3], dtype=torch.float64).reshape(1, 3, 1, 1)

    def __call__(self):
        self.evaluations += 1
        away = self.canvas - 0.3
        loss = (self.scale * away**2 + away**4).mean()
        loss.backward()
        return loss


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("history", [2, 100])
def test_steps_are_iterations_of_one_call_of_torch(memory_format, history):
    steps = 12
    canvas, reference = _canvas(memory_format=memory_format), _canvas()
    ours, valley = LBFGS(history=history).build(canvas), Valley(canvas)
    for _ in range(steps):
        ours.step(valley)
    theirs = torch.optim.LBFGS(
        [reference], max_iter=steps, history_size=history, tolerance_grad=0, tolerance_change=0
    )
    expected = Valley(reference)

    def closure():
        theirs.zero_grad()
        return expected()

    theirs.step(closure)
    assert valley.evaluations == expected.evaluations == steps
    assert_close(canvas.detach(), reference.detach(), rtol=1e-12, atol=1e-14)


def test_it_reaches_the_minimum():
    canvas = _canvas()
    optimizer, valley = LBFGS().build(canvas), Valley(canvas)
    losses = [optimizer.step(valley) for _ in range(40)]
    assert losses[-1] < 1e-6 * losses[0]


def test_a_line_search_never_climbs():
    canvas = _canvas()
    optimizer, valley = LBFGS(line_search="strong_wolfe").build(canvas), Valley(canvas)
    losses = [optimizer.step(valley) for _ in range(15)]
    assert all(later <= earlier for earlier, later in pairwise(losses))
    assert losses[-1] < 1e-4 * losses[0]
    assert valley.evaluations > 15


def test_tiny_gradients_do_not_stop_it():
    """The gradient of a mean over a million pixels is below torch's tolerance of 1e-7."""
    canvas = _canvas()
    optimizer = LBFGS().build(canvas)
    before = canvas.detach().clone()

    def closure():
        loss = 1e-7 * Valley(canvas)()
        canvas.grad *= 1e-7
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert (canvas.detach() - before).abs().max() > 0


def test_the_history_follows_the_canvas_to_another_size():
    """Smooth steps and changes: their curvature is that of the same loss at the new size."""
    canvas = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 3, 16, 16).clone().requires_grad_()
    optimizer, valley = LBFGS().build(canvas), Valley(canvas)
    for _ in range(6):
        optimizer.step(valley)
    before = optimizer.state()
    larger = _canvas((32, 32))
    optimizer.rescale(larger)
    after = optimizer.state()
    steps, changes = _pairs(after)
    assert steps.shape == (len(after["curvatures"]), 1, 3, 32, 32)
    curvature = (steps * changes).flatten(1).sum(1)
    assert_close(after["curvatures"], curvature)
    assert_close(after["gamma"], curvature[-1] / changes[-1].square().sum())
    assert_close(after["curvatures"], before["curvatures"], rtol=0.1, atol=0)
    # Four times the pixels, a quarter of the gradient in each: four times the step along it.
    assert_close(after["gamma"], 4 * before["gamma"], rtol=0.1, atol=0)


def test_a_kept_history_saves_steps():
    def loss_after(history_is_kept):
        canvas = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 3, 16, 16).clone().requires_grad_()
        optimizer, valley = LBFGS().build(canvas), Valley(canvas)
        for _ in range(8):
            optimizer.step(valley)
        start = torch.linspace(0, 1, 24, dtype=torch.float64)
        larger = start.expand(1, 3, 24, 24).clone().requires_grad_()
        if history_is_kept:
            optimizer.rescale(larger)
        else:
            optimizer = LBFGS().build(larger)
        return [optimizer.step(Valley(larger)) for _ in range(5)][-1]

    assert loss_after(history_is_kept=True) < 0.1 * loss_after(history_is_kept=False)


def test_pairs_without_positive_curvature_are_dropped():
    canvas = _canvas()
    optimizer, valley = LBFGS().build(canvas), Valley(canvas)
    for _ in range(5):
        optimizer.step(valley)
    state = optimizer.state()
    kept = len(state["curvatures"])
    assert kept >= 3
    state["change.1"] *= -1
    optimizer.restore(state)
    optimizer.rescale(_canvas((8, 8)))
    rescaled = optimizer.state()
    assert len(rescaled["curvatures"]) == kept - 1
    assert (rescaled["curvatures"] > 0).all()


def test_gradients_before_and_after_a_change_of_size_are_no_pair():
    canvas = _canvas()
    optimizer, valley = LBFGS().build(canvas), Valley(canvas)
    for _ in range(5):
        optimizer.step(valley)
    larger = _canvas((8, 8))
    optimizer.rescale(larger)
    kept = len(optimizer.state()["curvatures"])
    optimizer.step(Valley(larger))
    assert len(optimizer.state()["curvatures"]) == kept
    optimizer.step(Valley(larger))
    assert len(optimizer.state()["curvatures"]) == kept + 1


def test_without_a_pair_it_starts_anew():
    canvas = _canvas()
    optimizer = LBFGS().build(canvas)
    optimizer.step(Valley(canvas))
    optimizer.rescale(_canvas((8, 8)))
    assert set(optimizer.state()) == {"step_size"}


def test_history_is_limited():
    canvas = _canvas()
    optimizer, valley = LBFGS(history=3).build(canvas), Valley(canvas)
    for _ in range(10):
        optimizer.step(valley)
    assert _pairs(optimizer.state())[0].shape == (3, 1, 3, 6, 5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_steps_kept_in_half_the_memory_lead_as_far(memory_format):
    losses = {}
    for stored in ("float32", "bfloat16"):
        canvas = _canvas(memory_format=memory_format).detach().float().requires_grad_()
        optimizer = LBFGS(stored=stored).build(canvas)
        closure = _in_float32(canvas)
        losses[stored] = [optimizer.step(closure) for _ in range(12)]
        assert {pairs.dtype for pairs in _pairs(optimizer.state())} == {getattr(torch, stored)}
    assert losses["bfloat16"][:2] == losses["float32"][:2]
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"][-1] < 1e-3 * losses["bfloat16"][0]


def test_steps_kept_in_half_the_memory_follow_a_change_of_size_and_are_restored():
    canvas = _canvas().detach().float().requires_grad_()
    optimizer = LBFGS(stored="bfloat16").build(canvas)
    for _ in range(5):
        optimizer.step(_in_float32(canvas))
    larger = _canvas((12, 10)).detach().float().requires_grad_()
    optimizer.rescale(larger)
    steps, changes = _pairs(optimizer.state())
    assert steps.shape[-2:] == (12, 10)
    curvature = (steps.float() * changes.float()).flatten(1).sum(1)
    assert_close(optimizer.state()["curvatures"], curvature)
    optimizer.step(_in_float32(larger))
    state, before = optimizer.state(), larger.detach().clone()
    optimizer.step(_in_float32(larger))
    again = before.requires_grad_()
    resumed = LBFGS(stored="bfloat16").build(again)
    resumed.restore(state)
    resumed.step(_in_float32(again))
    assert_close(again.detach(), larger.detach(), rtol=0, atol=0)


def test_steps_are_kept_in_half_the_memory_once_the_canvas_is_large(monkeypatch):
    monkeypatch.setattr(lbfgs, "_MANY_PIXELS", 12 * 10)
    canvas, larger = (_canvas(size).detach().float().requires_grad_() for size in ((6, 5), (12, 10)))
    optimizer = LBFGS().build(canvas)
    for _ in range(5):
        optimizer.step(_in_float32(canvas))
    assert {pairs.dtype for pairs in _pairs(optimizer.state())} == {torch.float32}
    optimizer.rescale(larger)
    optimizer.step(_in_float32(larger))
    optimizer.step(_in_float32(larger))
    assert {pairs.dtype for pairs in _pairs(optimizer.state())} == {torch.bfloat16}


def _in_float32(canvas):
    valley = Valley(canvas)
    valley.scale = valley.scale.float()
    return valley
