import itertools

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import Cancelled, ConfigError
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.method import Optimization
from velatura.imaging import Picture, read_picture
from velatura.jobs.saving import Saving
from velatura.jobs.texture import TextureJob, texture_pictures, texturing
from velatura.runners import run

FEW = {"pyramid.steps": [6, 6], "pyramid.smallest": 32}


def how(size=(64, 48), changes=None, **settings):
    return texturing(
        changes={**FEW, **(changes or {})},
        size=size,
        **{"precision": "float32", "device": "cpu", "threads": 1, **settings},
    )


@pytest.fixture
def style(painting):
    return read_picture(painting)


def border_step(pixels, axis):
    """Mean step from the last line to the first, over the mean step between neighbours elsewhere."""
    length = pixels.shape[axis]
    inner = (pixels.narrow(axis, 1, length - 1) - pixels.narrow(axis, 0, length - 1)).abs().mean()
    return float((pixels.select(axis, 0) - pixels.select(axis, -1)).abs().mean() / inner)


@pytest.mark.parametrize("size", [(64, 48), (40, 72), (33, 57)])
def test_its_size_has_nothing_to_do_with_the_paintings(style, size):
    result = texture_pictures([style], how(size))
    assert (result.picture.width, result.picture.height) == size
    assert result.notes == ()


def test_its_statistics_come_nearer_to_the_paintings(style):
    history = texture_pictures([style], how()).history
    last = [entry["loss"] for entry in history if entry["scale"] == history[-1]["scale"]]
    assert last[-1] < 0.7 * last[0]
    assert set(history[-1]["terms"]) == {"style"}


@pytest.mark.parametrize(("tileable", "axes"), [("both", (1, 2)), ("x", (2,)), ("y", (1,))])
def test_what_is_tileable_has_no_seam(style, tileable, axes):
    # A texture of long lines: where nothing goes round, they break at the border.
    changes = {"pyramid.steps": [25, 15]}
    repeated = texture_pictures([style], how((64, 64), changes, tileable=tileable)).picture.pixels
    plain = texture_pictures([style], how((64, 64), changes)).picture.pixels
    for axis in axes:
        assert border_step(repeated, axis) < 1.3
        assert border_step(repeated, axis) < 0.7 * border_step(plain, axis)


def test_a_tileable_size_is_rounded_up_and_that_is_said(style):
    result = texture_pictures([style], how((50, 40), tileable="x"))
    assert (result.picture.width, result.picture.height) == (64, 40)
    (note,) = result.notes
    assert note.startswith(
        "50x40 pixels were made 64x40: a picture that repeats without a seam is a multiple"
    )


def test_every_scale_of_a_tileable_texture_is_a_multiple_of_the_stride(style):
    result = texture_pictures([style], how((96, 64), {"pyramid.ratio": 1.3}, tileable="both"))
    sizes = {tuple(entry["size"]) for entry in result.history}
    assert len(sizes) > 1
    assert all(length % 16 == 0 for size in sizes for length in size)


def test_the_seed_decides(style):
    one, same, other = (texture_pictures([style], how(seed=seed)).picture.pixels for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert (one - other).abs().mean() > 0.02


@pytest.mark.parametrize("start", ["patches", "uniform", "gaussian", "style_statistics", "grey"])
def test_it_starts_from_whatever_is_no_photograph(style, start):
    result = texture_pictures([style], how(changes={"initialization.name": start, "pyramid.steps": [2, 1]}))
    assert [entry["scale"] for entry in result.history] == [1, 1, 2, 3]


@pytest.mark.parametrize("start", ["content", "recolored"])
def test_it_does_not_start_from_a_photograph(start):
    with pytest.raises(
        ConfigError, match=f"initialisation '{start}' is of a photograph, and a texture has none"
    ):
        how(changes={"initialization.name": start})


def test_it_starts_from_a_picture(style):
    start = Picture(torch.full((3, 48, 64), 0.25))
    changes = {"initialization.name": "picture", "pyramid.steps": [0]}
    found = texture_pictures([style], how(changes=changes), start=start).picture.pixels
    assert_close(found, start.pixels, atol=1e-3, rtol=0)
    with pytest.raises(ConfigError, match="the initialisation is 'uniform', not 'picture'"):
        texture_pictures([style], how(), start=start)


def test_a_term_of_the_content_is_refused():
    term = {"of": "content", "loss": {"name": "content"}, "layers": {"relu3_1": 1}}
    with pytest.raises(
        ConfigError, match="term 'content' is of the content, and a texture has no photograph"
    ):
        how(changes={"terms.content": term})


def test_a_preset_of_another_kind_says_what_it_is_for():
    with pytest.raises(ConfigError, match="'fast' optimises a picture: use it with 'velatura stylize"):
        texturing("fast")


def test_marks_grow_with_the_scale(style):
    # The painting has stripes of five pixels: correlate the texture with itself a few pixels on.
    def fineness(scale):
        pixels = texture_pictures(
            [style], how((64, 64), {"pyramid.steps": [25, 15]}, scale=scale)
        ).picture.pixels
        return float((pixels[..., 1:] - pixels[..., :-1]).abs().mean())

    assert fineness(2.0) < 0.8 * fineness(1.0)


def test_a_size_of_the_painting_is_said_by_its_scale():
    with pytest.raises(ConfigError, match="in its own size times scale; leave style_size out"):
        how(changes={"style_size": 40})


def test_a_slim_texture_looks_at_its_painting_in_the_paintings_own_size():
    seen = []
    painting = Picture(torch.rand((3, 60, 80), generator=torch.Generator().manual_seed(1)))
    looked_at = Optimization.looked_at
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Optimization, "looked_at", lambda *of: seen.append(looked_at(*of)) or seen[-1])
        texture_pictures([painting], how((400, 20), changes={"pyramid.smallest": 0, "pyramid.steps": [1]}))
    assert set(seen) == {(60, 80)}


