"""Whole jobs, small: files in, file out."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from velatura.core.errors import ConfigError
from velatura.imaging import Picture, read_picture
from velatura.jobs.schema import build
from velatura.jobs.stylize import StylizeJob, blend_weights, stylization, stylize_pictures
from velatura.presets import preset_names
from velatura.runners import run


def pixels(path):
    return read_picture(path).pixels


def text_chunk(path):
    with Image.open(path) as image:
        return json.loads(image.text["velatura"])


# What is written


def test_the_picture_has_the_photo_s_size_and_is_no_longer_the_photo(job, photo, tmp_path):
    result = run(job())
    written = read_picture(tmp_path / "out.png")
    assert (written.width, written.height) == (48, 36) == (result.picture.width, result.picture.height)
    assert not torch.equal(written.pixels, pixels(photo))
    assert torch.equal(written.pixels, (result.picture.pixels * 255).round() / 255)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png", "painting.png", "photo.png"]


def test_the_loss_falls_and_the_colors_come_nearer_to_the_painting_s(job, photo, painting):
    result = run(job(changes={"pyramid.steps": [15]}))
    losses = [entry["loss"] for entry in result.history]
    assert losses[-1] < losses[0] / 2
    of_photo, of_result, wanted = (
        image.mean((1, 2)) for image in (pixels(photo), result.picture.pixels, pixels(painting))
    )
    assert (of_result - wanted).norm() < (of_photo - wanted).norm()


@pytest.mark.parametrize(
    "around",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", dtype=torch.bfloat16)],
    ids=["no_grad", "inference_mode", "autocast"],
)
def test_what_the_caller_does_around_it_changes_nothing(job, around):
    alone = run(job()).picture.pixels
    with around():
        inside = run(job()).picture.pixels
    assert torch.equal(inside, alone)


def test_a_caller_who_computes_in_float64_gets_a_picture(job):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = run(job()).picture.pixels
    finally:
        torch.set_default_dtype(before)
    torch.testing.assert_close(found, run(job()).picture.pixels, rtol=0, atol=0.02)


def test_the_history_has_an_entry_for_every_step(job):
    history = run(job(changes={"pyramid.steps": [3]})).history
    assert [entry["step"] for entry in history] == [1, 2, 3]
    assert {tuple(entry["size"]) for entry in history} == {(36, 48)}
    for entry in history:
        assert entry["loss"] == pytest.approx(sum(entry["terms"].values()))


def test_the_same_seed_gives_the_same_pixels_and_another_does_not(job):
    noise = {"initialization.name": "uniform"}
    one, same, other = (run(job(changes=noise, seed=seed)).picture.pixels for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_seed_draws_random_weights_too(job):
    random = {"backbone.weights": "random"}
    one, same, other = (run(job(changes=random, seed=seed)).picture.pixels for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_strength_weighs_the_style(job, photo):
    first = {strength: run(job(strength=strength)).history[0]["terms"] for strength in (1.0, 3.0)}
    assert first[3.0]["style"] == pytest.approx(3 * first[1.0]["style"])
    assert first[3.0]["content"] == first[1.0]["content"]
    assert torch.allclose(run(job(strength=0)).picture.pixels, pixels(photo), atol=1e-6)


def test_a_run_computes_in_as_many_threads_as_it_is_told(job):
    before, seen = torch.get_num_threads(), []
    run(job(threads=before + 1), on_progress=lambda _: seen.append(torch.get_num_threads()))
    assert seen == [before + 1] * 2
    assert torch.get_num_threads() == before


def test_progress_is_told_step_by_step(job):
    told = []
    run(job(changes={"pyramid.steps": [3]}), on_progress=told.append)
    assert [(progress.step, progress.steps) for progress in told] == [(1, 3), (2, 3), (3, 3)]


# Size


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, (48, 36)),
        ({"working_size": 40}, (40, 30)),
        ({"working_size": 100}, (48, 36)),
        ({"size": 32}, (32, 24)),
        ({"size": 64}, (64, 48)),
        ({"size": 33}, (33, 25)),
        ({"working_size": 32, "upsample": True}, (48, 36)),
        ({"size": 64, "working_size": 32}, (64, 48)),
    ],
)
def test_the_longer_edge_is_what_was_asked_for_or_the_photo_s_own_up_to_a_limit(job, settings, size):
    picture = run(job(**settings)).picture
    assert (picture.width, picture.height) == size


def test_the_limit_is_the_preset_s(tmp_path):
    assert stylization("fast").working_size == 512


def test_an_enlarged_result_is_the_small_one_made_larger(job):
    small = run(job(working_size=32)).picture.pixels
    large = run(job(working_size=32, upsample=True)).picture.pixels
    reduced = torch.nn.functional.interpolate(large[None], (24, 32), mode="area")[0]
    assert (reduced - small).abs().mean() < 0.02


def test_a_size_and_enlarging_to_another_contradict_each_other():
    with pytest.raises(
        ConfigError, match="upsample enlarges to the photo's own size: it cannot go with a size"
    ):
        stylization(size=32, upsample=True)


@pytest.mark.parametrize("size", [0, -5])
def test_a_size_is_at_least_one(size):
    with pytest.raises(ConfigError, match=f"^size: input should be greater than or equal to 1, not {size}$"):
        stylization(size=size)


@pytest.mark.parametrize("shape", [(1, 1), (5000, 1), (1, 5000)])
def test_a_sliver_of_a_photo_is_one_line(job, tmp_path, shape):
    Image.new("RGB", shape, "red").save(tmp_path / "sliver.png")
    with pytest.raises(ConfigError, match="is too small: the deepest layer needs") as caught:
        run(job(content=tmp_path / "sliver.png"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("shape", [(5000, 1), (1, 5000)])
def test_a_sliver_of_a_painting_is_one_line(job, tmp_path, shape):
    Image.new("RGB", shape, "red").save(tmp_path / "sliver.png")
    with pytest.raises(ConfigError, match=r"style picture 1 is .* pixels") as caught:
        run(job(styles=[tmp_path / "sliver.png"]))
    assert "\n" not in str(caught.value)


# What goes with the pixels


def test_alpha_is_kept_at_the_result_s_size(job, tmp_path):
    rgba = np.zeros((36, 48, 4), np.uint8)
    rgba[:, 24:, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "cut.png")
    run(job(content=tmp_path / "cut.png", size=32))
    with Image.open(tmp_path / "out.png") as image:
        assert (image.mode, image.size) == ("RGBA", (32, 24))
        alpha = np.asarray(image)[..., 3]
    assert (alpha[:, :14] == 0).all()
    assert (alpha[:, 18:] == 255).all()


def test_who_took_the_photo_is_kept(job, photo, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada"
    with Image.open(photo) as image:
        image.save(tmp_path / "signed.jpg", exif=exif)
    run(job(content=tmp_path / "signed.jpg"))
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif()[ExifTags.Base.Artist] == "Ada"


def test_a_transparent_painting_is_taken_on_white(job, tmp_path):
    clear, white = tmp_path / "clear.png", tmp_path / "white.png"
    rgba = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    rgba[..., 3] = 255 * (np.arange(40) < 20)
    Image.fromarray(rgba).save(clear)
    solid = np.where(rgba[..., 3:] == 255, rgba[..., :3], 255).astype(np.uint8)
    Image.fromarray(solid).save(white)
    assert torch.equal(
        run(job(styles=[clear])).picture.pixels, run(job(styles=[white], output="b.png")).picture.pixels
    )


@pytest.mark.data
@pytest.mark.parametrize(("icc", "kept"), [("keep", True), ("srgb", False)])
def test_the_photo_s_profile_is_kept_when_asked_for(job, photo, tmp_path, data_dir, icc, kept):
    camera = data_dir / "awkward" / "pillow" / "xmp_test.jpg"
    run(job(content=camera, size=32, saving={"icc": icc}))
    with Image.open(tmp_path / "out.png") as image:
        assert (b"Adobe RGB (1998)" in image.info.get("icc_profile", b"")) == kept


def test_notes_name_the_picture_that_they_are_about(job, tmp_path):
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    notes = run(job(styles=[tmp_path / "moving.gif"])).notes
    assert len(notes) == 1
    assert notes[0].startswith("moving: ")
    assert "first" in notes[0]


# The record


def test_the_png_carries_a_job_that_gives_the_same_pixels(job, tmp_path):
    run(job(changes={"initialization.name": "uniform"}, seed=3, strength=2.0, output="first.png"))
    record = text_chunk(tmp_path / "first.png")
    assert record["stylization"]["seed"] == 3
    again = build(StylizeJob, {**record["job"], "output": str(tmp_path / "again.png")})
    assert again.stylization == build(StylizeJob, record["job"]).stylization
    run(again)
    assert torch.equal(pixels(tmp_path / "first.png"), pixels(tmp_path / "again.png"))


def test_the_record_holds_what_can_change_a_pixel(job, photo, tmp_path):
    record = run(job(saving={"record": str(tmp_path / "run.json")})).record
    written = json.loads((tmp_path / "run.json").read_text())
    assert written == text_chunk(tmp_path / "out.png")
    assert {key: written[key] for key in record} == json.loads(json.dumps(record))
    assert written["job"]["content"] == str(photo)
    assert written["versions"].keys() == {"velatura", "python", "torch", "numpy", "pillow"}
    assert written["versions"]["torch"] == torch.__version__
    assert written["machine"]["device"] == "cpu"
    assert written["weights"]["source"] == "vgg19-slim.safetensors"
    assert len(written["weights"]["sha256"]) == 64
    floats = pixels(photo).numpy().tobytes()
    assert written["pictures"]["content"] == hashlib.sha256(floats).hexdigest()
    assert written["pictures"]["start"] is None


# A picture to start from


def test_a_run_starts_from_a_given_picture(job, painting, photo, tmp_path):
    Picture.of(pixels(photo).flip(2).contiguous()).save(tmp_path / "start.png")
    start = {"initialization.name": "picture", "initialization.path": str(tmp_path / "start.png")}
    still = run(job(changes={**start, "pyramid.steps": [0]}))
    assert torch.equal(still.picture.pixels, pixels(tmp_path / "start.png"))
    assert still.record["pictures"]["start"] is not None


def test_a_picture_to_start_from_needs_the_initialisation_that_takes_it(photo, painting):
    content, style = read_picture(photo), read_picture(painting)
    with pytest.raises(ConfigError, match="the initialisation is 'recolored', not 'picture'"):
        stylize_pictures(content, [style], stylization(), start=content)
    with pytest.raises(ConfigError, match=r"^initialization: unknown setting 'path'"):
        stylization(changes={"initialization.path": str(photo)})


def test_two_pictures_to_start_from_are_one_too_many(photo, painting):
    content, style = read_picture(photo), read_picture(painting)
    how = stylization(changes={"initialization.name": "picture", "initialization.path": str(photo)})
    with pytest.raises(ConfigError, match=r"^two pictures to start from were given, one of them .*photo.png"):
        stylize_pictures(content, [style], how, start=content)


@pytest.mark.parametrize(
    ("seed", "changes", "is_told"),
    [
        (0, {}, False),
        (5, {}, True),
        (5, {"initialization": {"name": "content", "noise": 0.1}}, False),
        (5, {"initialization.name": "uniform"}, False),
        (5, {"backbone.weights": "random"}, False),
    ],
)
def test_a_seed_without_effect_is_told_of(job, seed, changes, is_told):
    notes = run(job(seed=seed, changes=changes)).notes
    told = "seed 5 changes nothing: the initialisation 'recolored' draws nothing at random"
    assert notes == ((told,) if is_told else ())


def test_the_initialisation_needs_its_picture(job):
    with pytest.raises(ConfigError, match="needs a picture; name its file in the setting 'path'"):
        run(job(changes={"initialization.name": "picture"}))


# Several paintings


@pytest.mark.parametrize(
    ("blend", "weights"),
    [(None, (0.5, 0.5)), ((3, 1), (0.75, 0.25)), ((0, 2), (0, 1)), ((1e-9, 1e-9), (0.5, 0.5))],
)
def test_weights_of_a_blend_sum_to_one(blend, weights):
    assert blend_weights(blend, 2) == pytest.approx(weights)


@pytest.mark.parametrize(
    ("blend", "complaint"),
    [
        ((1,), "^blend has 1 weight for 2 style pictures; give one for each$"),
        ((1, 2, 3), "^blend has 3 weights for 2 style pictures"),
        ((), "^blend has 0 weights"),
        ((0, 0), "^blend weights are all zero; at least one must be above 0$"),
    ],
)
def test_a_blend_that_does_not_fit_is_one_line(job, photo, painting, blend, complaint):
    with pytest.raises(ConfigError, match=complaint):
        run(job(styles=[painting, photo], blend=blend))


@pytest.mark.parametrize("blend", [(1, -1), (float("nan"), 1), (float("inf"), 1)])
def test_weights_of_a_blend_are_not_negative_and_finite(blend):
    with pytest.raises(ConfigError, match=r"^blend\.[01]: input should be"):
        stylization(blend=blend)


def test_all_the_weight_on_one_painting_is_that_painting_alone(job, photo, painting, tmp_path):
    both = run(job(styles=[painting, photo], blend=(2, 0)))
    alone = run(job(styles=[painting], output="alone.png"))
    assert torch.equal(both.picture.pixels, alone.picture.pixels)
    mixed = run(job(styles=[painting, photo], output="mixed.png"))
    assert not torch.equal(mixed.picture.pixels, alone.picture.pixels)


def test_no_style_at_all_makes_no_job(job):
    with pytest.raises(ConfigError, match=r"^the preset 'fast' needs a style picture"):
        job(styles=[])


def test_every_preset_runs_on_random_weights(job):
    for preset in preset_names("method"):
        changes = {"backbone.weights": "random", "pyramid.steps": [1]}
        result = run(job(preset=preset, changes=changes, size=64, output=f"{preset}.png"))
        assert (result.picture.width, result.picture.height) == (64, 48)
        assert len(result.history) == 1
