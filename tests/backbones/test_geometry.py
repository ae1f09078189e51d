import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from velatura.backbones import BackboneConfig, LayerShape, Pool, Preprocessing, build_backbone
from velatura.backbones.geometry import Window, layer_shape, windows_of


def test_a_worked_example():
    # A 7x7 convolution of stride 2, then a 3x3 pool of stride 2: 7 pixels, and 2 * 2 more.
    windows = [Window(size=7, stride=2, padding=3), Window(size=3, stride=2, padding=0)]
    # Three positions for the pool take five pixels of a stride-2 window padded by three.
    assert layer_shape(64, windows) == LayerShape(
        channels=64, stride=4, receptive_field=11, smallest_input=5, padding=3
    )


def test_no_windows_leave_the_picture_as_it_is():
    assert layer_shape(3, []) == LayerShape(
        channels=3, stride=1, receptive_field=1, smallest_input=1, padding=0
    )


def test_a_picture_is_never_smaller_than_one_step():
    windows = [Window(size=3, stride=2, padding=1)] * 5
    assert layer_shape(8, windows).smallest_input == 32


def test_reflection_needs_something_to_reflect():
    mirrored = nn.Conv2d(3, 8, 7, padding=3, padding_mode="reflect")
    assert layer_shape(8, windows_of([mirrored])).smallest_input == 4
    plain = nn.Conv2d(3, 8, 7, padding=3)
    assert layer_shape(8, windows_of([plain])).smallest_input == 1


def test_only_convolutions_and_pools_are_windows():
    modules = [nn.Conv2d(3, 4, 3), nn.ReLU(), Pool("max", size=2, stride=2), nn.BatchNorm2d(4)]
    assert windows_of(modules) == [
        Window(size=3, stride=1, padding=0),
        Window(size=2, stride=2, padding=0),
    ]


@settings(deadline=None)
@given(
    size=st.integers(1, 7),
    stride=st.integers(1, 4),
    padded=st.booleans(),
    ceil_mode=st.booleans(),
    needed=st.integers(1, 9),
)
def test_the_smallest_input_is_the_first_from_which_torch_makes_enough(
    size, stride, padded, ceil_mode, needed
):
    # Torch drops an overhanging window that would begin beyond the edge; no network here has one.
    stride = min(stride, size)
    padding = size // 2 if padded and not ceil_mode else 0

    def positions(edge):
        try:
            return functional.max_pool1d(
                torch.zeros(1, 1, edge), size, stride, padding, ceil_mode=ceil_mode
            ).shape[-1]
        except RuntimeError:
            return 0

    smallest = Window(size=size, stride=stride, padding=padding, ceil_mode=ceil_mode).smallest_input(needed)
    assert positions(smallest) >= needed
    assert smallest == 1 or positions(smallest - 1) < needed


def seen(backbone, layer):
    """The first and the last column of a wide picture that one central position of ``layer`` depends on."""
    shape = backbone.shapes[layer]
    width = 2 * shape.receptive_field + 4 * shape.stride
    image = torch.ones(1, 3, max(32, shape.smallest_input), width, requires_grad=True)
    features = backbone(image, [layer])[layer]
    position = features.shape[-1] // 2
    (gradient,) = torch.autograd.grad(features[..., position].sum(), image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero()
    return position, int(columns.min()), int(columns.max())


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vgg19-slim", ("conv1_1", "relu1_2", "pool1", "relu2_1", "pool3", "relu4_2", "relu5_1", "pool5")),
        ("resnet18", ("conv1", "maxpool", "layer1.0", "layer2.0", "layer3", "layer4.0", "layer4")),
        ("resnet50", ("layer1.0", "layer2.0", "layer2.3", "layer3.1")),
        ("squeezenet1_1", ("conv1", "pool1", "fire2", "pool3", "fire5", "pool5", "fire9")),
    ],
)
def test_the_receptive_field_is_what_a_position_depends_on(name, layers):
    backbone = build_backbone(BackboneConfig(name=name, weights="random", pooling="average"))
    # With nothing but positive numbers, no two paths to a pixel cancel and no unit is silent.
    backbone.preprocessing = Preprocessing(torch.eye(3), torch.zeros(3))
    for parameter in backbone.parameters():
        parameter.fill_(1 / parameter[0].numel() if parameter.ndim == 4 else 1)
    for layer in layers:
        shape = backbone.shapes[layer]
        position, first, last = seen(backbone, layer)
        assert last - first + 1 == shape.receptive_field, layer
        assert first == position * shape.stride + shape.seen_from(), layer


def test_positions_of_a_backbone_that_says_nothing_are_centred():
    assert LayerShape(channels=1, stride=1, receptive_field=5, smallest_input=1).seen_from() == -2
    assert LayerShape(channels=1, stride=4, receptive_field=4, smallest_input=4).seen_from() == 0
