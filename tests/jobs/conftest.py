"""A small photograph, a small painting, and a job of two steps on them."""

import numpy as np
import pytest

from velatura.imaging import Picture
from velatura.jobs.saving import Saving
from velatura.jobs.stylize import StylizeJob, stylization


@pytest.fixture
def photo(tmp_path):
    """48x36 pixels: a red ramp to the right, a green one down, a blue disc."""
    rows, columns = np.mgrid[:36, :48]
    disc = (rows - 18) ** 2 + (columns - 24) ** 2 < 120
    pixels = np.stack([columns / 47, rows / 35, disc], axis=2).astype(np.float32)
    Picture.of(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def painting(tmp_path):
    """40x40 pixels: yellow and blue stripes with grain."""
    rows, columns = np.mgrid[:40, :40]
    stripes = ((rows + columns) // 5 % 2)[..., None] * np.array([1, 0.8, -0.4]) + np.array([0, 0, 0.6])
    grain = np.random.default_rng(0).normal(0, 0.1, (40, 40, 3))
    Picture.of(np.clip(stripes + grain, 0, 1).astype(np.float32)).save(tmp_path / "painting.png")
    return tmp_path / "painting.png"


@pytest.fixture
def job(photo, painting, tmp_path):
    """Makes the job of two float32 steps at one scale; what is given is changed."""

    def make(*, changes=None, saving=None, content=photo, styles=(painting,), output="out.png", **settings):
        changes = {"pyramid.steps": [2], "pyramid.smallest": 0, **(changes or {})}
        how = stylization(changes=changes, **{"precision": "float32", "device": "cpu", **settings})
        return StylizeJob(
            content=str(content),
            styles=tuple(map(str, styles)),
            output=str(tmp_path / output),
            stylization=how,
            saving=Saving(**(saving or {})),
        )

    return make


@pytest.fixture
def panels_of(monkeypatch):
    """Keeps the panels of the figures that a module draws from here on."""

    def keep(module):
        kept, real = [], module.figure_with_panels

        def keeping(count):
            figure, panels = real(count)
            kept.extend(panels)
            return figure, panels

        monkeypatch.setattr(module, "figure_with_panels", keeping)
        return kept

    return keep
