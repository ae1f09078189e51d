"""An optimisation that starts from the picture of a trained network."""

import pytest
import torch
from torch.testing import assert_close

import velatura
from velatura.core.errors import ConfigError
from velatura.imaging import Picture
from velatura.jobs.stylize import stylization, stylize_pictures

PHOTO = Picture(torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0)).mul(0.6), name="photo")
PAINTING = Picture(torch.rand(3, 56, 48, generator=torch.Generator().manual_seed(1)).pow(3), name="painting")
LEFT = torch.zeros(1, 48, 64)
LEFT[..., :32] = 1


def painted(*, preset="refined", steps=0, styles=(PAINTING,), changes=(), **options):
    of_steps = {"pyramid.steps": [steps], "detail": 0} if preset == "refined" else {}
    how = stylization(preset, changes={**of_steps, **dict(changes)}, size=64, precision="float32", **options)
    return stylize_pictures(PHOTO, list(styles), how)


def test_before_the_first_step_it_is_the_networks_picture():
    assert_close(painted().picture.pixels, painted(preset="instant").picture.pixels, rtol=0, atol=1e-5)


def test_steps_lower_the_loss_from_there():
    losses = [entry["loss"] for entry in painted(steps=8).history]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("color", ["luminance", "match-monge"])
def test_the_network_sees_the_colours_that_the_run_sees(color):
    found, expected = painted(color=color), painted(preset="instant", color=color)
    assert_close(found.picture.pixels, expected.picture.pixels, rtol=0, atol=2e-3)


def test_strength_goes_from_the_photograph_to_the_networks_picture():
    assert_close(painted(strength=0).picture.pixels, PHOTO.pixels, rtol=0, atol=1e-5)
    half = painted(strength=0.5).picture.pixels
    assert_close(half, painted(preset="instant", strength=0.5).picture.pixels, rtol=0, atol=1e-5)
    assert_close(painted(strength=2).picture.pixels, painted().picture.pixels, rtol=0, atol=1e-5)


def test_several_paintings_are_blended_in_it():
    styles, blend = (PAINTING, Picture(PAINTING.pixels.flip(0).contiguous())), (0.25, 0.75)
    found, expected = (
        painted(preset=preset, styles=styles, blend=blend) for preset in ("refined", "instant")
    )
    assert_close(found.picture.pixels, expected.picture.pixels, rtol=0, atol=1e-5)


def test_where_no_painting_goes_the_photograph_stays():
    region = velatura.Region(mask=Picture(LEFT.expand(3, -1, -1).contiguous()), styles=PAINTING)
    options = {"size": 64, "precision": "float32", "settings": {"pyramid.steps": [0]}}
    result = velatura.stylize(PHOTO, preset="refined", regions=[region], **options)
    assert_close(result.picture.pixels[..., 40:], PHOTO.pixels[..., 40:], rtol=0, atol=1e-5)
    assert (result.picture.pixels[..., :24] - PHOTO.pixels[..., :24]).abs().mean() > 0.05


def test_the_record_names_the_network():
    start = painted().record["weights"]["start"]
    assert start["source"] == "adain-slim.safetensors"
    assert len(start["sha256"]) == 64


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("cin-samples", "has styles of its own; to start from, name a network that takes any painting"),
        ("adain-slm", "did you mean 'adain-slim'"),
        ("vgg19-slim", "vgg19-slim"),
    ],
)
def test_another_network_is_refused(model, message):
    with pytest.raises(velatura.VelaturaError, match=message):
        painted(changes={"initialization.model": model})


def test_a_picture_to_start_from_is_given_to_another_initialisation():
    how = stylization("refined", size=64)
    with pytest.raises(ConfigError, match="the initialisation is 'one_pass', not 'picture'"):
        stylize_pictures(PHOTO, [PAINTING], how, start=PHOTO)


def test_a_texture_has_no_photograph_to_start_from():
    with pytest.raises(ConfigError, match="is for a photograph in the style of paintings"):
        velatura.texture(PAINTING, size=64, settings={"initialization.name": "one_pass"})


def test_a_run_goes_on_to_the_same_pixels(tmp_path):
    settings = {"pyramid.steps": [6]}
    options = {"preset": "refined", "size": 64, "precision": "float32", "settings": settings}
    whole = velatura.stylize(PHOTO, PAINTING, **options).picture
    asked = iter([False] * 4)
    path = tmp_path / "run.safetensors"
    velatura.stylize(PHOTO, PAINTING, checkpoint=path, cancelled=lambda: next(asked, True), **options)
    resumed = velatura.stylize(PHOTO, PAINTING, resume=path, **options).picture
    assert torch.equal(whole.pixels, resumed.pixels)
