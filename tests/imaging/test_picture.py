import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.testing import assert_close

from velatura.core.errors import ImageError
from velatura.imaging import Picture

NAN, INF = float("nan"), float("inf")


def ramp(*shape):
    return torch.linspace(0, 1, int(np.prod(shape))).reshape(shape)


def colors(picture):
    """Pixels as rows of whole percents."""
    return (picture.pixels.permute(1, 2, 0).reshape(-1, 3) * 100).round().int().tolist()


def test_a_picture_knows_its_size_and_says_so():
    picture = Picture(ramp(3, 2, 5), alpha=ramp(1, 2, 5), name="lake")
    assert (picture.height, picture.width) == (2, 5)
    assert repr(picture) == "Picture('lake', 5x2, with alpha)"


@pytest.mark.parametrize(
    ("pixels", "alpha", "message"),
    [
        (
            torch.zeros(3, 2, 2, dtype=torch.float64),
            None,
            "expected pixels as a float32 tensor, got torch.float64",
        ),
        (np.zeros((3, 2, 2), np.float32), None, "expected pixels as a float32 tensor, got ndarray"),
        (torch.zeros(2, 2, 3), None, r"expected pixels of shape \(3, H, W\), got \(2, 2, 3\)"),
        (torch.zeros(1, 3, 2, 2), None, r"got \(1, 3, 2, 2\)"),
        (torch.zeros(3, 0, 2), None, r"got \(3, 0, 2\)"),
        (torch.full((3, 2, 2), 1.5), None, r"expected pixels in \[0, 1\], got values from 1.5 to 1.5"),
        (torch.tensor([0.0, NAN, 1.0]).reshape(3, 1, 1), None, r"expected pixels in \[0, 1\], got NaN"),
        (torch.tensor([0.0, INF, 1.0]).reshape(3, 1, 1), None, "got values from 0 to inf"),
        (torch.zeros(3, 2, 2), torch.zeros(3, 2, 2), r"expected alpha of shape \(1, H, W\)"),
        (
            torch.zeros(3, 2, 2),
            torch.zeros(1, 2, 3),
            r"alpha and pixels of one size, got \(2, 3\) and \(2, 2\)",
        ),
        (torch.zeros(3, 2, 2), torch.full((1, 2, 2), -1.0), r"expected alpha in \[0, 1\]"),
    ],
)
def test_what_is_no_picture_is_refused(pixels, alpha, message):
    with pytest.raises(ImageError, match=message):
        Picture(pixels, alpha=alpha)


@pytest.mark.parametrize(
    ("array", "expected", "alpha"),
    [
        (np.array([[0, 255]], np.uint8), [[0, 0, 0], [100, 100, 100]], None),
        (np.array([[[51, 102, 153]]], np.uint8), [[20, 40, 60]], None),
        (np.array([[[51, 102, 153, 204]]], np.uint8), [[20, 40, 60]], 0.8),
        (np.array([[[51, 204]]], np.uint8), [[20, 20, 20]], 0.8),
        (np.array([[[13107, 26214, 65535]]], np.uint16), [[20, 40, 100]], None),
        (np.array([[0.25, 1.0]], np.float64), [[25, 25, 25], [100, 100, 100]], None),
        (np.array([[0.25]], np.float16), [[25, 25, 25]], None),
        (np.array([[True, False]]), [[100, 100, 100], [0, 0, 0]], None),
    ],
)
def test_arrays_of_every_kind(array, expected, alpha):
    picture = Picture.of(array)
    assert colors(picture) == expected
    assert alpha is None if picture.alpha is None else float(picture.alpha) == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.tensor([0.2, 0.4, 0.6]).reshape(3, 1, 1), [[20, 40, 60]]),
        (torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1), [[20, 40, 60]]),
        (torch.tensor([0.2, 0.4, 0.6, 0.8]).reshape(4, 1, 1), [[20, 40, 60]]),
        (torch.tensor([[[0.2, 0.4]]]), [[20, 20, 20], [40, 40, 40]]),
        (torch.tensor([51, 102, 153], dtype=torch.uint8).reshape(3, 1, 1), [[20, 40, 60]]),
        (torch.tensor([0.25, 0.5, 1.0], dtype=torch.bfloat16).reshape(3, 1, 1), [[25, 50, 100]]),
    ],
)
def test_tensors_of_every_kind(tensor, expected):
    assert colors(Picture.of(tensor)) == expected


