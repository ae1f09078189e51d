import pytest

from velatura.core.errors import WeightsError
from velatura.weights.conventions import padding_in, pooling_in, preprocessing_in


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"input": "BGR, 0-255, minus (103.939, 116.779, 123.68)"}, "caffe"),
        ({"input": "RGB 0-1, ImageNet mean/std"}, "torchvision"),
        ({"input": "RGB 0-1; preprocess 1x1 conv is part of the net"}, "inner"),
        ({"velatura.preprocessing": "caffe", "input": "RGB 0-1, ImageNet mean/std"}, "caffe"),
        ({"input": "RGB 0-255, minus the mean"}, None),
        ({"input": "BGR 0-1, ImageNet mean/std"}, None),
        ({}, None),
    ],
)
def test_preprocessing_in_words(metadata, expected):
    assert preprocessing_in(metadata) == expected


def test_padding_and_pooling_in_words():
    assert padding_in({"padding": "reflect, max pool 2"}) == "reflect"
    assert pooling_in({"padding": "reflect, max pool 2"}) == "max"
    assert padding_in({"velatura.padding": "replicate", "padding": "zeros"}) == "replicate"
    assert pooling_in({"velatura.pooling": "average"}) == "average"
    assert padding_in({}) is None
    assert pooling_in({"padding": "maximal"}) is None


@pytest.mark.parametrize("read", [preprocessing_in, padding_in, pooling_in])
def test_an_unknown_word_of_our_own_is_an_error(read):
    key = read.__name__.removesuffix("_in")
    with pytest.raises(WeightsError, match=f"its metadata says {key} 'guess'; expected one of "):
        read({f"velatura.{key}": "guess"})