def test_two_paintings_are_blended(style):
    red = Picture(torch.tensor([0.9, 0.1, 0.1])[:, None, None].expand(3, 40, 40).clone())
    mostly = texture_pictures([red, style], how(blend=(0.9, 0.1))).picture.pixels.mean(dim=(1, 2))
    hardly = texture_pictures([red, style], how(blend=(0.1, 0.9))).picture.pixels.mean(dim=(1, 2))
    assert mostly[0] - mostly[1] > hardly[0] - hardly[1] + 0.2


def test_a_resumed_texture_has_the_pixels_of_an_unbroken_one(style, tmp_path):
    whole = texture_pictures([style], how())
    asked = itertools.count()
    first = texture_pictures(
        [style], how(), checkpoints=Checkpoints(save_to=tmp_path / "run"), cancelled=lambda: next(asked) > 8
    )
    assert first.interrupted
    rest = texture_pictures([style], how(), checkpoints=Checkpoints(resume_from=tmp_path / "run"))
    assert torch.equal(rest.picture.pixels, whole.picture.pixels)
    in_tiles = how(changes={"tile": 400})
    rest = texture_pictures([style], in_tiles, checkpoints=Checkpoints(resume_from=tmp_path / "run"))
    assert_close(rest.picture.pixels, whole.picture.pixels, rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match="scale"):
        texture_pictures([style], how(scale=0.5), checkpoints=Checkpoints(resume_from=tmp_path / "run"))


def test_cancelled_before_the_first_step(style):
    with pytest.raises(Cancelled, match="before the first step"):
        texture_pictures([style], how(), cancelled=lambda: True)


def test_no_painting_is_refused():
    with pytest.raises(ConfigError, match="a texture needs a painting"):
        texture_pictures([], how())
    with pytest.raises(ConfigError, match="a texture needs a painting"):
        TextureJob(styles=(), output="out.png", texturing=how())


def test_a_texture_too_large_is_refused(style):
    with pytest.raises(ConfigError, match="more than the limit of"):
        texture_pictures([style], how((100_000, 100_000)))


def test_a_texture_too_small_is_refused(style):
    with pytest.raises(ConfigError, match="a canvas of 8x8 pixels is too small"):
        texture_pictures([style], how((8, 8)))


def test_tiles_cannot_go_round(style):
    with pytest.raises(ConfigError, match="goes round its edges cannot be computed in tiles"):
        texture_pictures([style], how((512, 512), {"tile": 400}, tileable="both"))


def test_tileable_is_a_setting_of_the_backbone():
    assert how(tileable="y").method.backbone.wrap == "y"
    assert how(changes={"backbone.wrap": "x"}).method.backbone.wrap == "x"
    with pytest.raises(ConfigError, match=r"tileable is 'y' and backbone\.wrap 'x'; leave one out"):
        how(changes={"backbone.wrap": "x"}, tileable="y")


def test_a_network_that_cannot_go_round_says_so(style):
    changes = {
        "backbone.name": "squeezenet1_1",
        "backbone.weights": "random",
        "terms.style.layers": {"fire2": 1},
    }
    with pytest.raises(ConfigError, match="SqueezeNet cannot go round the edges"):
        texture_pictures([style], how(changes=changes, tileable="both"))


def test_smoothing_takes_fine_marks_and_keeps_the_repetition(style):
    plain, smooth = (
        texture_pictures([style], how((64, 64), tileable="both", smooth=smooth)).picture.pixels
        for smooth in (False, True)
    )
    fine = [float((pixels[..., 1:] - pixels[..., :-1]).abs().mean()) for pixels in (plain, smooth)]
    assert fine[1] < 0.95 * fine[0]
    assert border_step(smooth, 2) < 1.3


def test_a_job_writes_what_it_was_asked_for(painting, tmp_path):
    saving = Saving(history=str(tmp_path / "h.csv"), save_every=6, record=str(tmp_path / "r.json"))
    job = TextureJob(styles=(str(painting),), output=str(tmp_path / "t.png"), texturing=how(), saving=saving)
    result = run(job)
    assert_close(read_picture(tmp_path / "t.png").pixels, result.picture.pixels, atol=1 / 255, rtol=0)
    assert (tmp_path / "t-00006.png").exists()
    assert "texturing" in (tmp_path / "r.json").read_text()
    with pytest.raises(ConfigError, match="is read by this job and will not be overwritten"):
        run(TextureJob(styles=(str(painting),), output=str(painting), texturing=how()))