def test_a_tensor_is_copied_and_leaves_its_graph():
    source = torch.full((3, 2, 2), 0.5, requires_grad=True)
    picture = Picture.of(source)
    assert not picture.pixels.requires_grad
    source.data.fill_(0.0)
    assert colors(picture)[0] == [50, 50, 50]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 4, 5), np.uint8), r"got \(3, 4, 5\); an array has its channels last"),
        (np.zeros(4, np.uint8), r"expected an array of shape \(H, W\) or \(H, W, 1 to 4\), got \(4,\)"),
        (np.zeros((2, 2), np.int64), r"expected an array of uint8, uint16 or floats in \[0, 1\], got int64"),
        (np.full((2, 2), 255.0), r"expected pixels in \[0, 1\], got values from 255 to 255"),
        (np.array([[0.0, NAN]]), "got NaN"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(3, 0, 4\)"),
        (torch.zeros(5, 5, 3), r"got \(5, 5, 3\); a tensor has its channels first"),
        (torch.zeros(2, 3, 4, 4), r"or a batch of one such, got \(2, 3, 4, 4\)"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), r"expected a tensor of uint8, uint16 or floats"),
        (torch.full((3, 2, 2), -0.5), r"got values from -0.5 to -0.5"),
        (None, "expected a path, a Pillow image, an array, a tensor or a Picture, got NoneType"),
        ([[1]], "got list"),
    ],
)
def test_what_holds_no_picture_is_refused(source, message):
    with pytest.raises(ImageError, match=message):
        Picture.of(source)


def test_a_picture_is_given_back_as_it_is():
    picture = Picture(ramp(3, 2, 2))
    assert Picture.of(picture) is picture


def test_a_path_is_read(tmp_path):
    Image.new("RGB", (3, 2), (51, 102, 153)).save(tmp_path / "sea.png")
    picture = Picture.of(str(tmp_path / "sea.png"))
    assert picture.name == "sea"
    assert colors(picture) == [[20, 40, 60]] * 6


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, [100, 100, 100]),
        ("L", 51, [20, 20, 20]),
        ("LA", (51, 102), [20, 20, 20]),
        ("La", (51, 102), [50, 50, 50]),
        ("P", 0, [0, 0, 0]),
        ("RGB", (51, 102, 153), [20, 40, 60]),
        ("RGBA", (51, 102, 153, 0), [20, 40, 60]),
        ("RGBX", (51, 102, 153, 0), [20, 40, 60]),
        ("RGBa", (51, 51, 102, 102), [50, 50, 100]),
        ("CMYK", (204, 153, 102, 0), [20, 40, 60]),
        ("YCbCr", (128, 128, 128), [50, 50, 50]),
        ("HSV", (0, 0, 51), [20, 20, 20]),
        ("LAB", (255, 128, 128), [100, 100, 100]),
        ("I;16", 13107, [20, 20, 20]),
        ("I;16B", 13107, [20, 20, 20]),
        ("I", 13107, [20, 20, 20]),
        ("F", 0.2, [20, 20, 20]),
    ],
)
def test_pillow_images_of_every_mode(mode, value, expected):
    picture = Picture.of(Image.new(mode, (2, 1), value))
    assert colors(picture) == [expected] * 2


def test_values_beyond_the_full_scale_are_stretched_and_noted():
    image = Image.fromarray(np.array([[-50.0, 0.0, 150.0]], np.float32))
    picture = Picture.of(image)
    assert colors(picture) == [[0] * 3, [25] * 3, [100] * 3]
    assert picture.notes == ("its values from -50 to 150 were scaled to [0, 1]",)
    assert colors(Picture.of(Image.new("F", (1, 1), 255.0))) == [[100] * 3]


