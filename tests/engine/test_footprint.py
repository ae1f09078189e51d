"""What is foretold: by hand, then how it grows. Against what processes take: benchmarks/memory.py."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.core.errors import ConfigError
from velatura.engine import footprint as footprint_module
from velatura.engine.allocations import Allocations
from velatura.engine.descent import CANVAS_BYTES, LARGE_CANVAS
from velatura.engine.footprint import Footprint, Growth, Run, Spread, choose_tile, measure_footprint
from velatura.engine.pyramid import Pyramid, Scale
from velatura.optimizers.adam import Adam
from velatura.optimizers.lbfgs import LBFGS

MIB = 2**20


def footprint(optimizer=None, **changes):
    """By hand: 100 bytes of maps a pixel in a step, 50 in aiming, 4 of targets."""
    optimizer = optimizer or Adam()
    settings = {
        "base": 1000.0,
        "aim": Growth(0, 50),
        "targets": Growth(0, 4),
        "step": Growth(0, 100),
        "canvases": 2,
        "remembered": optimizer.remembered,
        "worked_on": optimizer.worked_on,
    }
    return Footprint(**{**settings, **changes})


def run(pixels=100, steps=1, **changes):
    settings = {"scales": [Scale((1, pixels), steps)], "photo": 0, "paintings": [pixels]}
    return Run(**{**settings, **changes})


def test_one_scale_by_hand():
    """Adam: canvas, best, two averages, gradient; 4 of targets and 100 of maps."""
    assert footprint().peak(run()) == 1000 + 100 * (12 * 5 + 4 + 100)


def test_a_tile_bounds_the_maps_and_nothing_else():
    """And the gradients of the tiles are summed in a canvas more, and what counts of a tile is copied."""
    assert footprint().peak(run(), tile=25) == 1000 + 100 * (12 * 6 + 4) + round(1.55 * 25 * 100)


def test_growth_is_a_line_through_two_points():
    line = Growth.through((10, 70), (20, 120))
    assert (line.fixed, line.each) == (20, 5)
    assert line.at(100) == 520


def test_growth_never_falls():
    assert Growth.through((10, 70), (20, 60)) == Growth(60, 0)


def test_growth_is_never_below_zero():
    """More than proportional: what is fixed would be negative."""
    assert Growth.through((10, 10), (20, 60)) == Growth(0, 3)


@settings(max_examples=50)
@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 40), st.integers(1, 40))
def test_grows_with_pixels_and_with_the_history(few, more, short, long):
    (few, many), (short, long) = sorted((few, few + more)), sorted((short, long))
    foretold = footprint(LBFGS(history=short))
    assert foretold.peak(run(few, 30)) < foretold.peak(run(many, 30))
    assert foretold.peak(run(few, 30)) <= footprint(LBFGS(history=long)).peak(run(few, 30))


@settings(max_examples=50)
@given(st.integers(1, 99), st.integers(1, 99))
def test_grows_with_the_tile(one, other):
    small, large = sorted((one, other))
    assert footprint().peak(run(), tile=small) <= footprint().peak(run(), tile=large)


def test_remembered_steps_in_bfloat16_take_half():
    whole, half = LBFGS(history=10, stored="float32"), LBFGS(history=10, stored="bfloat16")
    assert whole.remembered(11, 100) - 1 == 2 * (half.remembered(11, 100) - 1) == 21


def test_remembered_steps_of_large_canvases_are_in_bfloat16():
    usual = LBFGS(history=10)
    assert usual.remembered(11, 2**22 - 1) - 1 == 2 * (usual.remembered(11, 2**22) - 1) == 21


def test_large_paintings_and_photographs_count():
    assert footprint().peak(run(paintings=[10_000])) > footprint().peak(run())
    assert footprint().peak(run(photo=10_000)) > footprint().peak(run())


def test_checkpoints_count():
    assert footprint(LBFGS()).peak(run(100, 20, saved=True)) > footprint(LBFGS()).peak(run(100, 20))


def test_the_whole_is_taken_where_it_fits():
    foretold, picture = footprint(), run()
    assert choose_tile(foretold, picture, room=foretold.peak(picture), most=0, least=1) is None


@given(st.integers(64, 1000))
def test_the_chosen_tile_is_the_largest_that_fits(edge):
    foretold, picture = footprint(), run(4_000_000)
    room = foretold.peak(picture, tile=edge**2)
    chosen = choose_tile(foretold, picture, room=room, most=room, least=64)
    assert chosen > edge - 32
    assert foretold.peak(picture, tile=chosen**2) <= room < foretold.peak(picture, tile=(chosen + 32) ** 2)


def test_the_smallest_tile_is_taken_where_room_is_short():
    foretold, picture = footprint(), run(4_000_000)
    needed = foretold.peak(picture, tile=64**2)
    assert choose_tile(foretold, picture, room=needed - 1, most=needed, least=64) == 64


def test_what_fits_in_no_tile_is_refused_with_a_size_that_would():
    foretold = footprint(base=0.0)
    picture = run(1000, scales=[Scale((1000, 1000), 1)], paintings=[0])
    room = foretold.peak(picture, tile=32**2) / 4
    with pytest.raises(ConfigError, match=r"1000x1000 pixels take .* choose a size of (\d+)") as refused:
        choose_tile(foretold, picture, room=room, most=room, least=32)
    edge = int(str(refused.value).split("size of ")[1].split(",")[0])
    smaller = run(edge**2, scales=[Scale((edge, edge), 1)], paintings=[0])
    assert choose_tile(foretold, smaller, room=room, most=room, least=32) is not None


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_what_is_measured_small_holds_for_a_larger_run(small, optimizer, monkeypatch):
    """Tensors alone: of twice the edge that was measured; an eighth above what is counted at most.

    The loss is made large, or L-BFGS would forget steps whose curvature says nothing.
    """
    monkeypatch.setattr(footprint_module, "_EDGES", (128, 192))
    size = (320, 384)
    how = small.stylizer(optimizer, pyramid=Pyramid(smallest=0, steps=(4,)), strength=100)
    foretold = measure_footprint(how, size=size)
    picture = Run(scales=how.scales(size), photo=math.prod(size), paintings=[math.prod(size)])
    content, style = torch.rand(3, *size), torch.rand(3, *size)
    with Allocations() as counted:
        how(content, [style], blend=[1.0], size=size)
    bare = footprint(
        base=0.0,
        aim=foretold.aim,
        targets=foretold.targets,
        step=foretold.step,
        canvases=foretold.canvases,
        remembered=foretold.remembered,
        worked_on=foretold.worked_on,
    )
    assert 0.97 <= bare.peak(picture) / counted.most <= 1.125


def test_small_pictures_leave_more_gaps_than_large_ones_and_tiles_leave_most():
    loose = Spread(small=1.5, large=1.1, tile=2.0)
    of_maps = [loose.of_maps(pixels) for pixels in (1, 2**19, 2**21, 2**23, 2**30)]
    assert of_maps == pytest.approx([1.5, 1.5, 1.3, 1.1, 1.1])
    picture = run(1000)
    assert footprint(spread=loose).peak(picture, tile=400) > footprint(spread=Spread(tile=1.5)).peak(
        picture, tile=400
    )


def test_measuring_leaves_the_run_as_it_is(small):
    content, style = torch.rand(3, *small.SIZE), torch.rand(3, *small.SIZE)
    plain, measured = small.stylizer(), small.stylizer()
    footprint_of = measure_footprint(measured, size=small.SIZE)
    assert footprint_of.base > 50 * MIB
    one, other = (how(content, [style], blend=[1.0], size=small.SIZE).pixels for how in (plain, measured))
    assert torch.equal(one, other)


def test_a_canvas_takes_three_floats_a_pixel():
    assert torch.zeros(1, 3, 5, 7).numel() * 4 == CANVAS_BYTES * 5 * 7


def test_canvases_with_pages_of_their_own_leave_no_gaps():
    loose = Spread(canvas=1.5)
    pixels = LARGE_CANVAS // CANVAS_BYTES
    below, above = (
        footprint(spread=loose).peak(run(size)) / footprint().peak(run(size))
        for size in (pixels - 1, pixels + 1)
    )
    assert above < below
