"""The diet: crops, disturbed crops, and stylizations in progress."""

import itertools

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from velatura.engine.distill.diet import Chains, Crops, disturb, stylize_towards


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _save(path, pixels):
    Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy()).save(path)
    return path


@pytest.mark.parametrize("size", [(64, 80), (20, 90), (10, 10), (32, 32), (33, 31)])
def test_crops_have_one_size_whatever_the_picture(tmp_path, size):
    crops = Crops([_save(tmp_path / "a.png", torch.rand(3, *size))], size=32)
    for seed in range(8):
        crop = crops.draw(_rng(seed))
        assert crop.shape == (1, 3, 32, 32)
        assert 0 <= crop.min() <= crop.max() <= 1


def test_a_picture_of_the_crops_size_is_drawn_whole_and_flipped_at_times(tmp_path):
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    crops = Crops([_save(tmp_path / "a.png", ramp)], size=32)
    drawn = [crops.draw(_rng(seed))[0] for seed in range(20)]
    flipped = [bool(crop[0, 0, 0] > 0.5) for crop in drawn]
    assert 0 < sum(flipped) < 20
    for crop, is_flipped in zip(drawn, flipped, strict=True):
        assert_close(crop.flip(-1) if is_flipped else crop, ramp, rtol=0, atol=1 / 255)


def test_the_generator_decides_the_crop(tmp_path):
    paths = [_save(tmp_path / f"{i}.png", torch.rand(3, 50, 60)) for i in range(3)]
    crops = Crops(paths, size=32)
    assert_close(crops.draw(_rng(3)), crops.draw(_rng(3)), rtol=0, atol=0)
    drawn = [crops.draw(_rng(seed)) for seed in range(4)]
    assert all(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_crops_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no pictures to crop from"):
        Crops([], size=32)


def test_disturbed_pictures_stay_in_range():
    image, other = torch.rand(1, 3, 32, 48), torch.rand(1, 3, 32, 48)
    before, ways, changed = image.clone(), set(), []
    for seed in range(60):
        ways.add(int(torch.randint(6, (), generator=_rng(seed))))
        disturbed = disturb(image, other, _rng(seed))
        assert disturbed.shape == image.shape
        assert disturbed.isfinite().all()
        assert 0 <= disturbed.min() <= disturbed.max() <= 1
        assert_close(disturb(image, other, _rng(seed)), disturbed, rtol=0, atol=0)
        changed.append(float((disturbed - image).abs().mean()))
    assert ways == set(range(6))
    assert_close(image, before, rtol=0, atol=0)
    assert min(changed) > 1e-3


class _Drawn:
    """Crops of black and white that count how often they are drawn from."""

    def __init__(self, white):
        self.white, self.count = white, 0

    def draw(self, generator):
        self.count += 1
        return (torch.rand((1, 3, 16, 16), generator=generator) < self.white).float()


def _pixels(image):
    return {"pixels": image}


def test_chains_go_on_and_start_anew():
    contents, styles = _Drawn(0.2), _Drawn(0.7)
    chains, rng = Chains(contents, styles, num_chains=1, turns=5, steps=1), _rng()
    canvases = [chains.advance(_pixels, rng) for _ in range(40)]
    assert contents.count == styles.count
    # A chain is advanced three to five times, as it begins at an age of up to two turns.
    assert 40 / 5 <= contents.count <= 40 / 3 + 1
    moved = [float((now - before).abs().mean()) for before, now in itertools.pairwise(canvases)]
    assert sum(step > 0.05 for step in moved) <= contents.count - 1


def test_chains_are_drawn_to_the_painting():
    chains, rng = Chains(_Drawn(0.2), _Drawn(0.7), num_chains=2, turns=100, steps=4, lr=0.02), _rng()
    canvases = [chains.advance(_pixels, rng) for _ in range(30)]
    assert all(0 <= canvas.min() <= canvas.max() <= 1 for canvas in canvases)
    assert float(canvases[0].mean()) < 0.35
    assert float(canvases[-1].mean()) > 0.5


def test_the_generator_decides_the_chains():
    def advanced(seed):
        chains, rng = Chains(_Drawn(0.2), _Drawn(0.7), num_chains=3, turns=3), _rng(seed)
        return torch.cat([chains.advance(_pixels, rng) for _ in range(12)])

    assert_close(advanced(1), advanced(1), rtol=0, atol=0)
    assert not torch.equal(advanced(1), advanced(2))


def test_a_stylization_comes_nearer_to_the_painting():
    def distance(canvas, painting):
        """Of mean and covariance, by their definitions."""
        total = 0.0
        for layer in _features(canvas):
            found, wanted = (_features(image)[layer].flatten(2)[0] for image in (canvas, painting))
            total += float((found.mean(1) - wanted.mean(1)).square().sum() / wanted.mean(1).square().sum())
            covariances = [torch.cov(maps, correction=0) for maps in (found, wanted)]
            total += float((covariances[0] - covariances[1]).square().sum() / covariances[1].square().sum())
        return total

    kernel = torch.randn(4, 3, 3, 3)

    def _features(image):
        return {"pixels": image, "conv": torch.nn.functional.conv2d(image, kernel).relu()}

    canvas, painting = torch.rand(1, 3, 16, 16), 0.3 + 0.6 * torch.rand(1, 3, 12, 20) ** 3
    start = canvas.clone()
    painted = stylize_towards(canvas, painting, _features, steps=30, lr=0.02)
    assert distance(painted, painting) < 0.1 * distance(canvas, painting)
    assert_close(canvas, start, rtol=0, atol=0)
    assert not painted.requires_grad
    assert 0 <= painted.min() <= painted.max() <= 1
