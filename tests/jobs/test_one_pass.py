"""Pictures through a trained network: sizes, styles, strength, tiles, and what a network cannot use."""

import json
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from velatura.core.config import to_mapping
from velatura.core.errors import Cancelled, ConfigError, WeightsError
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.one_pass import OnePass
from velatura.imaging import Picture, read_picture
from velatura.jobs.models import load_model
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build
from velatura.jobs.stylize import Stylization, StylizeJob, run_stylize, stylization, stylize_pictures


@pytest.fixture
def content():
    return Picture(torch.rand(3, 36, 48, generator=torch.Generator().manual_seed(1)), name="photo")


@pytest.fixture
def style():
    return Picture(torch.rand(3, 40, 30, generator=torch.Generator().manual_seed(2)), name="painting")


def test_the_result_is_the_network_s_picture(models, content):
    result = stylize_pictures(content, [], stylization(model="johnson", device="cpu"))
    network = load_model("johnson").network
    with torch.no_grad():
        expected = network(content.pixels[None])[0].clamp(0, 1)
    assert_close(result.picture.pixels, expected, rtol=0, atol=1e-5)
    assert (result.history, result.interrupted, result.notes) == ([], False, ())


def test_the_record_says_which_network(models, content, style):
    result = stylize_pictures(content, [style], stylization("instant", device="cpu"))
    record = json.loads(json.dumps(result.record))
    model = load_model("adain-slim")
    assert record["weights"] == {
        "source": "adain-slim.safetensors",
        "sha256": model.sha256,
        "encoder_sha256": model.record.encoder_sha256,
    }
    assert record["stylization"]["preset"] == "instant"
    assert record["stylization"]["method"]["model"] == "adain-slim"
    assert record["machine"]["precision"] == "float32"


def test_a_job_can_be_built_again_from_its_record(models):
    how = stylization(model="cin", changes={"styles": ["mosaic"], "tile": 192}, strength=0.5)
    job = StylizeJob(content="a.png", output="b.png", stylization=how)
    again = build(StylizeJob, json.loads(json.dumps(to_mapping(job))))
    assert again == job
    assert isinstance(again.stylization.method, OnePass)
    optimized = stylization()
    assert build(Stylization, json.loads(json.dumps(to_mapping(optimized)))) == optimized


def test_sizes(models, content):
    def size(**options):
        picture = stylize_pictures(content, [], stylization(model="johnson", **options)).picture
        return picture.width, picture.height

    assert size() == (48, 36)
    assert size(size=80) == (80, 60)
    assert size(working_size=24) == (24, 18)
    assert size(working_size=24, upsample=True) == (48, 36)


def test_strength_is_alpha_and_the_two_are_multiplied(models, content, style):
    def pixels(**options):
        how = stylization("instant", **options)
        return stylize_pictures(content, [style], how).picture.pixels

    assert_close(pixels(strength=0.5), pixels(changes={"alpha": 0.5}), rtol=0, atol=0)
    assert_close(
        pixels(strength=0.5, changes={"alpha": 0.5}), pixels(changes={"alpha": 0.25}), rtol=0, atol=0
    )
    assert (pixels(strength=0) - pixels()).abs().max() > 0.01
    assert pixels().std() > 0.01


def test_several_paintings_are_blended_as_the_network_knows_them(models, content, style):
    other = Picture(style.pixels.square(), name="other")
    model = load_model("adain-slim")

    def pixels(*weights):
        how = stylization("instant", blend=weights)
        return stylize_pictures(content, [style, other], how).picture.pixels

    alone = stylize_pictures(content, [style], stylization("instant")).picture.pixels
    assert_close(pixels(1, 0), alone, rtol=0, atol=1e-6)
    known = [model.network.encode(_at_48(one)) for one in (style, other)]
    mixed = {key: 0.7 * known[0][key] + 0.3 * known[1][key] for key in known[0]}
    with torch.no_grad():
        expected = model.network(content.pixels[None], mixed)[0].clamp(0, 1)
    assert_close(pixels(0.7, 0.3), expected, rtol=0, atol=1e-5)
    assert (expected - alone).abs().max() > 0.01


def _at_48(picture):
    from velatura.ops.resize import resize

    return resize(picture.pixels[None], (48, 36)).clamp(0, 1)


