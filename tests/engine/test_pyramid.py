"""The pyramid: which sizes, in which order, with how many steps."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.core.errors import ConfigError
from velatura.engine.pyramid import Pyramid, Scale, work_done


def _scales(pyramid, size, smallest_input=16):
    return pyramid.scales(size, smallest_input=smallest_input)


def test_the_scales_of_a_picture_of_512_pixels():
    assert _scales(Pyramid(), (384, 512)) == [
        Scale((96, 128), 200),
        Scale((136, 181), 100),
        Scale((192, 256), 80),
        Scale((272, 362), 60),
        Scale((384, 512), 50),
    ]


def test_larger_scales_repeat_the_last_number_of_steps():
    scales = _scales(Pyramid(ratio=2, steps=(7, 3)), (1024, 512))
    assert [scale.steps for scale in scales] == [7, 3, 3, 3]
    assert [scale.size for scale in scales] == [(128, 64), (256, 128), (512, 256), (1024, 512)]


def test_rounding_does_not_add_up():
    """1000 / 1.5 / 1.5 is 444.4; from the rounded 667 it would be 445."""
    scales = _scales(Pyramid(ratio=1.5, smallest=400), (1000, 1000))
    assert [scale.size[0] for scale in scales] == [444, 667, 1000]


def test_no_smallest_scale_is_one_scale():
    assert _scales(Pyramid(smallest=0, steps=(9, 1)), (300, 200)) == [Scale((300, 200), 9)]


@pytest.mark.parametrize("size", [(100, 90), (128, 128), (180, 20)])
def test_a_picture_of_the_smallest_scale_has_no_other(size):
    assert [scale.size for scale in _scales(Pyramid(), size)] == [size]


def test_scales_below_the_smallest_input_are_left_out():
    """At 181 pixels the shorter edge would be 28 pixels; the steps begin with what is left."""
    scales = _scales(Pyramid(steps=(9, 5, 1)), (80, 512), smallest_input=32)
    assert scales == [Scale((40, 256), 9), Scale((57, 362), 5), Scale((80, 512), 1)]


def test_a_canvas_too_small_for_the_backbone_is_refused():
    with pytest.raises(
        ConfigError,
        match="a canvas of 512x15 pixels is too small: the deepest layer needs 16x16; choose a larger",
    ):
        _scales(Pyramid(), (15, 512))
    assert len(_scales(Pyramid(), (16, 512))) == 1


@given(
    height=st.integers(16, 3000),
    width=st.integers(16, 3000),
    ratio=st.floats(1.1, 4),
    smallest=st.integers(0, 600),
    smallest_input=st.integers(1, 16),
)
def test_scales_grow_to_the_size_and_keep_its_aspect(height, width, ratio, smallest, smallest_input):
    pyramid = Pyramid(smallest=smallest, ratio=ratio, steps=(3, 2, 1))
    scales = pyramid.scales((height, width), smallest_input=smallest_input)
    edges = [max(scale.size) for scale in scales]
    assert scales[-1].size == (height, width)
    assert edges == sorted(edges)
    assert all(min(scale.size) >= smallest_input for scale in scales)
    assert all(edge >= smallest for edge in edges[:-1])
    for scale in scales:
        # Both edges are whole pixels, so that one may be half a pixel off; none is below 1.
        assert (
            min(scale.size) == 1
            or abs(scale.size[0] * width - scale.size[1] * height) <= 0.5 * max(height, width) + 1e-6
        )
    for small, large in itertools.pairwise(edges):
        assert abs(large - small * ratio) <= 0.5 + 0.5 * ratio


def test_work_is_told_by_pixels_more_than_by_steps():
    scales = [Scale((128, 128), 40), Scale((512, 512), 25)]
    assert [work_done(scales, *at) for at in ((0, 0), (1, 25))] == [0, 1]
    assert 0.05 < work_done(scales, 0, 40) == work_done(scales, 1, 0) < 0.15
    assert work_done([Scale((1, 1), 0)], 0, 0) == 1
