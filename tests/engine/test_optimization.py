"""A whole stylization: reproducible, observable, and interrupted at any moment."""

import contextlib
import itertools
import json
import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError
from velatura.engine import optimization
from velatura.engine.descent import Iterates
from velatura.engine.objective import Objective, Term
from velatura.engine.pyramid import Pyramid
from velatura.losses.diversity import Diversity
from velatura.losses.gram import Gram
from velatura.losses.wasserstein import Wasserstein
from velatura.ops.filters import energy_above
from velatura.ops.resize import resize
from velatura.optimizers.adam import Adam
from velatura.optimizers.lbfgs import LBFGS

STEPS = 7


def _distance(one, other):
    return float((one - other).abs().mean())


def test_the_picture_has_the_size_and_range_asked_for(small):
    outcome = small.paint(small.stylizer())
    assert outcome.pixels.shape == (3, *small.SIZE)
    assert outcome.pixels.is_contiguous()
    assert 0 <= outcome.pixels.min() < outcome.pixels.max() <= 1
    assert not outcome.interrupted


@pytest.mark.parametrize("size", [(17, 16), (23, 35), (40, 21)])
def test_odd_sizes(small, size):
    content, style = torch.rand(3, 41, 59), torch.rand(3, 33, 17)
    outcome = small.stylizer()(content, [style], blend=[1.0], size=size)
    assert outcome.pixels.shape == (3, *size)
    assert outcome.pixels.isfinite().all()


def test_the_loss_falls_at_each_scale(small):
    outcome = small.paint(small.stylizer(pyramid=Pyramid(smallest=16, ratio=2, steps=(20,))))
    for _, entries in itertools.groupby(outcome.history, key=lambda entry: entry["scale"]):
        losses = [entry["loss"] for entry in entries]
        assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("initialization", ["uniform", "gaussian", "style_statistics"])
def test_the_seed_decides_the_pixels(small, initialization):
    one, same, other = (
        small.paint(small.stylizer(initialization=initialization, seed=seed)).pixels for seed in (1, 1, 2)
    )
    assert_close(one, same, rtol=0, atol=0)
    assert _distance(one, other) > 0.01


def test_every_step_is_reported(small):
    reports, seen = [], []
    outcome = small.paint(
        small.stylizer(),
        on_progress=lambda progress: (reports.append(progress), seen.append(progress.picture())),
    )
    assert [report.step for report in reports] == list(range(1, STEPS + 1))
    assert {report.steps for report in reports} == {STEPS}
    assert [report.scale for report in reports] == [1, 1, 1, 2, 2, 2, 2]
    assert {report.scales for report in reports} == {2}
    assert [report.size for report in reports] == 3 * [(12, 16)] + 4 * [(24, 32)]
    assert {report.message for report in reports} == {""}
    for report, entry in zip(reports, outcome.history, strict=True):
        assert set(report.terms) == {"content", "style", "smoothness"}
        assert report.loss == sum(report.terms.values()) == entry["loss"]
        assert (report.scale, list(report.size), dict(report.terms)) == (
            entry["scale"],
            entry["size"],
            entry["terms"],
        )
    assert [entry["step"] for entry in outcome.history] == [1, 2, 3, 1, 2, 3, 4]
    assert [picture.shape for picture in seen] == 3 * [(3, 12, 16)] + 4 * [(3, 24, 32)]
    assert_close(seen[-1], outcome.pixels, rtol=0, atol=0)


def test_the_history_can_be_written_as_json(small):
    history = small.paint(small.stylizer()).history
    assert json.loads(json.dumps(history)) == history


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_cancelled_between_any_two_steps(small, steps):
    whole, reports = [], []
    small.paint(small.stylizer(), on_progress=lambda progress: whole.append(progress.picture()))
    outcome = small.paint(
        small.stylizer(), on_progress=reports.append, cancelled=lambda: len(reports) >= steps
    )
    assert len(reports) == steps
    assert outcome.interrupted == (steps < STEPS)
    assert outcome.pixels.shape == (3, *small.SIZE)
    if steps:
        # What was reached at that step, enlarged if the last scale was not.
        assert_close(outcome.pixels, resize(whole[steps - 1][None], small.SIZE)[0].clamp(0, 1))