def test_own_styles_by_name_and_by_weight(models, content):
    network = load_model("cin").network

    def pixels(styles=(), blend=None):
        how = stylization(model="cin", changes={"styles": list(styles)}, blend=blend)
        return stylize_pictures(content, [], how).picture.pixels

    def expected(*weights):
        with torch.no_grad():
            return network(content.pixels[None], network.choose(weights))[0].clamp(0, 1)

    assert_close(pixels(["mosaic"]), expected(0, 1, 0), rtol=0, atol=1e-5)
    assert_close(pixels(["hatching", "waves"]), expected(0.5, 0, 0.5), rtol=0, atol=1e-5)
    assert_close(pixels(["hatching", "waves"], (3, 1)), expected(0.25, 0, 0.75), rtol=0, atol=1e-5)
    assert_close(pixels(blend=(0.2, 0.3, 0.5)), expected(0.2, 0.3, 0.5), rtol=0, atol=1e-5)


def test_a_blend_that_does_not_sum_to_one_is_scaled_and_that_is_said(models, content):
    result = stylize_pictures(content, [], stylization(model="cin", blend=(1, 2, 1)))
    assert result.notes == ("the blend sums to 4, not to 1; it was taken as 0.25, 0.5, 0.25",)
    third = stylize_pictures(content, [], stylization(model="cin", blend=(0.333, 0.333, 0.333)))
    assert third.notes == ()


@pytest.mark.parametrize(
    ("model", "options", "pictures", "message"),
    [
        ("johnson", {"blend": (1.0,)}, 0, "johnson.safetensors has one style; there is nothing to blend"),
        ("johnson", {}, 1, r"has styles of its own \(waves\) and takes no style picture"),
        ("johnson", {"changes": {"styles": ["wave"]}}, 0, "did you mean 'waves'"),
        ("cin", {}, 0, "has 3 styles, waves, mosaic, hatching; choose one, or give blend a weight for each"),
        ("cin", {"blend": (0.5, 0.5)}, 0, "blend has 2 weights for 3"),
        ("cin", {"blend": (0, 0, 0)}, 0, "blend weights are all zero"),
        ("cin", {"changes": {"styles": ["sea"]}}, 0, "unknown style of cin.safetensors 'sea'"),
        ("adain-slim", {}, 0, "adain-slim.safetensors needs a style picture"),
        ("adain-slim", {"changes": {"styles": ["waves"]}}, 1, "has none of its own; leave styles out"),
        ("adain-slim", {"blend": (0.5, 0.5)}, 1, "blend has 2 weights for 1 style picture;"),
    ],
)
def test_styles_that_do_not_fit_the_network(models, content, style, model, options, pictures, message):
    with pytest.raises(ConfigError, match=message):
        stylize_pictures(content, [style] * pictures, stylization(model=model, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.5}, "a strength of 1.5 is more than a trained network has; expected 0 to 1"),
        ({"blend": (0.5, -0.5)}, r"blend\.1: input should be greater than or equal to 0, not -0\.5"),
        ({"changes": {"alpha": 1.5}}, "alpha: input should be less than or equal to 1"),
        ({"changes": {"overlap": 64}}, "overlap has no effect where tile is unset"),
        ({"changes": {"optimizer.lr": 0.1}}, r"optimizer\.lr is a setting of an optimisation, and 'instant'"),
        ({"changes": {"alhpa": 0.1}}, "unknown setting 'alhpa'; did you mean 'alpha'"),
        ({"preset": "fast"}, "the preset 'fast' optimises the picture and has no use for a model"),
        ({"preset": "johnson2016"}, "preset 'johnson2016' trains a network"),
    ],
)
def test_settings_that_a_network_cannot_use(models, options, message):
    with pytest.raises(ConfigError, match=message):
        stylization(model="cin", **options)


@pytest.mark.parametrize(
    "saving",
    [{"history": "h.json"}, {"plot": "p.png"}, {"checkpoint": "c"}, {"resume": "c"}, {"save_every": 2}],
)
def test_what_is_of_the_steps_of_an_optimisation_is_refused(models, saving):
    (name,) = saving
    with pytest.raises(ConfigError, match=f"^{name} is of the steps of an optimisation"):
        StylizeJob(
            content="a.png",
            output="b.png",
            stylization=stylization(model="johnson"),
            saving=Saving(**saving),
        )


def test_a_start_and_checkpoints_are_refused(models, content, tmp_path):
    how = stylization(model="johnson")
    with pytest.raises(ConfigError, match="are of an optimisation"):
        stylize_pictures(content, [], how, start=content)
    with pytest.raises(ConfigError, match="are of an optimisation"):
        stylize_pictures(content, [], how, checkpoints=Checkpoints(save_to=tmp_path / "c"))


