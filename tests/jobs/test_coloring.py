"""Colour modes around an optimisation and around networks: one mechanism."""

import json

import pytest
import torch
from torch.testing import assert_close

from velatura.colors import Luminance, MatchMonge
from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError
from velatura.engine.optimization import OptimizationStylizer
from velatura.imaging import Picture, read_picture
from velatura.jobs.coloring import Coloring, color_mode, with_color_setting
from velatura.jobs.reconstruct import reconstruction
from velatura.jobs.regions import Placed, PlacedPictures
from velatura.jobs.schema import build
from velatura.jobs.stylization import Stylization
from velatura.jobs.stylize import run_stylize, stylization, stylize_pictures
from velatura.networks.adain import AdaIN
from velatura.ops.color_spaces import chroma_distance, srgb_to_lab
from velatura.ops.resize import resize


def picture(seed, tint, size=(48, 64)):
    pixels = torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))
    return Picture(pixels * torch.tensor(tint)[:, None, None], name=f"picture {seed}")


PHOTO, RED = picture(1, (0.3, 0.6, 0.9)), picture(2, (1.0, 0.3, 0.1), size=(50, 40))


def moments(pixels):
    flat = pixels.double().flatten(1)
    return flat.mean(dim=1), flat.cov(correction=0)


def chroma(result, photo=PHOTO):
    size = (result.picture.height, result.picture.width)
    return chroma_distance(result.picture.pixels[None], resize(photo.pixels[None], size).clamp(0, 1)).item()


@pytest.fixture
def two_steps():
    """Settings of two steps at one scale."""

    def make(changed=None, **settings):
        changes = {"pyramid.steps": [2], "pyramid.smallest": 0, **(changed or {})}
        return stylization(changes=changes, precision="float32", device="cpu", **settings)

    return make


@pytest.fixture
def seen(monkeypatch):
    """What stylizers are given: photograph and paintings of an optimisation, paintings of a network."""
    found = {"content": [], "styles": []}
    call, encode = OptimizationStylizer.__call__, AdaIN.encode

    def spied(self, content, styles, **rest):
        found["content"].append(content)
        found["styles"] += styles
        return call(self, content, styles, **rest)

    monkeypatch.setattr(OptimizationStylizer, "__call__", spied)
    monkeypatch.setattr(
        AdaIN, "encode", lambda self, style: found["styles"].append(style[0]) or encode(self, style)
    )
    return found


# The setting


def test_a_mode_is_named_or_given_whole_or_changed_by_path():
    assert color_mode("luminance", 0.5) == Luminance(palette=0.5)
    assert color_mode({"name": "luminance", "space": "yiq"}, 0.25) == Luminance(space="yiq", palette=0.25)
    assert color_mode(MatchMonge(epsilon=1e-3), 1) == MatchMonge(epsilon=1e-3, palette=1.0)
    changes = {"color.space": "yiq", "color.name": "luminance", "optimizer.lr": 0.5}
    how = stylization(changes=changes)
    assert how.color == Luminance(space="yiq")
    assert how.method.optimizer.lr == 0.5
    assert stylization("instant", color="match-monge").color == MatchMonge()


def test_it_comes_through_the_job_as_json(two_steps):
    how = two_steps(color="luminance", palette=0.5)
    mapping = json.loads(json.dumps(to_mapping(how)))
    assert mapping["color"] == {"name": "luminance", "space": "lab", "palette": 0.5, "epsilon": 1e-5}
    assert build(Stylization, mapping) == how
    # What was saved before there were modes is what the default is.
    del mapping["color"]
    assert build(Stylization, mapping).color.name == "style"


