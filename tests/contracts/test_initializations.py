"""What every registered initialisation promises."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.rng import generator
from velatura.initializations import initializations

CONTENT = torch.linspace(0, 1, 2 * 3 * 8 * 6).reshape(2, 3, 8, 6)
STYLE = torch.linspace(0, 1, 3 * 5 * 7).reshape(1, 3, 5, 7).square()
PICTURE = torch.linspace(1, 0, 3 * 16 * 12).reshape(1, 3, 16, 12)


def _draw(name, seed=0, content=CONTENT):
    return initializations[name]().draw(content, [STYLE], generator(seed, "initialization"), picture=PICTURE)


@pytest.mark.parametrize("name", initializations)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_a_canvas_like_the_content(name, dtype):
    canvas = _draw(name, content=CONTENT.to(dtype))
    assert canvas.shape == CONTENT.shape
    assert canvas.dtype == dtype
    assert canvas.isfinite().all()
    # Noise may leave [0, 1], by a few deviations and not by another unit of pixels.
    assert canvas.abs().max() < 4


@pytest.mark.parametrize("name", initializations)
def test_the_same_seed_draws_the_same_canvas(name):
    assert_close(_draw(name), _draw(name), rtol=0, atol=0)


@pytest.mark.parametrize("name", initializations)
def test_another_seed_draws_another_canvas_where_it_says_so(name):
    assert torch.equal(_draw(name), _draw(name, seed=1)) != initializations[name]().is_random


@pytest.mark.parametrize("name", initializations)
def test_the_canvas_is_new_memory(name):
    content, style, picture = CONTENT.clone(), STYLE.clone(), PICTURE.clone()
    numbers = generator(0, "initialization")
    canvas = initializations[name]().draw(content, [style], numbers, picture=picture)
    canvas.fill_(-1)
    assert_close(content, CONTENT, rtol=0, atol=0)
    assert_close(style, STYLE, rtol=0, atol=0)
    assert_close(picture, PICTURE, rtol=0, atol=0)
