import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from velatura.backbones import Backbone, LayerShape, Pool, Preprocessing
from velatura.core.errors import ConfigError, WeightsError

ORANGE = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1)


def test_torchvision_preprocessing_takes_off_the_mean_and_divides_by_the_deviation():
    expected = [0.515 / 0.229, 0.044 / 0.224, -0.406 / 0.225]
    assert_close(Preprocessing.torchvision()(ORANGE).flatten(), torch.tensor(expected))


def test_caffe_preprocessing_is_blue_first_and_in_255ths():
    expected = [0 - 103.939, 127.5 - 116.779, 255 - 123.68]
    assert_close(Preprocessing.caffe()(ORANGE).flatten(), torch.tensor(expected))


def test_a_files_own_convolution_mixes_channels_and_adds_its_bias():
    weight = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [4.0, 1.0, 0.0]])[:, :, None, None]
    inner = Preprocessing(weight, torch.tensor([0.25, -1.0, 10.0]))
    assert_close(inner(ORANGE).flatten(), torch.tensor([1.25, -1.0, 14.5]))


def test_preprocessing_is_no_part_of_the_state():
    assert not Preprocessing.torchvision().state_dict()


def test_preprocessing_keeps_float32_under_autocast():
    image = torch.rand(1, 3, 4, 4)
    exact = Preprocessing.caffe()(image)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(Preprocessing.caffe()(image), exact, rtol=0, atol=0)


SQUARE = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("kind", "rescale", "expected"),
    [
        ("max", False, 4.0),
        ("average", False, 2.5),
        ("l2", False, math.sqrt(7.5)),
        ("max", True, 4.0),
        ("average", True, 5.0),
        ("l2", True, 1.56 * math.sqrt(7.5)),
    ],
)
def test_pooling_of_a_worked_example(kind, rescale, expected):
    pooled = Pool(kind, size=2, stride=2, rescale=rescale)(SQUARE)
    assert_close(pooled, torch.full((1, 1, 1, 1), expected))


def test_rescaled_l2_pooling_is_the_published_one():
    # style-transfer-pytorch: the root of the window's sum of squares, times 0.78.
    features = torch.rand(2, 3, 8, 6)
    expected = 0.78 * functional.lp_pool2d(features, 2.0, 2)
    assert_close(Pool("l2", size=2, stride=2, rescale=True)(features), expected)


@pytest.mark.parametrize(("kind", "corner"), [("max", 5.0), ("average", 3.0), ("l2", math.sqrt(11.5))])
def test_pooling_does_not_count_what_lies_beyond_the_edge(kind, corner):
    features = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    pooled = Pool(kind, size=3, stride=2, padding=1)(features)
    assert pooled.shape == (1, 1, 2, 2)
    # The corner window holds 1, 2, 4, 5.
    assert_close(pooled[0, 0, 0, 0], torch.tensor(corner))


@pytest.mark.parametrize("kind", ["max", "average", "l2"])
def test_ceil_mode_counts_the_window_that_hangs_over(kind):
    features = torch.ones(1, 1, 6, 6)
    pooled = Pool(kind, size=3, stride=2, ceil_mode=True)(features)
    assert_close(pooled, torch.ones(1, 1, 3, 3))
    assert Pool(kind, size=3, stride=2)(features).shape == (1, 1, 2, 2)


def test_l2_pooling_of_zeros_has_a_finite_gradient():
    features = torch.zeros(1, 1, 4, 4, requires_grad=True)
    Pool("l2", size=2, stride=2)(features).sum().backward()
    assert_close(features.grad, torch.zeros(1, 1, 4, 4))


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=4, max_size=4))
def test_l2_pooling_lies_between_average_and_max(values):
    window = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2)
    average, l2, largest = (float(Pool(k, size=2, stride=2)(window)) for k in ("average", "l2", "max"))
    assert average - 1e-9 <= l2 <= largest + 1.001e-4  # the offset under the root: 1e-8


class Halvings(Backbone):
    """Each layer is the mean over 2x2 windows of the one below; counts what it computed."""

    def __init__(self):
        identity = Preprocessing(torch.eye(3), torch.zeros(3))
        super().__init__(preprocessing=identity, source="halvings.safetensors")
        self.shapes = {
            f"half{n}": LayerShape(channels=3, stride=2**n, receptive_field=2**n, smallest_input=2**n)
            for n in (1, 2, 3)
        }
        self.missing = {"half4"}
        self.norm = nn.BatchNorm2d(3)
        self.computed = 0

    def _maps(self, inputs, wanted):
        for layer in itertools.chain(self.shapes, self.missing):
            inputs = functional.avg_pool2d(inputs, 2)
            self.computed += 1
            yield layer, inputs


def test_features_come_in_order_of_depth_each_once():
    image = torch.arange(64.0).expand(1, 3, 64).reshape(1, 3, 8, 8) / 64
    features = Halvings()(image, ["half3", "half1", "half3"])
    assert list(features) == ["half1", "half3"]
    assert_close(features["half1"][0, 0, 0], torch.tensor([4.5, 6.5, 8.5, 10.5]) / 64)
    assert_close(features["half3"], image.mean((2, 3), keepdim=True))


@pytest.mark.parametrize(("layers", "computed"), [([], 0), (["half1"], 1), (["half2", "half1"], 2)])
def test_the_pass_ends_at_the_deepest_layer_asked_for(layers, computed):
    backbone = Halvings()
    assert set(backbone(torch.rand(1, 3, 8, 8), layers)) == set(layers)
    assert backbone.computed == computed


def test_a_visit_sees_each_layer_asked_for_before_the_next_is_computed():
    backbone, seen = Halvings(), []

    def visit(layer, features):
        seen.append((layer, tuple(features.shape), backbone.computed))
        return features

    found = backbone(torch.rand(1, 3, 8, 8), ["half3", "half1"], visit=visit)
    assert seen == [("half1", (1, 3, 4, 4), 1), ("half3", (1, 3, 1, 1), 3)]
    assert list(found) == ["half1", "half3"]


def test_an_unknown_layer_is_answered_with_the_nearest():
    message = r"^unknown layer 'haf2'; did you mean 'half2'\? \(known: half1, half2, half3\)$"
    with pytest.raises(ConfigError, match=message):
        Halvings()(torch.rand(1, 3, 8, 8), ["half1", "haf2"])


def test_a_layer_that_the_file_lacks_is_named_with_the_file():
    message = "^layer 'half4' is not in halvings.safetensors, which ends at 'half3'; choose a shallower"
    with pytest.raises(WeightsError, match=message):
        Halvings().check_layers(["half4"])


def test_a_picture_too_small_names_both_sizes():
    message = "^a picture of 9x3 pixels is too small for layer 'half2', which needs 4x4; choose a larger"
    with pytest.raises(ConfigError, match=message):
        Halvings()(torch.rand(1, 3, 3, 9), ["half1", "half2"])


def test_the_smallest_input_is_that_of_the_most_demanding_layer():
    assert Halvings().smallest_input(["half3", "half1"]) == 8
    assert Halvings().smallest_input([]) == 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8), (8, 8)])
def test_anything_but_a_batch_of_rgb_is_refused(shape):
    with pytest.raises(ValueError, match=r"^expected pictures of shape \(B, 3, H, W\), got \(") as error:
        Halvings()(torch.rand(shape), ["half1"])
    assert str(shape) in str(error.value)


def test_freezing_stops_training():
    backbone = Halvings()
    backbone.freeze()
    assert not backbone.norm.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
