import numpy as np
import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.losses.laplacian import Laplacian


def image(seed, size=(12, 8), batch=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, *size, generator=generator, dtype=torch.float64)


def by_loops(picture, pool):
    """Blocks, then each one's differences from the neighbours it has, as the definition says."""
    pixels = picture[0].numpy()
    rows, columns = -(-pixels.shape[1] // pool), -(-pixels.shape[2] // pool)
    blocks = np.array(
        [
            [
                pixels[:, r * pool : (r + 1) * pool, c * pool : (c + 1) * pool].mean(axis=(1, 2))
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )
    found = np.zeros((rows, columns))
    for r in range(rows):
        for c in range(columns):
            for down, across in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= r + down < rows and 0 <= c + across < columns:
                    found[r, c] += (blocks[r, c] - blocks[r + down, c + across]).sum()
    return found


def test_a_worked_example():
    # Blocks of two: 1 in the middle of 3x3, 0 elsewhere. The filter gives 4 there and -1 beside it.
    photo = torch.zeros(1, 3, 6, 6, dtype=torch.float64)
    painted = photo.clone()
    painted[:, 0, 2:4, 2:4] = 1
    loss = Laplacian(pools=(2,), reduction="sum")
    assert_close(loss.forward(painted, loss.target(photo)), torch.tensor([20.0], dtype=torch.float64))


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_is_the_error_of_the_laplacians_of_both(pool):
    loss = Laplacian(pools=(pool,))
    expected = ((by_loops(image(1), pool) - by_loops(image(2), pool)) ** 2).mean()
    found = loss.forward(image(1), loss.target(image(2)))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_inside_it_is_the_published_filter():
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=torch.float64).expand(1, 3, 3, 3)
    pooled = torch.nn.functional.avg_pool2d(image(1, (16, 20)), 4)
    published = torch.nn.functional.conv2d(pooled, kernel)
    ours = torch.from_numpy(by_loops(image(1, (16, 20)), 4))
    assert_close(ours[1:-1, 1:-1], published[0, 0])


def test_several_coarsenesses_add_up():
    target = Laplacian().target(image(2))
    parts = [Laplacian(pools=(pool,)).forward(image(1), target) for pool in (2, 4)]
    assert_close(Laplacian(pools=(2, 4)).forward(image(1), target), sum(parts))


def test_another_colour_that_is_as_light_changes_nothing():
    loss, photo = Laplacian(), image(1)
    assert loss.forward(photo[:, [2, 0, 1]], loss.target(photo)).item() < 1e-20
    assert loss.forward(photo + 0.3, loss.target(photo)).item() < 1e-20


def test_blocks_that_hang_over_the_border_count_for_their_part():
    loss = Laplacian(pools=(4,), reduction="sum")
    photo, painted = (
        torch.zeros(1, 1, 4, 6, dtype=torch.float64),
        torch.zeros(1, 1, 4, 6, dtype=torch.float64),
    )
    painted[..., 4:] = 1
    # One block of four columns and one of two: differences of -1 and 1, the second weighs a half.
    assert_close(loss.forward(painted, loss.target(photo)), torch.tensor([1.5], dtype=torch.float64))


def test_is_zero_at_its_own_target_under_any_mask():
    loss, photo = Laplacian(pools=(2,)), image(1)
    mask = image(3)[:, :1].round()
    assert loss.forward(photo, loss.target(photo), mask).item() == 0


def test_relative_is_one_for_a_flat_picture():
    loss = Laplacian(pools=(2,), reduction="relative")
    assert_close(loss.forward(torch.zeros_like(image(1)), loss.target(image(1))).item(), 1.0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "relative"])
def test_gradient(reduction):
    loss = Laplacian(pools=(2, 4), reduction=reduction)
    target, mask = loss.target(image(2, (7, 6))), image(3, (7, 6))[:, :1]
    inputs = image(1, (7, 6)).requires_grad_()
    assert gradcheck(lambda features: loss.forward(features, target, mask), inputs)


def test_a_target_of_another_size_is_refused():
    with pytest.raises(ValueError, match="take the target at the same layer"):
        Laplacian().forward(image(1), Laplacian().target(image(2, (8, 8))))


def test_relative_to_a_flat_photograph_is_refused():
    with pytest.raises(ConfigError, match="relative to a target of zeros"):
        Laplacian(reduction="relative").target(torch.full((1, 3, 8, 8), 0.5))
