import pytest

from velatura.core.errors import ConfigError
from velatura.core.vgg_layout import CONVS_PER_BLOCK, vgg_conv_index, vgg_layers


def test_vgg11_layer_by_layer():
    assert vgg_layers("vgg11") == (
        *("conv1_1", "relu1_1", "pool1"),
        *("conv2_1", "relu2_1", "pool2"),
        *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "pool3"),
        *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "pool4"),
        *("conv5_1", "relu5_1", "conv5_2", "relu5_2", "pool5"),
    )


def test_batch_norm_stands_between_convolution_and_relu():
    assert vgg_layers("vgg13", batch_norm=True)[:8] == (
        *("conv1_1", "norm1_1", "relu1_1"),
        *("conv1_2", "norm1_2", "relu1_2", "pool1", "conv2_1"),
    )


@pytest.mark.parametrize(
    ("name", "batch_norm", "convs"),
    [
        # The convolution numbers of torchvision's published state dicts.
        ("vgg11", False, [0, 3, 6, 8, 11, 13, 16, 18]),
        ("vgg13", False, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]),
        ("vgg16", False, [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
        ("vgg19", False, [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]),
        ("vgg11", True, [0, 4, 8, 11, 15, 18, 22, 25]),
        ("vgg16", True, [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]),
        ("vgg19", True, [0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49]),
    ],
)
def test_convolutions_stand_where_the_published_files_have_them(name, batch_norm, convs):
    layers = vgg_layers(name, batch_norm=batch_norm)
    assert [index for index, layer in enumerate(layers) if layer.startswith("conv")] == convs


def test_johnsons_relu_layers_of_vgg16_have_their_known_numbers():
    layers = vgg_layers("vgg16")
    assert [layers[index] for index in (3, 8, 15, 22)] == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]


@pytest.mark.parametrize("name", CONVS_PER_BLOCK)
def test_the_name_counts_convolutions_and_the_three_dense_layers(name):
    assert sum(CONVS_PER_BLOCK[name]) + 3 == int(name.removeprefix("vgg"))


def test_conv_index_is_the_number_in_the_file():
    assert vgg_conv_index("vgg19", 4, 2) == 21
    assert vgg_conv_index("vgg16", 5, 3, batch_norm=True) == 40


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown VGG network 'vgg18'; did you mean 'vgg1.'\?"):
        vgg_layers("vgg18")
    with pytest.raises(ConfigError, match="unknown convolution of vgg16 'conv3_4'; did you mean"):
        vgg_conv_index("vgg16", 3, 4)