def testcancelled_after_a_step_far_off_gives_the_best(small, cancelled_after):
    """A step of 30 times the range; the last of a whole run is as far off."""
    iterates, pyramid = Iterates(result="last", clamp="end"), Pyramid(smallest=0, steps=(2,))
    by = small.stylizer(iterates=iterates, pyramid=pyramid)
    by.method = replace(by.method, optimizer=Adam(lr=30))
    start, far = (small.paint(by, **cancelled_after(steps)) for steps in (0, 1))
    assert start.interrupted
    assert far.interrupted
    assert torch.equal(start.pixels, far.pixels)
    whole = small.paint(by)
    assert not whole.interrupted
    assert _distance(whole.pixels, start.pixels) > 0.2


def test_cancelled_before_the_first_step_gives_the_start(small):
    outcome = small.paint(small.stylizer(), cancelled=lambda: True)
    assert outcome.interrupted
    start = resize(small.pictures()[0][None], (12, 16)).clamp(0, 1)
    assert_close(outcome.pixels, resize(start, small.SIZE)[0].clamp(0, 1))


def test_no_steps_at_all_give_the_start(small):
    outcome = small.paint(small.stylizer(pyramid=Pyramid(smallest=0, steps=(0,))))
    assert not outcome.interrupted
    assert_close(outcome.pixels, resize(small.pictures()[0][None], small.SIZE)[0].clamp(0, 1))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_without_style_the_photograph_stays(small, optimizer):
    photo = resize(small.pictures()[0][None], small.SIZE)[0].clamp(0, 1)
    outcome = small.paint(small.stylizer(optimizer, strength=0))
    assert [entry["size"] for entry in outcome.history] == 4 * [[24, 32]]
    assert_close(outcome.pixels, photo, rtol=0, atol=1e-4)
    assert _distance(small.paint(small.stylizer(optimizer)).pixels, photo) > 0.01


def test_targets_are_taken_in_the_precision_of_the_steps(small):
    """Rounded features would never meet targets that are not."""
    history = small.paint(small.stylizer(strength=0, dtype=torch.bfloat16)).history
    assert [entry["loss"] for entry in history] == 4 * [0.0]


def test_strength_weighs_everything_but_the_content(small):
    def first_terms(strength):
        return small.paint(small.stylizer(initialization="grey", strength=strength)).history[0]["terms"]

    one, three = first_terms(1.0), first_terms(3.0)
    assert three["content"] == pytest.approx(one["content"])
    assert three["style"] == pytest.approx(3 * one["style"])


def test_strength_of_nothing_on_style_alone_is_refused(small):
    with pytest.raises(ConfigError, match=r"no term of the objective has a weight .* with a strength of 0"):
        small.stylizer(strength=0, terms={"style": small.TERMS["style"]})


def test_more_style_is_nearer_to_the_painting(small):
    def style_loss(strength):
        pyramid = Pyramid(smallest=16, ratio=2, steps=(15,))
        history = small.paint(small.stylizer(strength=strength, pyramid=pyramid)).history
        return history[-1]["terms"]["style"] / strength

    assert style_loss(4.0) < style_loss(1.0) < style_loss(0.1)


def test_larger_strokes_come_of_a_larger_painting(small):
    """At twice the size, the painting's statistics are taken from 64 pixels and not from 32."""
    sizes = []
    stylizer = small.stylizer(style_scale=2.0)
    aim = stylizer.objective.aim

    def note(content, styles, blend):
        sizes.append((tuple(content.shape[2:]), tuple(styles[0].shape[2:])))
        aim(content, styles, blend)

    stylizer.objective.aim = note
    small.paint(stylizer)
    assert sizes == [((12, 16), (32, 26)), ((24, 32), (64, 52))]