@pytest.mark.parametrize("values", [[NAN, 0.0], [INF, 0.0], [-INF, INF], [-3e38, 3e38]])
def test_an_image_of_nan_is_refused(values):
    with pytest.raises(ImageError, match="it holds values that are NaN, infinite or too large"):
        Picture.of(Image.fromarray(np.array([values], np.float32)))


@pytest.mark.parametrize("value", [-5.0, -1e-40, 1e-40, 3e38])
def test_an_image_of_one_extreme_value_is_read(value):
    assert colors(Picture.of(Image.new("F", (2, 1), value)))[0] in ([0] * 3, [100] * 3)


def test_an_image_that_is_cut_short_is_one_line():
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    cut, message = io.BytesIO(file.getvalue()[:1000]), r"^cannot read the image: image file is truncated$"
    with Image.open(cut) as image, pytest.raises(ImageError, match=message):
        Picture.of(image)


def test_an_opened_image_is_turned_upright():
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(file, "PNG", exif=exif)
    with Image.open(file) as image:
        assert colors(Picture.of(image)) == [[0, 0, 0], [100, 100, 100]]
        assert Picture.of(image).height == 2


def test_a_user_s_image_is_not_changed():
    image = Image.new("RGBA", (2, 2), (10, 20, 30, 40))
    image.info["transparency"] = (0, 0, 0)
    Picture.of(image)
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (10, 20, 30, 40)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_bytes_come_back_as_they_were(array):
    picture = Picture.of(array)
    assert np.array_equal(picture.to_array(), array)
    assert np.array_equal(np.asarray(picture.to_pil()), array)


def test_every_16_bit_number_comes_back_as_it_was(tmp_path):
    array = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    Picture.of(array).save(tmp_path / "all.png", bits=16)
    assert torch.equal(Picture.of(tmp_path / "all.png").pixels, Picture.of(array).pixels)


def test_halves_are_rounded_up():
    values = torch.tensor([0.49, 0.5, 1.5, 254.49, 254.5]) / 255
    assert Picture.of(values.expand(3, 1, -1)).to_array()[0, :, 0].tolist() == [0, 1, 2, 254, 255]


def test_alpha_goes_to_pillow_and_back():
    picture = Picture(ramp(3, 2, 3), alpha=ramp(1, 2, 3))
    image = picture.to_pil()
    assert image.mode == "RGBA"
    assert_close(Picture.of(image).alpha, picture.alpha, atol=0.5 / 255, rtol=0)


def test_over_a_color_by_hand():
    picture = Picture(
        torch.full((3, 1, 3), 0.2), alpha=torch.tensor([[[0.0, 0.5, 1.0]]]), name="x", notes=("n",)
    )
    over = picture.over((1.0, 0.6, 0.0))
    assert colors(over) == [[100, 60, 0], [60, 40, 10], [20, 20, 20]]
    assert (over.alpha, over.name, over.notes) == (None, "x", ("n",))
    assert colors(picture.over())[0] == [100, 100, 100]


def test_an_opaque_picture_over_a_color_is_itself():
    picture = Picture(ramp(3, 2, 2))
    assert picture.over() is picture


@pytest.mark.parametrize("color", [(1.0, 2.0, 0.0), (0.0, 0.0), (NAN, 0.0, 0.0)])
def test_a_color_out_of_range_is_refused(color):
    with pytest.raises(ImageError, match=r"expected a colour of three numbers in \[0, 1\]"):
        Picture(ramp(3, 2, 2)).over(color)


def test_a_notebook_gets_a_png():
    with Image.open(io.BytesIO(Picture(ramp(3, 4, 5))._repr_png_())) as image:
        assert (image.format, image.size) == ("PNG", (5, 4))
