import errno
import io
import json
import os
import re
import resource
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.testing import assert_close

from velatura.core.errors import ConfigError, ImageError, OutputError, VelaturaError
from velatura.imaging import WRITABLE, Picture, check_target, read_picture, write_picture
from velatura.imaging._icc import srgb_profile

LOSSY = (".jpg", ".jpeg", ".webp", ".avif")


def smooth(height=24, width=32, *, alpha=False):
    """A picture that a lossy format keeps nearly."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    pixels = torch.stack([x, y, (x + y) / 2])
    return Picture(pixels, alpha=((1 + x - y) / 2)[None] if alpha else None, name="smooth")


def best(suffix):
    """The best quality, where there is one to choose."""
    return 100 if suffix in LOSSY else None


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def arrays_of(dtype):
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([3, 4]))
    return arrays(dtype, shapes, elements=st.integers(0, np.iinfo(dtype).max))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_lossless_formats_give_back_every_number(suffix, dtype, data):
    array = data.draw(arrays_of(dtype))
    bits = array.dtype.itemsize * 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        assert Picture.of(array).save(path, bits=bits) == ()
        read = read_picture(path)
    full = np.iinfo(dtype).max
    assert np.array_equal((read.pixels * full).round().permute(1, 2, 0), array[..., :3])
    if array.shape[2] == 3 or array[..., 3].min() == full:
        assert read.alpha is None
    else:
        assert np.array_equal((read.alpha * full).round()[0], array[..., 3])


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("shape", [(24, 32), (1, 1), (1, 500), (501, 3)])
def test_every_format_gives_back_nearly_the_picture(tmp_path, suffix, shape):
    picture = smooth(*shape)
    picture.save(tmp_path / f"a{suffix}", quality=best(suffix))
    read = read_picture(tmp_path / f"a{suffix}")
    assert_close(read.pixels, picture.pixels, atol=0.03 if suffix in LOSSY else 0.002, rtol=0)
    assert (read.icc, read.notes) == (None, ())


def test_webp_of_quality_100_loses_nothing(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    Picture.of(array).save(tmp_path / "a.webp", quality=100)
    assert np.array_equal(read_picture(tmp_path / "a.webp").to_array(), array)


def test_quality_makes_files_larger(tmp_path):
    picture = Picture(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))
    for suffix in LOSSY:
        sizes = []
        for quality in (20, 95):
            picture.save(tmp_path / f"a{suffix}", quality=quality)
            sizes.append((tmp_path / f"a{suffix}").stat().st_size)
        assert sizes[0] * 1.5 < sizes[1]


def test_colors_of_a_jpeg_keep_their_resolution(tmp_path):
    stripes = np.array([[[250, 30, 30], [30, 30, 250]]], np.uint8).repeat(8, 0)
    Picture.of(np.tile(stripes, (1, 8, 1))).save(tmp_path / "a.jpg")
    assert np.abs(read_picture(tmp_path / "a.jpg").to_array()[:, :2].astype(int) - stripes).max() < 25


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_kept_with_the_colors_under_it(tmp_path, suffix):
    picture = smooth(alpha=True)
    assert picture.save(tmp_path / f"a{suffix}", quality=best(suffix)) == ()
    read = read_picture(tmp_path / f"a{suffix}")
    assert_close(read.alpha, picture.alpha, atol=0.02, rtol=0)
    assert_close(read.pixels, picture.pixels, atol=0.03, rtol=0)


def test_a_jpeg_is_laid_over_white_and_says_so(tmp_path):
    picture = Picture(torch.zeros(3, 8, 8), alpha=torch.full((1, 8, 8), 0.25))
    assert picture.save(tmp_path / "a.jpg") == ("laid over white: JPEG has no alpha",)
    assert read_picture(tmp_path / "a.jpg").pixels.mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_files_say_that_they_are_srgb(tmp_path, suffix):
    smooth().save(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        if suffix == ".png":
            assert image.info["srgb"] == 0
        elif suffix == ".avif":
            assert "icc_profile" not in image.info  # It says so in its own words, CICP 1/13.
        else:
            assert image.info["icc_profile"] == srgb_profile()


@pytest.mark.parametrize(("suffix", "bits"), [*((s, 8) for s in WRITABLE), (".png", 16), (".tif", 16)])
def test_a_kept_profile_gives_the_same_colors(tmp_path, adobe_rgb, suffix, bits):
    picture = Picture(0.2 + 0.6 * smooth().pixels, icc=adobe_rgb)
    picture.save(tmp_path / f"a{suffix}", bits=bits, icc="keep", quality=best(suffix))
    read = read_picture(tmp_path / f"a{suffix}")
    assert read.icc == adobe_rgb
    tolerance = 0.07 if suffix in LOSSY else 0.01 if bits == 8 else 0.0002
    assert_close(read.pixels, picture.pixels, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 8), (".tif", 8), (".png", 16), (".tif", 16)])
def test_a_kept_profile_has_its_own_numbers(tmp_path, adobe_rgb, suffix, bits):
    green = Picture(torch.tensor([0.0, 1.0, 0.0])[:, None, None], icc=adobe_rgb)
    green.save(tmp_path / f"a{suffix}", bits=bits, icc="keep")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.getpixel((0, 0)) == pytest.approx((144, 255, 60), abs=1)


def test_keeping_the_profile_of_an_srgb_picture_keeps_srgb(tmp_path):
    smooth().save(tmp_path / "a.png", icc="keep")
    assert read_picture(tmp_path / "a.png").icc is None


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("odd_cmyk", "icc='keep' wants an RGB profile, the picture had one for CMYK; use icc='srgb'"),
        ("linear_grey", "the picture had one for GRAY"),
        ("table_rgb", "icc='keep' cannot use the picture's profile: it cannot be applied"),
    ],
)
def test_a_profile_that_cannot_be_kept_is_refused(tmp_path, request, profile, message):
    picture = Picture(torch.zeros(3, 2, 2), icc=request.getfixturevalue(profile))
    with pytest.raises(ConfigError, match=re.escape(message)):
        picture.save(tmp_path / "a.png", icc="keep")
    assert files(tmp_path) == []
    picture.save(tmp_path / "a.png")


def test_a_profile_of_tables_is_not_kept_at_16_bits(tmp_path, table_rgb):
    picture = Picture(torch.zeros(3, 2, 2), icc=table_rgb)
    with pytest.raises(ConfigError, match="icc='keep' has 8 bits for a profile made of tables, not 16"):
        picture.save(tmp_path / "a.png", icc="keep", bits=16)


@pytest.mark.parametrize(("suffix", "bits"), [*((s, 8) for s in WRITABLE), (".png", 16), (".tif", 16)])
def test_exif_goes_from_file_to_file(tmp_path, suffix, bits):
    exif = Image.Exif()
    exif[0x013B] = "Ada"
    exif[0x8769] = {0x829D: 2.8}
    picture = Picture(smooth().pixels, exif=exif.tobytes())
    picture.save(tmp_path / f"a{suffix}", bits=bits)
    kept = Image.Exif()
    kept.load(read_picture(tmp_path / f"a{suffix}").exif)
    assert (kept[0x013B], dict(kept.get_ifd(0x8769))) == ("Ada", {0x829D: 2.8})


JOB = json.dumps({"style": "<the \"Scream\">\n& 'more'", "é": 1}, ensure_ascii=False)


@pytest.mark.parametrize("bits", [8, 16])
def test_metadata_of_a_png_are_its_texts(tmp_path, bits):
    smooth().save(tmp_path / "a.png", bits=bits, metadata={"velatura": JOB, "Title": "x"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"velatura": JOB, "Title": "x"}


@pytest.mark.parametrize(
    ("suffix", "bits"), [(".jpg", 8), (".webp", 8), (".avif", 8), (".tif", 8), (".tif", 16)]
)
def test_metadata_elsewhere_are_xmp(tmp_path, suffix, bits):
    smooth().save(tmp_path / f"a{suffix}", bits=bits, metadata={"velatura": JOB})
    with Image.open(tmp_path / f"a{suffix}") as image:
        packet = ET.fromstring(image.info["xmp"])
    assert packet[0][0].attrib["{urn:velatura:metadata}velatura"] == JOB


def test_metadata_too_large_for_a_jpeg_are_left_out_and_said(tmp_path):
    notes = smooth().save(tmp_path / "a.jpg", metadata={"velatura": "x" * 70_000})
    assert notes == ("metadata left out: more than the 65000 bytes that JPEG holds",)
    assert smooth().save(tmp_path / "a.png", metadata={"velatura": "x" * 70_000}) == ()


@pytest.mark.parametrize("suffix", WRITABLE)
def test_the_same_picture_makes_the_same_file(tmp_path, suffix):
    for name in ("a", "b"):
        smooth(alpha=suffix != ".jpg").save(tmp_path / f"{name}{suffix}", metadata={"velatura": JOB})
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_folders_are_made_and_upper_case_is_known(tmp_path):
    write_picture(smooth(), tmp_path / "a" / "b" / "C.PNG")
    assert read_picture(tmp_path / "a" / "b" / "C.PNG").name == "C"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.pgn", {}, "unknown picture format '.pgn'; did you mean '.png'? (known: .avif, .jpeg, .jpg"),
        ("a", {}, "has no extension to name a format; known: .png, .jpg"),
        ("a.jpg", {"bits": 16}, "JPEG holds no 16 bits a channel; those that do: .png, .tif, .tiff"),
        ("a.png", {"bits": 12}, "expected bits of 8 or 16, got 12"),
        ("a.jpg", {"quality": 0}, "expected a quality from 1 to 100, got 0"),
        ("a.jpg", {"quality": 101}, "expected a quality from 1 to 100, got 101"),
        ("a.png", {"quality": 90}, "quality has no meaning for .png, which loses nothing; leave it out"),
        ("a.TIF", {"quality": 100}, "quality has no meaning for .TIF, which loses nothing; leave it out"),
        ("a.png", {"icc": "kept"}, "unknown icc 'kept'; did you mean 'keep'? (known: keep, srgb)"),
        (
            "a.png",
            {"metadata": {"a b": "x"}},
            "expected a metadata name of at most 79 letters, digits, _ . -",
        ),
        ("a.png", {"metadata": {"": "x"}}, "got ''"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(tmp_path, name, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        smooth().save(tmp_path / name, **options)
    assert files(tmp_path) == []


@pytest.mark.parametrize("kind", ["itself", "relative", "symbolic", "hard", "to_link"])
def test_an_input_is_never_overwritten(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    photo, path = tmp_path / "photo.png", tmp_path / "out.png"
    smooth().save(photo)
    before = photo.read_bytes()
    if kind == "itself":
        path = photo
    elif kind == "relative":
        path = Path("photo.png")
    elif kind == "symbolic":
        path.symlink_to(photo)
    elif kind == "hard":
        os.link(photo, path)
    else:
        path.symlink_to(photo)
        photo, path = path, photo
    with pytest.raises(ConfigError, match="is an input and would be overwritten; choose another name"):
        smooth(4, 4).save(path, protect=[tmp_path / "none.png", photo])
    assert photo.read_bytes() == before


@pytest.mark.parametrize("protected", ["photo.png", "y" * 300])
def test_a_name_that_is_too_long_is_one_line(tmp_path, protected):
    with pytest.raises(OutputError, match=r"^cannot write '.*x\.png': the name is too long$"):
        smooth().save(tmp_path / ("x" * 300 + ".png"), protect=[tmp_path / protected])
    assert files(tmp_path) == []


def test_other_files_are_overwritten(tmp_path):
    smooth().save(tmp_path / "a.png")
    smooth(4, 5).save(tmp_path / "a.png", protect=[tmp_path / "b.png"])
    assert read_picture(tmp_path / "a.png").width == 5


@pytest.mark.parametrize("suffix", WRITABLE)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    smooth(4, 4).save(path)
    before = path.read_bytes()
    noise = Picture(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(VelaturaError, match=r"^cannot write '.*': the file would be larger"):
            noise.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EROFS, os.strerror(errno.EROFS))])
def test_a_failing_rename_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(self, target):
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    expected = VelaturaError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        smooth().save(tmp_path / "a.png")
    assert files(tmp_path) == []


def test_a_folder_is_no_target(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(VelaturaError, match="it is a folder; name a file"):
        smooth().save(tmp_path / "a.png")


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_384), (".jpg", 65_501)])
def test_a_picture_too_long_for_its_format_is_refused(tmp_path, suffix, side):
    message = rf"cannot write '.*': \w+ holds at most {side - 1} pixels a side, not {side}x1"
    with pytest.raises(ImageError, match=message):
        smooth(1, side).save(tmp_path / f"a{suffix}")
    assert files(tmp_path) == []


def test_an_encoder_that_fails_is_one_line(tmp_path, monkeypatch):
    def fail(self, *args, **options):
        raise OSError("encoder error\nof two lines")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match=r"^cannot write '.*a.png': encoder error of two lines$"):
        smooth().save(tmp_path / "a.png")


def test_a_target_can_be_checked_before_the_work(tmp_path, adobe_rgb, odd_cmyk):
    options = {"bits": 8, "quality": None, "icc": "keep", "metadata": None, "protect": ()}
    check_target(tmp_path / "new" / "a.png", **options, profile=None)
    check_target(tmp_path / "a.png", **options, profile=adobe_rgb)
    assert files(tmp_path) == []
    with pytest.raises(ConfigError, match="wants an RGB profile"):
        check_target(tmp_path / "a.png", **options, profile=odd_cmyk)
    (tmp_path / "b.png").mkdir()
    with pytest.raises(VelaturaError, match="it is a folder"):
        check_target(tmp_path / "b.png", **options, profile=None)


def test_a_png_of_8_bits_is_what_pillow_reads(tmp_path):
    picture = smooth()
    picture.save(tmp_path / "a.png")
    with Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())) as image:
        assert np.array_equal(np.asarray(image), picture.to_array())