def test_detail_is_limited_at_the_end(small):
    """By the painting's, which is flat; a run without strength keeps the photograph."""
    content, _ = small.pictures()
    flat = torch.full_like(content, 0.5)
    free, held = (
        small.stylizer(detail=detail)(content, [flat], blend=[1.0], size=(24, 32)).pixels
        for detail in (0.0, 1.0)
    )
    energies = [energy_above(picture[None], 0.25).sum().item() for picture in (free, held)]
    assert energies[1] < 0.2 * energies[0]
    still = small.stylizer(detail=1.0, strength=0)(content, [flat], blend=[1.0], size=(24, 32))
    assert torch.equal(
        still.pixels, small.stylizer(strength=0)(content, [flat], blend=[1.0], size=(24, 32)).pixels
    )


def test_the_blend_goes_from_one_painting_to_the_other(small):
    content, painting = small.pictures()
    paintings = [painting, torch.rand(3, 20, 20) ** 0.5]

    def painted(blend):
        return small.stylizer()(content, paintings, blend=blend, size=small.SIZE).pixels

    alone = small.stylizer()(content, paintings[:1], blend=[1.0], size=small.SIZE).pixels
    assert_close(painted([1.0, 0.0]), alone)
    to_other = [_distance(painted([1 - share, share]), painted([0.0, 1.0])) for share in (0, 0.5, 1)]
    assert to_other[0] > to_other[1] > to_other[2] == 0


def test_a_scale_ends_early_when_it_has_settled(small):
    iterates = Iterates(stop_below=1e6, stop_window=2)
    reports = []
    outcome = small.paint(small.stylizer(iterates=iterates), on_progress=reports.append)
    assert [entry["step"] for entry in outcome.history] == [1, 2, 3, 1, 2, 3]
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert not outcome.interrupted
    pyramid = Pyramid(smallest=16, ratio=2, steps=(6, 4))
    outcome = small.paint(small.stylizer(iterates=iterates, pyramid=pyramid), on_progress=reports.append)
    assert [report.step for report in reports[6:]] == [1, 2, 3, 7, 8, 9]


def test_a_loss_that_is_not_finite_is_taken_back_and_said(small, monkeypatch):
    plain, count = Objective.__call__, itertools.count(1)

    def broken(objective, canvas):
        terms = plain(objective, canvas)
        return {**terms, "style": terms["style"] * math.nan} if next(count) == 6 else terms

    monkeypatch.setattr(Objective, "__call__", broken)
    reports = []
    outcome = small.paint(small.stylizer(), on_progress=reports.append)
    message = "a step led too far: went back to the best picture, with half the step"
    assert [report.message for report in reports] == ["", "", "", "", "", message, ""]
    assert math.isnan(reports[5].loss)
    assert outcome.pixels.isfinite().all()


@pytest.mark.parametrize("optimizer", [LBFGS(lr=1e6), Adam(lr=1e20)], ids=lambda o: o.name)
def test_a_step_too_far_for_the_eigenvalues_is_taken_back(small, optimizer):
    """The features overflow, and no eigenvalues are to be had of their covariance."""
    style = Term(loss=Wasserstein(), of="style", layers={"relu2_1": 1.0})
    by = small.stylizer(terms={"style": style}, iterates=Iterates(clamp="end"))
    by.method = replace(by.method, optimizer=optimizer)
    reports = []
    outcome = small.paint(by, on_progress=reports.append)
    assert any(report.message for report in reports)
    assert outcome.pixels.isfinite().all()


def test_a_picture_to_start_from(small):
    start = torch.rand(3, 12, 16)
    stylizer = small.stylizer(initialization="picture", pyramid=Pyramid(smallest=0, steps=(0,)))
    outcome = small.paint(stylizer, start=start)
    assert_close(outcome.pixels, resize(start[None], small.SIZE)[0].clamp(0, 1))
    with pytest.raises(ConfigError, match="initialization 'picture' needs a picture"):
        small.paint(small.stylizer(initialization="picture"))