def test_records_with_the_networks_former_setting():
    found = with_color_setting({"preset": "instant", "method": {"model": "a", "colors": "photo"}})
    assert found["method"] == {"model": "a"}
    assert found["color"]["name"] == "match-monge"
    assert with_color_setting({"method": {"colors": "style"}})["color"] == {"name": "style"}
    kept = {"method": {"model": "a"}, "color": {"name": "luminance"}}
    assert with_color_setting(kept) == kept


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"color": "luminence"}, "unknown colour mode 'luminence'; did you mean 'luminance'"),
        ({"color": "match-pca", "palette": 1.5}, "palette: input should be less than or equal to 1"),
        (
            {"color": "match-pca", "palette": -0.1},
            "palette: input should be greater than",
        ),
        ({"palette": 0.5}, "the colour mode 'style' has none; choose another mode, such as match-monge"),
        ({"color": "style", "palette": 0.5}, "^palette goes from the photo's colours to the painting's, and"),
        ({"color": {"name": "luminance", "space": "hsv"}}, "color.space: input should be 'lab' or 'yiq'"),
        ({"color": "histogram", "changes": {"color.epsilon": 1}}, "color: unknown setting 'epsilon'"),
        ({"color": "style", "changes": {"color.name": "histogram"}}, "colour mode is set twice"),
        ({"color": "match-pca", "palette": 1, "changes": {"color.palette": 0}}, "palette is set twice"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(ConfigError, match=message):
        stylization(**settings)


def test_a_reconstruction_has_no_photograph_beside_it():
    with pytest.raises(ConfigError, match="no photograph beside it to take colours from; leave 'luminance'"):
        reconstruction("content", "relu1_1", color="luminance")


# What is transferred, and what comes of it


@pytest.mark.parametrize("color", ["match-cholesky", "match-pca", "match-monge"])
def test_paintings_are_looked_at_in_the_photograph_s_mean_and_covariance(models, seen, two_steps, color):
    for how in (two_steps(color=color), stylization("instant", color=color)):
        stylize_pictures(PHOTO, [RED], how)
    assert [painting.shape for painting in seen["styles"]] == [(3, 64, 51)] * 2
    assert torch.equal(seen["content"][0], PHOTO.pixels)
    for painting in seen["styles"]:
        # But for the variance that keeps what does not vary from being blown up.
        assert_close(moments(painting), moments(PHOTO.pixels), rtol=0.02, atol=1e-4)


def test_without_a_mode_the_pictures_are_those_that_were_given(models, seen, two_steps):
    stylize_pictures(PHOTO, [RED], two_steps())
    stylize_pictures(PHOTO, [RED], stylization("instant"))
    assert torch.equal(seen["content"][0], PHOTO.pixels)
    assert torch.equal(seen["styles"][0], RED.pixels)


@pytest.mark.parametrize("preset", ["fast", "instant"])
def test_luminance_keeps_the_photograph_s_chroma(models, seen, two_steps, preset):
    def how(**settings):
        return two_steps(**settings) if preset == "fast" else stylization(preset, **settings)

    plain = stylize_pictures(PHOTO, [RED], how())
    assert chroma(plain) > 5
    for given in seen.values():
        given.clear()
    kept = stylize_pictures(PHOTO, [RED], how(color="luminance"))
    assert chroma(kept) < 0.1
    for given in (*seen["content"], *seen["styles"]):
        assert_close(given, given[:1].expand_as(given), rtol=0, atol=1e-5)
    light = srgb_to_lab(kept.picture.pixels[None])[:, 0]
    assert (light - srgb_to_lab(PHOTO.pixels[None])[:, 0]).abs().mean() > 0.3


@pytest.mark.parametrize("model", ["johnson", "cin"])
def test_luminance_is_for_networks_with_styles_of_their_own_too(models, model):
    changes = {"styles": ["waves"]} if model == "cin" else {}
    assert chroma(stylize_pictures(PHOTO, [], stylization(model=model, changes=changes))) > 1
    kept = stylize_pictures(PHOTO, [], stylization(model=model, changes=changes, color="luminance"))
    assert chroma(kept) < 0.1


@pytest.mark.parametrize("model", ["johnson", "cin"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"color": "match-monge"},
            "safetensors has learnt the colours of its styles, .* choose lum",
        ),
        ({"color": "histogram"}, r"leave out the colour mode 'histogram' \(keep-colors\)"),
        (
            {"color": "luminance", "palette": 0.5},
            "knows no painting to take a palette from; leave",
        ),
    ],
)
def test_modes_that_need_a_painting_are_refused_by_networks_without(models, model, settings, message):
    changes = {"styles": ["waves"]} if model == "cin" else {}
    with pytest.raises(ConfigError, match=message):
        stylize_pictures(PHOTO, [], stylization(model=model, changes=changes, **settings))


