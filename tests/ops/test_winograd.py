"""Winograd's convolution against the sum that it abbreviates."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from velatura.ops.winograd import winograd_convolution, winograd_kernel, winograd_pays

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def by_loop(features, weight):
    """The definition, output by output; one row and column of zeros beyond each edge."""
    batch, _, height, width = features.shape
    out = torch.zeros(batch, len(weight), height, width, dtype=features.dtype)
    for y in range(height):
        for x in range(width):
            for down in (-1, 0, 1):
                for across in (-1, 0, 1):
                    if 0 <= y + down < height and 0 <= x + across < width:
                        seen = features[:, :, y + down, x + across]
                        out[:, :, y, x] += seen @ weight[:, :, down + 1, across + 1].T
    return out


def direct(features, weight, *, bias=None, border="zeros"):
    padded = functional.pad(features, (1, 1, 1, 1), mode=MODES[border])
    return functional.conv2d(padded, weight, bias)


def test_a_kernel_worked_by_hand():
    """Of a kernel that is 1 in its middle, G g G' is the product of G's second column with itself."""
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 1
    column = torch.tensor([0, -1 / 6, 1 / 6, 1 / 12, -1 / 12, 0], dtype=torch.float64)
    assert_close(winograd_kernel(weight).reshape(6, 6), column[:, None] * column)


def test_the_sum_that_defines_it():
    features, weight = random(2, 3, 6, 9), random(4, 3, 3, 3, seed=1)
    assert_close(
        winograd_convolution(features, winograd_kernel(weight)),
        by_loop(features, weight),
        rtol=0,
        atol=1e-12,
    )


def test_a_ramp_through_a_kernel_that_looks_down():
    """Each output is the input one row below; nothing is below the last."""
    features = torch.arange(35.0).reshape(1, 1, 5, 7)
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 2, 1] = 1
    out = winograd_convolution(features, winograd_kernel(weight))
    expected = torch.cat([features[:, :, 1:], torch.zeros(1, 1, 1, 7)], dim=2)
    assert_close(out, expected, rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(2, 21),
    width=st.integers(2, 21),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    border=st.sampled_from(sorted(MODES)),
    batch=st.integers(1, 2),
    biased=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_direct_convolution_at_any_size(height, width, channels, border, batch, biased, seed):
    features = random(batch, channels[0], height, width, seed=seed)
    weight = random(channels[1], channels[0], 3, 3, seed=seed + 1)
    bias = random(channels[1], seed=seed + 2) if biased else None
    out = winograd_convolution(features, winograd_kernel(weight), bias=bias, border=border)
    assert_close(out, direct(features, weight, bias=bias, border=border), rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [(300, 6), (5, 530), (132, 1), (1, 600), (1, 1), (40, 40)])
def test_maps_of_more_tiles_than_are_taken_at_once(size):
    features, weight = random(1, 2, *size), random(3, 2, 3, 3, seed=1)
    out = winograd_convolution(features, winograd_kernel(weight))
    assert_close(out, direct(features, weight), rtol=0, atol=1e-10)


@pytest.mark.parametrize("border", ["replicate", "reflect"])
@pytest.mark.parametrize("size", [(257, 9), (9, 600), (128, 12), (4, 4), (5, 2)])
def test_borders_at_the_first_and_the_last_strip(size, border):
    features, weight = random(1, 2, *size), random(3, 2, 3, 3, seed=1)
    out = winograd_convolution(features, winograd_kernel(weight), border=border)
    assert_close(out, direct(features, weight, border=border), rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [(10, 11), (8, 12)])
def test_rectified_and_where_active(size):
    features, weight, bias = random(1, 3, *size), random(2, 3, 3, 3, seed=1), random(2, seed=2)
    active = random(1, 2, *size, seed=3)
    kernel = winograd_kernel(weight)
    rectified = winograd_convolution(features, kernel, bias=bias, rectify=True)
    assert_close(rectified, direct(features, weight, bias=bias).relu(), rtol=0, atol=1e-10)
    masked = winograd_convolution(features, kernel, active=active)
    assert_close(masked, direct(features, weight) * (active > 0), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_either_layout_and_a_part_of_a_map(layout):
    whole = random(2, 4, 20, 24).to(memory_format=layout)
    weight = random(3, 4, 3, 3, seed=1)
    for features in (whole, whole[:, :, 1:-2, 3:-1], whole[:, 1:].flip(1)[:, :3]):
        part = weight[:, : features.shape[1]]
        out = winograd_convolution(features, winograd_kernel(part))
        assert_close(out, direct(features, part), rtol=0, atol=1e-10)
        assert out.stride(1) == 1


@pytest.mark.parametrize("channels", [64, 256, 512])
def test_float32_is_about_as_exact_as_a_direct_convolution(channels):
    """Measured: 1.0e-6 to 1.7e-6 of the norm, where the direct convolution is off by 0.4e-6 to 1.2e-6."""
    features = random(1, channels, 32, 32).relu()
    weight = random(channels, channels, 3, 3, seed=1) * (2 / (9 * channels)) ** 0.5
    exact = direct(features, weight)
    out = winograd_convolution(features.float(), winograd_kernel(weight.float()))
    assert float((out - exact).norm() / exact.norm()) < 4e-6


def test_the_same_to_the_bit_each_time():
    features, kernel = (
        random(1, 64, 40, 40, dtype=torch.float32),
        winograd_kernel(random(64, 64, 3, 3).float()),
    )
    assert torch.equal(winograd_convolution(features, kernel), winograd_convolution(features, kernel))


def test_narrow_layers_and_small_maps_go_the_direct_way():
    assert winograd_pays(512, 512, 32, 32)
    assert winograd_pays(64, 128, 256, 256)
    assert not winograd_pays(3, 64, 512, 512)
    assert not winograd_pays(32, 32, 256, 256)
    assert not winograd_pays(512, 512, 8, 8)