def test_bfloat16_paints_nearly_the_same(small):
    exact = small.paint(small.stylizer()).pixels
    rounded = small.paint(small.stylizer(dtype=torch.bfloat16)).pixels
    assert rounded.dtype == torch.float32
    photo = resize(small.pictures()[0][None], small.SIZE)[0]
    assert 0 < _distance(rounded, exact) < 0.2 * _distance(photo, exact)


def test_a_painting_too_narrow_for_the_deepest_layer_is_refused(small):
    with pytest.raises(
        ConfigError,
        match="style picture 2 is 16x1 pixels at the scale of 16x12, and the deepest layer needs 2x2",
    ):
        small.stylizer()(
            torch.rand(3, 30, 40),
            [torch.rand(3, 9, 9), torch.rand(3, 3, 60)],
            blend=[0.5, 0.5],
            size=small.SIZE,
        )


def test_a_canvas_too_small_for_the_deepest_layer_is_refused(small):
    terms = {"style": Term(loss=Gram(), of="style", layers={"relu5_1": 1.0})}
    with pytest.raises(
        ConfigError, match="a canvas of 32x15 pixels is too small: the deepest layer needs 16x16"
    ):
        small.stylizer(terms=terms)(
            torch.rand(3, 15, 32), [torch.rand(3, 40, 40)], blend=[1.0], size=(15, 32)
        )


def test_terms_that_differ_in_weight_alone_share_a_backbone(small):
    """A stylizer leaves nothing behind in the network that it is given."""
    stylizer = small.stylizer()
    before = {name: value.clone() for name, value in stylizer.backbone.state_dict().items()}
    first = small.paint(stylizer).pixels
    assert_close(small.paint(stylizer).pixels, first, rtol=0, atol=0)
    assert_close(dict(stylizer.backbone.state_dict()), before, rtol=0, atol=0)
    heavier = {**small.TERMS, "style": replace(small.TERMS["style"], weight=5.0)}
    assert _distance(small.paint(small.stylizer(terms=heavier)).pixels, first) > 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_paints_nearly_the_same(small):
    expected = small.paint(small.stylizer()).pixels
    stylizer = small.stylizer()
    there = type(stylizer)(
        stylizer.method,
        build_backbone(BackboneConfig(weights="random")).to("cuda"),
        precision=stylizer.precision,
    )
    found = small.paint(there).pixels
    assert found.device.type == "cpu"
    assert _distance(found, expected) < 0.01


def test_a_loss_that_compares_a_batch_is_refused_by_name(small):
    terms = small.TERMS | {"variety": Term(loss=Diversity(), of="nothing", layers={"image": 1.0})}
    with pytest.raises(ConfigError, match=r"'variety' at layer 'image': loss 'diversity' .* needs 2 or more"):
        small.paint(small.stylizer(terms=terms))


def test_lbfgs_learns_nothing_from_statistics_of_the_step_before(small):
    assert small.stylizer("adam", tile=96, tile_statistics="last-step")
    with pytest.raises(ConfigError, match="learns a curvature that is not there; choose exact"):
        small.stylizer("lbfgs", tile=96, tile_statistics="last-step")


@pytest.mark.parametrize("tile", [None, 24])
def test_canvases_have_pages_of_their_own_once_they_are_large_and_in_tiles(small, monkeypatch, tile):
    placed = []

    @contextlib.contextmanager
    def recorded():
        placed.append(None)
        yield

    monkeypatch.setattr(optimization, "map_large_blocks", recorded)
    # Those of the first scale are smaller.
    monkeypatch.setattr(optimization, "LARGE_CANVAS", 12 * 24 * 32)
    small.paint(small.stylizer(tile=tile))
    # The climb and the steps there.
    assert len(placed) == (0 if tile is None else 1 + 4)