def test_the_palette_goes_from_the_photograph_s_to_the_painting_s(two_steps):
    found = [
        stylize_pictures(PHOTO, [RED], two_steps(color="luminance", palette=share)).picture.pixels
        for share in (0.0, 0.5, 1.0)
    ]
    red = [pixels[0].mean() - pixels[2].mean() for pixels in found]
    assert red == sorted(red)
    assert red[2] - red[0] > 0.2
    painting = picture(2, (1.0, 0.3, 0.1), size=(64, 50))
    how = two_steps(color="match-monge", palette=1.0)
    plain = stylize_pictures(PHOTO, [painting], two_steps()).picture.pixels
    assert_close(stylize_pictures(PHOTO, [painting], how).picture.pixels, plain, rtol=0, atol=1e-3)


@pytest.mark.parametrize("preset", ["fast", "instant"])
def test_luminance_is_composed_at_the_size_of_the_result(models, two_steps, preset):
    """Enlarged to the photograph's own size, it has the photograph's own chroma, detail for detail."""
    if preset == "fast":
        how = two_steps(color="luminance", upsample=True, working_size=32)
    else:
        how = stylization(preset, color="luminance", upsample=True, working_size=32)
    result = stylize_pictures(PHOTO, [RED], how)
    assert (result.picture.height, result.picture.width) == (48, 64)
    assert chroma(result) < 0.1


def test_masks_and_tiles_leave_the_chroma_alone(models, tmp_path):
    mask = torch.zeros(3, 48, 64)
    mask[..., :32] = 1
    Picture(mask).save(tmp_path / "mask.png")
    changes = {"masks": [str(tmp_path / "mask.png")]}
    result = stylize_pictures(PHOTO, [RED], stylization("instant", changes=changes, color="luminance"))
    assert chroma(result) < 0.1
    assert_close(result.picture.pixels[..., 40:], PHOTO.pixels[..., 40:], rtol=0, atol=1e-4)
    large = Picture(resize(PHOTO.pixels[None], (96, 480))[0].clamp(0, 1))
    whole, tiled = (
        stylize_pictures(large, [], stylization(model="johnson", changes=changes, color="luminance"))
        for changes in ({}, {"tile": 352})
    )
    assert chroma(tiled, large) < 0.1
    assert_close(tiled.picture.pixels, whole.picture.pixels, rtol=0, atol=1e-2)


def _left_half():
    mask = torch.zeros(3, 48, 64)
    mask[..., :32] = 1
    return PlacedPictures(regions=(Placed(name="left", mask=Picture(mask), blend=(1.0,)),))


@pytest.mark.parametrize("preset", ["fast", "instant"])
def test_what_has_no_style_stays_the_photograph_in_luminance_too(models, two_steps, preset):
    how = two_steps(color="luminance") if preset == "fast" else stylization(preset, color="luminance")
    found = stylize_pictures(PHOTO, [RED], how, placed=_left_half())
    assert chroma(found) < 0.1
    assert_close(found.picture.pixels[..., 44:], PHOTO.pixels[..., 44:], rtol=0, atol=1e-3)
    assert (found.picture.pixels - PHOTO.pixels)[..., :28].abs().mean() > 1e-3


def test_networks_with_styles_of_their_own_recolour_no_painting_in_a_region(models):
    how = stylization(model="johnson", color="match-monge")
    with pytest.raises(ConfigError, match="has learnt the colours of its styles"):
        stylize_pictures(PHOTO, [], how, placed=_left_half())


