"""From the photograph to the painting: what strength promises, said by the metrics."""

from itertools import pairwise

import pytest
import torch

import velatura
from velatura.imaging.samples import draw_sample

STRENGTHS = (0.0, 0.05, 0.3, 1.0, 5.0)


@pytest.mark.parametrize("painting", ["flowing-strokes", "stained-glass"])
def test_strength_goes_from_the_photograph_to_the_painting_step_by_step(painting):
    photo = draw_sample("mountain-lake", size=144, seed=0)
    style = draw_sample(painting, size=144, seed=0)
    rows = []
    for strength in STRENGTHS:
        made = velatura.stylize(photo, style, strength=strength, precision="float32", device="cpu")
        values = velatura.evaluate(made.picture, photo, style, metrics=["style-moments", "content-features"])
        rows.append((values["style-moments"], values["content-features"]))
    assert rows[0] == pytest.approx((1.0, 0.0), abs=1e-6)
    # Every step is nearer to the painting and further from the photograph; a hundredth is noise.
    for before, after in pairwise(rows):
        assert after[0] < before[0] + 0.01
        assert after[1] > before[1] - 0.01
    assert rows[-1][0] < 0.4
    assert rows[-1][1] > 3 * rows[1][1]


def test_no_strength_leaves_the_photograph():
    photo = draw_sample("old-town", size=64, seed=0)
    style = draw_sample("mosaic", size=64, seed=0)
    made = velatura.stylize(photo, style, strength=0.0, precision="float32", device="cpu")
    assert torch.allclose(made.picture.pixels, photo.pixels, atol=1e-3)
