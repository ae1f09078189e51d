"""Masks from files: which style goes where, and what is refused."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError, ImageError
from velatura.imaging import Picture, read_picture
from velatura.jobs.masks import mask_notes, mask_weights, read_masks
from velatura.jobs.models import load_model
from velatura.jobs.saving import Saving
from velatura.jobs.stylize import StylizeJob, run_stylize, stylization, stylize_pictures


@pytest.fixture
def masks(tmp_path):
    """Left and right half, as paths; half as large as the photograph, which is 64x48."""
    left = torch.zeros(3, 24, 32)
    left[..., :16] = 1
    Picture(left).save(tmp_path / "left.png")
    Picture(1 - left).save(tmp_path / "right.png")
    return [str(tmp_path / "left.png"), str(tmp_path / "right.png")]


@pytest.fixture
def content():
    return Picture(torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(1)), name="photo")


def pictures(count):
    seeds = [torch.Generator().manual_seed(n + 2) for n in range(count)]
    return [Picture(torch.rand(3, 40, 30, generator=rng) ** (n + 1)) for n, rng in enumerate(seeds)]


def test_light_counts_and_what_is_transparent_is_black(content, tmp_path):
    red = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 48, 64)
    alpha = torch.ones(1, 48, 64)
    alpha[..., 32:] = 0
    Picture(red.contiguous(), alpha=alpha).save(tmp_path / "red.png")
    weights = mask_weights(read_masks([str(tmp_path / "red.png")], content), (48, 64))
    assert weights.shape == (1, 48, 64)
    assert_close(weights[0, :, :32], torch.full((48, 32), 0.299), rtol=0, atol=3e-3)
    assert weights[0, :, 32:].max() == 0


def test_own_styles_each_in_its_half_in_the_order_of_their_names(models, content, masks):
    network = load_model("cin").network

    def expected(*weights):
        with torch.no_grad():
            return network(content.pixels[None], network.choose(weights))[0].clamp(0, 1)

    how = stylization(model="cin", changes={"styles": ["hatching", "mosaic"], "masks": masks})
    found = stylize_pictures(content, [], how)
    assert_close(found.picture.pixels[..., :30], expected(0, 0, 1)[..., :30], rtol=0, atol=2e-3)
    assert_close(found.picture.pixels[..., 34:], expected(0, 1, 0)[..., 34:], rtol=0, atol=2e-3)
    assert found.notes == ()


def test_a_mask_for_a_network_of_one_style_leaves_the_photograph_elsewhere(models, content, masks):
    result = stylize_pictures(content, [], stylization(model="johnson", changes={"masks": masks[:1]}))
    assert_close(result.picture.pixels[..., 36:], content.pixels[..., 36:], rtol=0, atol=1e-6)
    plain = stylize_pictures(content, [], stylization(model="johnson")).picture.pixels
    assert_close(result.picture.pixels[..., :28], plain[..., :28], rtol=0, atol=1e-6)
    assert result.notes == ("the masks leave 50% of the photograph as it is",)


def test_what_a_jpeg_makes_of_white_is_not_said():
    assert list(mask_notes(torch.full((1, 8, 8), 0.99))) == []


def test_all_but_black_is_black(content, tmp_path):
    Picture(torch.full((3, 96, 128), 1 / 255)).save(tmp_path / "dark.png")
    with pytest.raises(ConfigError, match=r"dark.png is black everywhere; make it white where its style"):
        read_masks([str(tmp_path / "dark.png")], content)
    Picture(torch.full((3, 96, 128), 3 / 255)).save(tmp_path / "dim.png")
    assert len(read_masks([str(tmp_path / "dim.png")], content)) == 1


def test_paintings_in_their_halves_and_the_masks_in_the_record(models, content, masks):
    one, other = pictures(2)
    how = stylization("instant", changes={"masks": masks})
    result = stylize_pictures(content, [one, other], how)
    alone = [stylize_pictures(content, [one], stylization("instant")) for one in (one, other)]
    left, right = slice(0, 16), slice(48, 64)
    assert _far(result, alone[0], left) < 0.1 * _far(result, alone[1], left)
    assert _far(result, alone[1], right) < 0.1 * _far(result, alone[0], right)
    record = json.loads(json.dumps(result.record))
    pixels = [read_picture(path).pixels.numpy().tobytes() for path in masks]
    assert record["pictures"]["masks"] == [sha256(found).hexdigest() for found in pixels]
    assert record["stylization"]["method"]["masks"] == masks


def _far(one, other, columns):
    return (one.picture.pixels - other.picture.pixels)[..., columns].abs().mean()


@pytest.mark.parametrize(
    ("model", "count", "options", "message"),
    [
        ("adain-slim", 1, {}, "masks: 2 were given, and the styles are 1; give one for each style"),
        ("adain-slim", 3, {}, "masks: 2 were given, and the styles are 3"),
        ("adain-slim", 0, {}, "needs a style picture"),
        ("adain-slim", 2, {"blend": (0.5, 0.5)}, "masks say where each style goes and a blend how much"),
        ("cin", 0, {}, "masks: 2 were given, and the styles are 3"),
        ("johnson", 0, {}, "masks: 2 were given, and the styles are 1"),
        ("cin", 1, {}, "takes no style picture; leave it out"),
    ],
)
def test_masks_that_do_not_fit_the_styles(models, content, masks, model, count, options, message):
    how = stylization(model=model, changes={"masks": masks}, **options)
    with pytest.raises(ConfigError, match=message):
        stylize_pictures(content, pictures(count), how)


def test_masks_that_do_not_fit_the_photograph(models, content, masks, tmp_path):
    Picture(torch.ones(3, 40, 40)).save(tmp_path / "square.png")
    Picture(torch.zeros(3, 48, 64)).save(tmp_path / "black.png")
    cases = {
        "square.png": (ConfigError, r"square.png is 40x40 and the photograph 64x48; give it the same"),
        "black.png": (ConfigError, r"black.png is black everywhere; make it white where its style goes"),
        "none.png": (ImageError, r"none.png': there is no such file"),
    }
    for name, (error, message) in cases.items():
        how = stylization("instant", changes={"masks": [masks[0], str(tmp_path / name)]})
        with pytest.raises(error, match=message):
            stylize_pictures(content, pictures(2), how)


@pytest.mark.parametrize("changes", [{"masks": ["a.png"]}, {"overlap": 8}])
def test_an_optimisation_has_no_such_setting(changes):
    (name,) = changes
    message = f"^{name} is a setting of a trained network, and the preset 'fast' optimises the picture"
    with pytest.raises(ConfigError, match=message):
        stylization(changes=changes)


def test_a_mask_is_read_and_never_written_to(models, photo, masks, tmp_path):
    how = stylization(model="johnson", changes={"masks": masks[1:]})
    job = StylizeJob(content=str(photo), output=str(tmp_path / "out.png"), stylization=how)
    assert json.loads(json.dumps(run_stylize(job).record))["stylization"]["method"]["masks"] == masks[1:]
    with pytest.raises(ConfigError, match=r"right.png is read by this job and will not be overwritten"):
        run_stylize(replace(job, output=masks[1]))
    with pytest.raises(ConfigError, match=r"right.png is read by this job and will not be overwritten"):
        run_stylize(replace(job, saving=Saving(record=masks[1])))
