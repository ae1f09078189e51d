"""What every optimiser refuses."""

import pytest
import torch

from velatura.optimizers import optimizers
from velatura.optimizers.adam import Adam
from velatura.optimizers.lbfgs import LBFGS


def _canvas(*shape):
    return torch.rand(shape, requires_grad=True)


def _stepped(config, canvas):
    optimizer = config.build(canvas)

    def closure():
        loss = canvas.square().sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    return optimizer


@pytest.mark.parametrize(
    ("canvas", "found"),
    [
        (torch.rand(3, 4, 4, requires_grad=True), r"\(3, 4, 4\), torch.float32"),
        (torch.rand(1, 3, 4, 4), "requires its gradient: False"),
        (torch.rand(1, 3, 4, 4, requires_grad=True) * 2, "leaf: False"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_what_is_no_canvas(canvas, found):
    with pytest.raises(ValueError, match=f"a leaf that requires its gradient; this one is .*{found}"):
        Adam().build(canvas)


def test_another_batch_is_no_other_size():
    optimizer = Adam().build(_canvas(1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"was \(1, 3, 4, 4\) and is now \(2, 3, 8, 8\); only its height"):
        optimizer.rescale(_canvas(2, 3, 8, 8))


def test_a_state_of_another_optimizer():
    state = _stepped(Adam(), _canvas(1, 3, 4, 4)).state()
    with pytest.raises(ValueError, match=r"the state holds mean, square, .*: it is of another optimiser"):
        LBFGS().build(_canvas(1, 3, 4, 4)).restore(state)
    with pytest.raises(ValueError, match="the state holds nothing, not step_size"):
        Adam().build(_canvas(1, 3, 4, 4)).restore({})


@pytest.mark.parametrize("config", [Adam(), LBFGS()])
def test_a_state_of_another_size(config):
    state = _stepped(config, _canvas(1, 3, 4, 4)).state()
    with pytest.raises(
        ValueError, match=r"canvas is \(1, 3, 8, 8\); restore it to a canvas of the same shape"
    ):
        config.build(_canvas(1, 3, 8, 8)).restore(state)


@pytest.mark.parametrize("factor", [0.0, 1.0, -1.0, float("nan")])
def test_shrinking_makes_smaller(factor):
    optimizer = Adam().build(_canvas(1, 3, 4, 4))
    with pytest.raises(ValueError, match="factor must be above 0 and below 1"):
        optimizer.shrink(factor)


def test_the_optimizers_that_ship():
    assert {"adam", "adamw", "lbfgs"} <= set(optimizers)