def test_paintings_are_recoloured_at_a_size_of_their_own(seen, two_steps):
    stylize_pictures(PHOTO, [RED], two_steps(color="match-pca", changed={"style_size": 96}))
    assert seen["styles"][0].shape == (3, 96, 77)
    assert_close(moments(seen["styles"][0]), moments(PHOTO.pixels), rtol=0.02, atol=1e-4)


def test_no_style_at_all_gives_the_photograph(two_steps):
    result = stylize_pictures(PHOTO, [RED], two_steps(color="luminance", strength=0))
    assert_close(result.picture.pixels, PHOTO.pixels, rtol=0, atol=2e-3)


def test_alpha_and_profile_stay(two_steps):
    alpha = torch.linspace(0, 1, 64).expand(1, 48, 64).contiguous()
    photo = Picture(PHOTO.pixels, alpha=alpha, icc=PHOTO.icc)
    found = stylize_pictures(photo, [RED], two_steps(color="luminance")).picture
    assert torch.equal(found.alpha, alpha)


def test_pictures_on_the_way_are_in_the_colours_of_the_result(two_steps):
    shown = []
    how = two_steps({"detail": 0.0}, color="luminance")  # What is limited in the end is not on the way.
    last = stylize_pictures(PHOTO, [RED], how, on_progress=lambda progress: shown.append(progress.picture()))
    assert len(shown) == 2
    assert all(chroma_distance(pixels[None], PHOTO.pixels[None]) < 0.1 for pixels in shown)
    assert_close(shown[-1], last.picture.pixels, rtol=0, atol=1e-4)


def test_a_picture_to_start_from_is_seen_as_the_photograph_is(two_steps):
    changes = {"initialization.name": "picture", "pyramid.steps": [0]}
    start = Picture(PHOTO.pixels.flip(2).contiguous())
    how = stylization(color="luminance", changes=changes, precision="float32")
    found = stylize_pictures(PHOTO, [RED], how, start=start).picture.pixels
    flipped = srgb_to_lab(start.pixels[None])[:, 0]
    reached = (srgb_to_lab(found[None])[:, 0] - flipped).abs() < 0.1
    assert reached.float().mean() > 0.3
    assert chroma_distance(found[None], PHOTO.pixels[None]) < 0.1


@pytest.mark.parametrize("color", ["luminance", "match-monge", "histogram"])
def test_a_grey_photograph_is_told_of(two_steps, color):
    grey = Picture(PHOTO.pixels[:1].expand(3, -1, -1).contiguous(), name="grey")
    result = stylize_pictures(grey, [RED], two_steps(color=color))
    assert result.notes == (f"the photograph is grey, and with the colours of {color!r} so is the result",)
    assert stylize_pictures(grey, [RED], two_steps()).notes == ()
    assert stylize_pictures(grey, [RED], two_steps(color=color, palette=0.5)).notes == ()
    spread = result.picture.pixels.amax(dim=0) - result.picture.pixels.amin(dim=0)
    assert spread.mean() < 0.05


def test_paintings_are_recoloured_at_the_size_that_they_are_looked_at():
    style = picture(3, (1.0, 0.8, 0.7), size=(100, 200))
    coloring = Coloring(
        MatchMonge(), PHOTO.pixels, [style.pixels], blend=[1.0], size=(48, 64), style_sizes=[(32, 64)]
    )
    assert coloring.styles[0].shape == (3, 32, 64)
    assert_close(moments(coloring.styles[0]), moments(PHOTO.pixels), rtol=0.02, atol=1e-4)


def test_files_in_and_a_file_out(job, photo, tmp_path):
    result = run_stylize(job(color="luminance"))
    found, own = read_picture(tmp_path / "out.png"), read_picture(photo)
    # 8 bits a channel.
    assert chroma_distance(found.pixels[None], own.pixels[None]) < 1
    assert result.record["stylization"]["color"]["name"] == "luminance"
