"""The short words: what they do, and that what cannot honour them says so."""

import pytest
import torch
from torch.testing import assert_close

import velatura
from velatura.core.errors import ConfigError
from velatura.imaging import Picture, read_picture
from velatura.jobs.stylize import stylization
from velatura.ops.color import luma
from velatura.ops.filters import energy_above, sobel_gradient

QUICK = {"size": 48, "threads": 1, "precision": "float32", "device": "cpu"}


def painted(photo, painting, settings=None, **options):
    settings = {"pyramid.steps": [15, 10], "pyramid.smallest": 24, **(settings or {})}
    return velatura.stylize(photo, painting, settings=settings, **QUICK, **options)


def gradient_error(result, photo):
    """How far the steps from pixel to pixel are from the photograph's."""
    ours, theirs = (torch.cat(sobel_gradient(luma(pixels[None]))) for pixels in (result, photo))
    return float((ours - theirs).square().mean())


def test_structure_keeps_outlines_the_more_the_higher(photo, painting):
    pixels = read_picture(photo).pixels
    errors = [
        gradient_error(painted(photo, painting, structure=factor).picture.pixels, pixels)
        for factor in (0, 1, 20)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_structure_of_nothing_changes_nothing(photo, painting):
    none, zero = (painted(photo, painting, structure=factor).picture.pixels for factor in (None, 0.0))
    assert torch.equal(none, zero)


def test_edges_can_take_the_place_of_the_laplacian(photo, painting):
    pixels = read_picture(photo).pixels
    settings = {"terms.structure.loss": {"name": "edges"}}
    plain = painted(photo, painting).picture.pixels
    kept = painted(photo, painting, settings, structure=10).picture.pixels
    assert gradient_error(kept, pixels) < 0.5 * gradient_error(plain, pixels)


def test_total_variation_smooths(photo, painting):
    energies = [
        float(energy_above(luma(painted(photo, painting, tv=weight).picture.pixels[None].double()), 0.25))
        for weight in (None, 30.0)
    ]
    assert energies[1] < 0.8 * energies[0]


def test_smooth_takes_fine_detail_and_leaves_the_mean(photo, painting):
    plain, smooth = (painted(photo, painting, smooth=smooth).picture.pixels for smooth in (False, True))
    fine = [float(energy_above(luma(pixels[None].double()), 0.25)) for pixels in (plain, smooth)]
    assert fine[1] < 0.8 * fine[0]
    assert_close(smooth.mean(), plain.mean(), atol=0.005, rtol=0)


def test_refining_goes_on_at_the_last_scale_alone(photo, painting):
    first = painted(photo, painting)
    again = painted(photo, painting, refine=first.picture)
    assert {tuple(entry["size"]) for entry in again.history} == {(36, 48)}
    assert len(again.history) == 10
    # It begins where the other ended, and does not leave it.
    assert again.history[0]["loss"] < 1.05 * first.history[-1]["loss"]
    assert again.history[-1]["loss"] < first.history[-1]["loss"]
    assert (again.picture.pixels - first.picture.pixels).abs().mean() < 0.05


def test_refining_at_a_larger_size(photo, painting):
    first = painted(photo, painting)
    settings = {"pyramid.steps": [15, 10], "pyramid.smallest": 24}
    larger = velatura.stylize(
        photo, painting, settings=settings, refine=first.picture, **{**QUICK, "size": 96}
    )
    assert {tuple(entry["size"]) for entry in larger.history} == {(72, 96)}
    assert larger.picture.width == 96


def test_refining_with_adam_takes_smaller_steps():
    adam = {"optimizer.name": "adam"}
    usual, gentle = (
        stylization(controls={"refine": refine}, changes=adam).method.optimizer.lr for refine in (False, True)
    )
    assert gentle == pytest.approx(0.3 * usual)
    asked = stylization(controls={"refine": True}, changes={**adam, "optimizer.lr": 0.5})
    assert asked.method.optimizer.lr == 0.5
    assert stylization(controls={"refine": True}).method.optimizer.lr == 1.0


def test_refining_a_preset_of_one_scale_starts_from_the_picture():
    method = stylization("gatys2016", controls={"refine": True}).method
    assert method.initialization.name == "picture"
    assert method.pyramid.last is None


@pytest.mark.parametrize("option", ["structure", "tv"])
def test_a_preset_without_the_term_says_how_to_add_it(option):
    with pytest.raises(
        ConfigError, match=rf"{option} weighs the term .* 'gatys2016' has none.*--set 'terms\."
    ):
        stylization("gatys2016", controls={option: 1.0})


@pytest.mark.parametrize("option", ["structure", "tv", "refine"])
def test_a_trained_network_says_that_it_has_no_steps(option, models):
    with pytest.raises(ConfigError, match=f"{option} is of an optimisation, and 'instant' is one pass"):
        stylization("instant", controls={option: True if option == "refine" else 1.0})


def test_a_trained_network_can_be_smoothed(models, photo, painting):
    plain, smooth = (
        velatura.stylize(photo, painting, preset="instant", smooth=smooth, **QUICK).picture.pixels
        for smooth in (False, True)
    )
    assert not torch.equal(plain, smooth)


def test_what_is_set_twice_is_refused():
    with pytest.raises(ConfigError, match=r"terms\.structure\.weight is set twice"):
        stylization(controls={"structure": 1.0}, changes={"terms.structure.weight": 2.0})
    with pytest.raises(
        ConfigError, match=r"refine starts from a finished picture, .*'uniform'; leave one out"
    ):
        stylization(controls={"refine": True}, changes={"initialization.name": "uniform"})


def test_refine_and_start_are_one_too_many(photo, painting):
    picture = Picture(torch.rand(3, 36, 48))
    with pytest.raises(ConfigError, match="refine is the picture to start from already; leave start out"):
        velatura.stylize(photo, painting, refine=picture, start=picture, **QUICK)
