"""The sample pictures: the same every time, of the size asked for, and each of its own style."""

import itertools
from functools import cache
from types import MappingProxyType

import numpy as np
import pytest
import torch

from velatura.core.errors import ConfigError
from velatura.imaging import read_picture
from velatura.imaging.samples import SAMPLES, draw_sample, gallery, write_samples

SIZE = 96
PHOTOS = [name for name, sample in SAMPLES.items() if sample.kind == "photo"]
PAINTINGS = [name for name, sample in SAMPLES.items() if sample.kind == "painting"]


@cache
def pixels(name, seed=0, size=SIZE):
    return draw_sample(name, size=size, seed=seed).pixels.permute(1, 2, 0).numpy()


def brightness_slopes(image):
    grey = image.mean(-1)
    down, right = np.gradient(grey)
    return np.hypot(down, right)


def statistics_of_style(image):
    """Colours and their spread, and how strong the slopes are at three scales."""
    flat = image.reshape(-1, 3)
    spread = np.linalg.cholesky(np.cov(flat.T) + 1e-6 * np.eye(3))[np.tril_indices(3)]
    slopes = []
    for step in (1, 2, 4):
        shifted = [np.abs(np.roll(image, step, axis) - image).mean() for axis in (0, 1)]
        slopes += [2 * value for value in shifted]
    return np.concatenate([flat.mean(0), spread, slopes])


def test_enough_of_both_kinds():
    assert len(PHOTOS) >= 3
    assert len(PAINTINGS) >= 6
    assert all(name == sample.name and sample.title for name, sample in SAMPLES.items())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_picture_of_the_size_asked_for(name):
    assert pixels(name).shape == (64, 96, 3)


def test_a_picture_says_its_name():
    picture = draw_sample("mosaic", size=16)
    assert picture.name == "mosaic"
    assert picture.alpha is None


@pytest.mark.parametrize("name", SAMPLES)
def test_same_seed_same_picture(name):
    again = draw_sample(name, size=SIZE, seed=1).pixels.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(again, pixels(name, seed=1))
    assert (again != pixels(name)).mean() > 0.05


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_a_whole_255th(name):
    levels = pixels(name) * 255
    np.testing.assert_allclose(levels, levels.round(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_scene_is_the_same_at_every_size(name):
    small, large = pixels(name), pixels(name, size=2 * SIZE)
    blocks = [image.reshape(8, -1, 12, 3 * image.shape[1] // 12).mean((1, 3)) for image in (small, large)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", SAMPLES)
def test_the_smallest_size(name):
    assert pixels(name, size=16).shape == (11, 16, 3)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_has_calm_areas_and_clear_edges(name):
    slopes = brightness_slopes(pixels(name, size=2 * SIZE))
    assert np.quantile(slopes, 0.2) < 0.02
    assert np.quantile(slopes, 0.98) > 0.12


@pytest.mark.parametrize("name", PAINTINGS)
def test_a_painting_has_texture_nearly_everywhere(name):
    slopes = brightness_slopes(pixels(name, size=2 * SIZE))
    parts = slopes.reshape(8, 16, 12, 16).mean((1, 3))
    assert (parts > 0.01).mean() > 0.9


def test_styles_differ_more_than_seeds():
    styles = {name: [statistics_of_style(pixels(name, seed)) for seed in (0, 1)] for name in PAINTINGS}
    within = max(np.linalg.norm(first - second) for first, second in styles.values())
    between = min(
        np.linalg.norm(one - other)
        for first, second in itertools.combinations(styles, 2)
        for one in styles[first]
        for other in styles[second]
    )
    assert between > 3 * within


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown sample 'mosiac'; did you mean 'mosaic'\?"):
        draw_sample("mosiac")


@pytest.mark.parametrize("size", [15, 4097, 0, -1])
def test_sizes_out_of_range(size):
    with pytest.raises(ConfigError, match=f"expected a size of 16 to 4096 pixels, got {size}"):
        draw_sample("mosaic", size=size)


def test_a_negative_seed():
    with pytest.raises(ConfigError, match="expected a seed of 0 or more, got -1"):
        draw_sample("mosaic", seed=-1)


@pytest.fixture
def two_samples(monkeypatch):
    two = {name: SAMPLES[name] for name in ("mosaic", "flowing-strokes")}
    monkeypatch.setattr(gallery, "SAMPLES", MappingProxyType(two))


@pytest.mark.usefixtures("two_samples")
class TestWriting:
    def test_files_hold_the_samples(self, tmp_path):
        paths = write_samples(tmp_path / "new", size=32, seed=5)
        assert [path.name for path in paths] == ["mosaic.png", "flowing-strokes.png"]
        for path in paths:
            expected = draw_sample(path.stem, size=32, seed=5).pixels
            assert torch.equal(read_picture(path).pixels, expected)

    def test_the_same_samples_again_are_left_alone(self, tmp_path):
        paths = write_samples(tmp_path, size=32)
        paths[1].unlink()
        before = paths[0].stat()
        assert write_samples(tmp_path, size=32) == paths
        assert paths[1].exists()
        assert paths[0].stat().st_mtime_ns == before.st_mtime_ns

    @pytest.mark.parametrize("content", [b"notes", b""])
    def test_other_files_are_not_replaced(self, tmp_path, content):
        (tmp_path / "mosaic.png").write_bytes(content)
        with pytest.raises(ConfigError, match=r"has other pictures named mosaic\.png; use another folder"):
            write_samples(tmp_path, size=32)
        assert [path.name for path in tmp_path.iterdir()] == ["mosaic.png"]
        assert (tmp_path / "mosaic.png").read_bytes() == content

    def test_samples_of_another_size_are_other_pictures(self, tmp_path):
        write_samples(tmp_path, size=32)
        with pytest.raises(
            ConfigError, match=r"named mosaic\.png, flowing-strokes\.png|named flowing-strokes"
        ):
            write_samples(tmp_path, size=48)

    def test_unless_asked_to(self, tmp_path):
        (tmp_path / "mosaic.png").write_bytes(b"notes")
        write_samples(tmp_path, size=32, overwrite=True)
        assert read_picture(tmp_path / "mosaic.png").width == 32

    def test_wrong_settings_write_nothing(self, tmp_path):
        with pytest.raises(ConfigError, match="expected a size"):
            write_samples(tmp_path / "new", size=8)
        assert not (tmp_path / "new").exists()
