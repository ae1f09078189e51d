"""Descent: what is kept of the canvases, and what happens when the loss is not finite."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import VelaturaError
from velatura.engine.descent import Descent, Iterates
from velatura.engine.precision import Precision
from velatura.optimizers import ImageOptimizer
from velatura.optimizers.adam import Adam, AdamW
from velatura.optimizers.lbfgs import LBFGS

FLOAT32 = Precision(torch.float32, torch.channels_last)


@dataclass(frozen=True)
class _Roomy:
    """A function of the canvas as an objective, for which there is always room."""

    terms: Callable

    def __call__(self, canvas):
        return self.terms(canvas)

    def in_memory(self, size, compute):
        return compute()


def _descent(objective, canvas, optimizer=None, **iterates):
    return Descent(
        canvas if isinstance(canvas, torch.Tensor) else torch.full((1, 3, 4, 5), canvas),
        _Roomy(objective),
        optimizer or Adam(lr=0.1),
        iterates=Iterates(**iterates),
        precision=FLOAT32,
    )


def _constant_pull(canvas):
    """A gradient of one everywhere: Adam's every step is its step size."""
    return {"pull": canvas.sum()}


def _distance_to(wanted):
    return lambda canvas: {"distance": (canvas - wanted).abs().sum()}


def _bowl(canvas):
    away = canvas - torch.linspace(0.2, 0.8, canvas.shape[-1])
    return {"square": away.square().mean(), "fourth": away.pow(4).mean()}


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(lr=0.03), LBFGS()], ids=lambda o: o.name)
def test_the_loss_falls_tenfold(optimizer):
    descent = _descent(_bowl, torch.rand(1, 3, 8, 9), optimizer)
    losses = [sum(descent.step()[0].values()) for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]
    assert sum(float(term) for term in _bowl(descent.picture()).values()) < 0.1 * losses[0]


def test_the_average_is_corrected_for_its_start():
    descent = _descent(_constant_pull, 0.5, average=0.5)
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 0.5))
    descent.step()
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 0.4))
    descent.step()
    # Canvases of 0.4 and 0.3 with weights 1/4 and 1/2, over 3/4.
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 1 / 3))


@pytest.mark.parametrize(("result", "expected"), [("best", 0.5), ("last", 0.4), ("average", 13 / 30)])
def test_which_iterate_a_scale_ends_with(result, expected):
    """From 0.6 by steps of 0.1 past 0.48: the best that was looked at is 0.5."""
    descent = _descent(_distance_to(0.48), 0.6, result=result, average=0.5)
    losses = [descent.step()[0]["distance"] for _ in range(2)]
    assert losses == [pytest.approx(60 * 0.12), pytest.approx(60 * 0.02)]
    assert descent.best_loss == losses[1]
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), expected))


@pytest.mark.parametrize(("result", "expected"), [("best", 0.6), ("last", 0.6), ("average", 0.2)])
def test_a_run_cut_short_ends_with_what_was_looked_at(result, expected):
    """The first step leads from 0.6 to 0.2, away from 0.5: a second would have shown it."""
    descent = _descent(_distance_to(0.5), 0.6, Adam(lr=0.4), result=result)
    before = descent.picture_so_far()
    assert_close(before, torch.full((1, 3, 4, 5), 0.6))
    descent.step()
    assert_close(descent.picture_so_far(), torch.full((1, 3, 4, 5), expected))


@pytest.mark.parametrize("result", ["best", "last", "average"])
def test_before_the_first_step_the_picture_is_the_start(result):
    descent = _descent(_constant_pull, torch.rand(1, 3, 4, 5) * 2 - 0.5, result=result)
    assert_close(descent.picture(), descent.canvas.detach().clamp(0, 1))


def test_pixels_are_held_after_each_step_or_at_the_end():
    held = _descent(_constant_pull, 0.05, result="last", clamp="step")
    free = _descent(_constant_pull, 0.05, result="last", clamp="end")
    held.step()
    free.step()
    assert_close(held.canvas.detach(), torch.zeros(1, 3, 4, 5))
    assert_close(free.canvas.detach(), torch.full((1, 3, 4, 5), -0.05))
    assert_close(free.picture(), torch.zeros(1, 3, 4, 5))