def test_an_optimisation_needs_a_painting(content):
    with pytest.raises(ConfigError, match=r"^the preset 'fast' needs a style picture"):
        stylize_pictures(content, [], stylization())


def test_a_seed_that_changes_nothing_is_said_and_one_of_noise_counts(models, content, tmp_path):
    from velatura.core.rng import generator
    from velatura.networks import ModelRecord, networks, write_model

    result = stylize_pictures(content, [], stylization(model="johnson", seed=4))
    assert result.notes == ("seed 4 changes nothing: the network draws nothing at random",)
    config = networks["texture-net"](task="stylization", scales=2, padding="reflect")
    network = config.build(num_styles=1, rng=generator(0, "test"))
    write_model(models / "noisy.safetensors", network, ModelRecord(config=to_mapping(config)))

    def pixels(seed):
        found = stylize_pictures(content, [], stylization(model="noisy", seed=seed))
        assert found.notes == ()
        return found.picture.pixels

    assert torch.equal(pixels(4), pixels(4))
    assert not torch.equal(pixels(4), pixels(5))


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (3, 2)])
def test_a_style_of_hardly_a_pixel_and_a_photograph_of_hardly_one(models, content, style, size):
    tiny = Picture(torch.full((3, *size), 0.5), name="tiny")
    assert stylize_pictures(content, [tiny], stylization("instant")).picture.width == 48
    picture = stylize_pictures(tiny, [style], stylization("instant")).picture
    assert (picture.height, picture.width) == size
    assert torch.isfinite(picture.pixels).all()


def test_tiles_by_force_are_told_and_close_to_the_whole(models):
    content = Picture(torch.rand(3, 40, 250, generator=torch.Generator().manual_seed(1)), name="wide")
    how = stylization(model="johnson", changes={"tile": 224})
    steps = []
    tiled = stylize_pictures(content, [], how, on_progress=lambda p: steps.append((p.step, p.steps)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    # Johnson's norms remember: nothing is of the picture.
    whole = stylize_pictures(content, [], stylization(model="johnson"))
    assert_close(tiled.picture.pixels, whole.picture.pixels, rtol=0, atol=1e-5)


def test_tiles_come_by_themselves_where_memory_ends(models, monkeypatch):
    content = Picture(torch.rand(3, 40, 600, generator=torch.Generator().manual_seed(1)), name="wide")
    how = stylization(model="johnson")
    whole = stylize_pictures(content, [], how)
    monkeypatch.setattr("velatura.engine.one_pass._ALWAYS_WHOLE", 0)
    monkeypatch.setattr("velatura.engine.tiles.available_memory", lambda: 2**20)
    steps = []
    tiled = stylize_pictures(content, [], how, on_progress=lambda p: steps.append(p.step))
    assert steps == [1, 2, 3]
    assert_close(tiled.picture.pixels, whole.picture.pixels, rtol=0, atol=1e-5)


def test_cancelled(models, content):
    with pytest.raises(Cancelled, match="interrupted before the network ran"):
        stylize_pictures(content, [], stylization(model="johnson"), cancelled=lambda: True)


def test_alpha_channel_and_profile_stay(models, content):
    mask = torch.rand(1, 36, 48)
    result = stylize_pictures(replace(content, alpha=mask), [], stylization(model="johnson"))
    assert torch.equal(result.picture.alpha, mask)


def test_from_file_to_file_and_never_over_the_model(models, photo, tmp_path):
    how = stylization(model=str(models / "johnson.safetensors"))
    job = StylizeJob(content=str(photo), output=str(tmp_path / "out.png"), stylization=how)
    result = run_stylize(job)
    assert read_picture(job.output).width == result.picture.width
    with pytest.raises(ConfigError, match="is read by this job and will not be overwritten"):
        run_stylize(replace(job, saving=Saving(record=str(models / "johnson.safetensors"))))


def test_bfloat16_by_name_is_near(models, content):
    exact = stylize_pictures(content, [], stylization(model="johnson", device="cpu")).picture.pixels
    rough = stylize_pictures(content, [], stylization(model="johnson", precision="bfloat16", device="cpu"))
    assert rough.record["machine"]["precision"] == "bfloat16"
    assert_close(rough.picture.pixels, exact, rtol=0, atol=0.05)


def test_an_unknown_model_is_answered_before_anything_is_read():
    with pytest.raises(ConfigError, match="unknown model 'nobody'"):
        stylization(model="nobody")
    with pytest.raises(WeightsError, match="holds no model"):
        stylization(model="./")