@pytest.mark.parametrize(
    ("clamp", "search"), [("end", "none"), ("end", "strong_wolfe"), ("step", "strong_wolfe")]
)
def test_nothing_is_held_inside_the_closure(clamp, search):
    """A line search must see the loss where it looks, also beyond the pixel range."""
    looked_at = []

    def objective(canvas):
        looked_at.append(canvas.detach().clone())
        return {"far": (canvas - 1.5).square().mean() + (canvas - 1.5).pow(4).mean()}

    descent = _descent(objective, 0.9, LBFGS(lr=5, line_search=search), clamp=clamp)
    for _ in range(3):
        descent.step()
    assert max(float(canvas.max()) for canvas in looked_at) > 1.1
    assert 0 <= descent.picture().min() <= descent.picture().max() <= 1


def test_the_terms_are_those_before_the_step_also_under_a_line_search():
    descent = _descent(_bowl, torch.rand(1, 3, 4, 5), LBFGS(lr=5, line_search="strong_wolfe"), clamp="end")
    for _ in range(3):
        expected = {name: float(value) for name, value in _bowl(descent.canvas.detach()).items()}
        assert descent.step()[0] == pytest.approx(expected)


def test_the_first_evaluations_of_a_line_search_count_for_the_best():
    descent = _descent(_bowl, torch.rand(1, 3, 4, 5), LBFGS(line_search="strong_wolfe"), result="best")
    descent.step()
    assert descent.best_loss < sum(descent._terms.values())


@pytest.mark.parametrize(
    ("losses", "settled"),
    [
        ([4.0, 2.0], False),  # not yet two steps apart
        ([4.0, 2.0, 1.0], False),
        ([9.0, 4.0, 2.0, 3.97], True),  # 0.75 % from two steps before
        ([9.0, 4.0, 2.0, 3.95], False),
        ([9.0, 4.0, 2.0, 4.03], True),
        ([0.0, 0.0, 0.0], True),
        ([math.nan, 1.0, 1.0], False),
    ],
)
def test_a_scale_has_settled_when_the_loss_hardly_changes(losses, settled):
    assert _descent(_bowl, 0.5, stop_below=0.01, stop_window=2).has_settled(losses) == settled
    assert not _descent(_bowl, 0.5, stop_below=0, stop_window=2).has_settled(losses)


class Breaking:
    """A pull whose loss, gradient or both turn out not to be finite at some evaluations."""

    def __init__(self, broken, *, at):
        self.broken, self.at, self.count = broken, at, 0

    def __call__(self, canvas):
        self.count += 1
        terms = {"fine": canvas.mean(), "odd": canvas.square().mean()}
        if self.count in self.at:
            terms["odd"] = self.broken(canvas)
        return terms


BROKEN = {
    "nan": lambda canvas: canvas.mean() * math.nan,
    "infinite": lambda canvas: canvas.mean() * math.inf,
    "gradient": lambda canvas: (canvas * 0).sqrt().mean(),  # 0, with a gradient of 0 times infinity
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), AdamW(lr=0.1), LBFGS(lr=0.1)], ids=lambda o: o.name)
def test_a_step_that_leads_nowhere_is_taken_back(broken, optimizer):
    descent = _descent(Breaking(BROKEN[broken], at=[4]), 0.9, optimizer, result="last")
    for _ in range(3):
        _, taken_back = descent.step()
        assert not taken_back
    best, step_size = descent.best.clone(), descent.optimizer.step_size
    terms, taken_back = descent.step()
    assert taken_back
    assert math.isfinite(terms["odd"]) == (broken == "gradient")
    assert_close(descent.picture(), best, rtol=0, atol=0)
    assert descent.optimizer.step_size == 0.5 * step_size
    losses = [sum(descent.step()[0].values()) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)


@dataclass(frozen=True, kw_only=True)
class Stumbling(ImageOptimizer):
    """Adam whose third step leads to pixels that are not numbers."""

    def build(self, canvas):
        steps = Adam(lr=0.1).build(canvas)
        plain, count = steps.step, iter(range(100))

        def step(closure):
            loss = plain(closure)
            if next(count) == 2:
                with torch.no_grad():
                    canvas[..., 0] = math.nan
            return loss

        steps.step = step
        return steps


def test_a_picture_that_is_not_finite_is_taken_back():
    descent = _descent(_constant_pull, 0.9, Stumbling(), result="last")
    assert [descent.step()[1] for _ in range(4)] == [False, False, True, False]
    # Back to 0.7, the last that was looked at, and half a step on.
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 0.65))


def test_pixels_far_out_of_range_are_taken_back():
    """Everything is finite there; but no descent finds its way back from a thousand times the range."""
    descent = _descent(_distance_to(0.5), 0.9, Adam(lr=3000), result="last", clamp="end")
    assert descent.step()[1]
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 0.9))
    assert [descent.step()[1] for _ in range(2)] == [True, False]
    # A start may itself be far out: its own range counts.
    far = _descent(_distance_to(0.5), 9000.0, Adam(lr=3000), result="last", clamp="end")
    assert not far.step()[1]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_one_pixel_that_is_not_finite_is_enough(broken, place):
    descent = _descent(lambda canvas: {"flat": canvas.mean() * 0 + 1}, 0.9, Adam(), clamp="end")
    plain = descent.optimizer.step

    def step(closure):
        loss = plain(closure)
        with torch.no_grad():
            descent.canvas[0, 0, 0, place] = broken
        return loss

    descent.optimizer.step = step
    assert descent.step()[1]


def test_what_led_astray_does_not_weigh_on_the_average():
    """Without clamping, one far canvas would colour the average for dozens of steps."""

    def cliff(canvas):
        return {"cliff": (canvas - 0.5).square().mean() if canvas.min() > -2 else canvas.mean() * math.nan}

    descent = _descent(cliff, 0.6, AdamW(lr=40, weight_decay=0), clamp="end")
    assert not descent.step()[1]
    assert descent.average.abs().max() > 3
    assert descent.step()[1]
    assert_close(descent.picture(), torch.full((1, 3, 4, 5), 0.6))


@pytest.mark.parametrize(
    ("broken", "named"), [("nan", "term 'odd'"), ("infinite", "term 'odd'"), ("gradient", "its gradient")]
)
def test_a_loss_that_is_broken_from_the_start_is_named(broken, named):
    descent = _descent(Breaking(BROKEN[broken], at=[1]), 0.9)
    with pytest.raises(
        VelaturaError, match=rf"not finite at the first step of 5x4 pixels \(in {named}\); the w"
    ):
        descent.step()


def test_a_loss_that_is_broken_where_a_scale_starts_is_named():
    descent = _descent(Breaking(BROKEN["nan"], at=[2]), 0.9)
    descent.step()
    descent.move_to(torch.full((1, 3, 8, 10), 0.5))
    with pytest.raises(VelaturaError, match=r"at the first step of 10x8 pixels \(in term 'odd'\)"):
        descent.step()


def test_gives_up_after_eight_smaller_steps():
    descent = _descent(Breaking(BROKEN["nan"], at=range(2, 100)), 0.9)
    assert [descent.step()[1] for _ in range(9)] == [False] + 8 * [True]
    assert descent.optimizer.step_size == pytest.approx(0.1 / 256)
    with pytest.raises(
        VelaturaError, match="a step led too far 9 times, though it was halved each time; lower"
    ):
        descent.step()


def test_a_larger_canvas_starts_its_iterates_anew_and_keeps_the_optimiser():
    descent = _descent(_constant_pull, 0.5)
    descent.step()
    descent.optimizer.shrink(0.5)
    descent.move_to(torch.full((1, 3, 8, 10), 0.9))
    assert descent.best_loss == math.inf
    assert_close(descent.picture(), torch.full((1, 3, 8, 10), 0.9))
    descent.step()
    assert_close(descent.picture(), torch.full((1, 3, 8, 10), 0.85))


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), AdamW(), LBFGS()], ids=lambda o: o.name)
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_restored_state_goes_on_to_the_bit(optimizer, steps):
    start = torch.rand(1, 3, 4, 5)
    descent, resumed = _descent(_bowl, start, optimizer), _descent(_bowl, start * 0, optimizer)
    for _ in range(steps):
        descent.step()
    resumed.restore(descent.state())
    for _ in range(4):
        assert resumed.best_loss == descent.best_loss
        for result in ("average", "best", "last"):
            descent.iterates = resumed.iterates = Iterates(result=result)
            assert_close(descent.picture(), resumed.picture(), rtol=0, atol=0)
        assert descent.step() == resumed.step()


def test_the_start_and_the_picture_are_nobody_elses_memory():
    start = torch.full((1, 3, 4, 5), 0.5)
    descent = _descent(_constant_pull, start, result="last")
    before = descent.picture()
    descent.step()
    assert_close(start, torch.full((1, 3, 4, 5), 0.5))
    assert_close(before, torch.full((1, 3, 4, 5), 0.5))
