"""Every file of the awkward collection: Pillow's own hard cases, and the whole PngSuite."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from velatura.core.errors import ImageError
from velatura.imaging import read_picture

pytestmark = pytest.mark.data

READER = """
import json, resource, sys, time, warnings
from pathlib import Path
warnings.simplefilter("error")
import torch
torch.set_num_threads(1)
from velatura.core.errors import ImageError
from velatura.imaging import read_picture
results = {}
for path in sorted(Path(sys.argv[1]).rglob("*.*")):
    start = time.process_time()
    try:
        picture = read_picture(path)
        result = [picture.width, picture.height]
    except ImageError as error:
        result = str(error)
    results[path.name] = [result, time.process_time() - start]
print(json.dumps([results, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""

SIZES = {
    "16bit.MM.cropped.tif": (64, 64),
    "16bit.cropped.tif": (64, 64),
    "1_trns.png": (64, 64),
    "PngSuite.png": (256, 256),
    "anim_frame1.webp": (82, 82),
    "chi.gif": (320, 240),
    "flower.webp": (480, 360),
    "hopper.bmp": (128, 128),
    "hopper.gif": (128, 128),
    "hopper.ico": (16, 16),
    "hopper.jpg": (128, 128),
    "hopper.png": (128, 128),
    "hopper.tif": (128, 128),
    "hopper.webp": (128, 128),
    "hopper_bw_500.png": (500, 500),
    "hopper_gray.jpg": (128, 128),
    **{f"hopper_orientation_{n}.jpg": (128, 128) for n in range(2, 9)},
    "i_trns.png": (64, 64),
    "junk_jpeg_header.jpg": (1024, 768),
    "l_trns.png": (64, 64),
    "la.tga": (64, 64),
    "lab.tif": (10, 10),
    "orientation_rectangle.jpg": (1, 2),
    "p_trns_single.png": (64, 64),
    "pil_sample_cmyk.jpg": (100, 100),
    "pil_sample_rgb.jpg": (100, 100),
    "rgb.jpg": (100, 100),
    "rgb_trns.png": (64, 64),
    "transparent.gif": (200, 150),
    "transparent.png": (200, 150),
    "xmp_test.jpg": (2000, 1072),
}
ERRORS = {
    "bmp__b__badwidth.bmp": "it has 274878 megapixels, more than the limit of 110",
    "bmp__b__reallybig.bmp": "it has 6e+06 megapixels, more than the limit of 110",
    "broken.png": "it begins like a PNG file, but its header is broken or of a kind that is not read",
    "decompression_bomb.gif": "it has 4364.7 megapixels, more than the limit of 110",
    "decompression_bomb.ico": "it has 4294.84 megapixels, more than the limit of 110",
    "dummy.container": "it is in no format that is read",
    "hopper_unknown_pixel_mode.tif": "it begins like a TIFF file, but its header is broken",
    "negative_size.ppm": "it is in no format that is read",
    "png_decompression_dos.png": "its text unpacks to more than the limit of 1 MiB",
    "seek_too_large.tif": "Unable to seek to frame",
    "truncated_image.png": "image file is truncated",
    "truncated_jpeg.jpg": "image file is truncated (8 bytes not processed)",
}


@pytest.fixture(scope="module")
def awkward(data_dir):
    folder = data_dir / "awkward"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    return folder


@pytest.fixture(scope="module")
def all_read(awkward):
    """Width and height, or the error, and the seconds, of every file; and the most memory in bytes."""
    command = [sys.executable, "-c", READER, str(awkward)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_every_file_is_a_picture_of_its_size_or_one_line(awkward, all_read):
    results, _ = all_read
    for path in sorted(awkward.rglob("*.*")):
        result, _ = results[path.name]
        if path.name.startswith("png__x"):
            assert isinstance(result, str), path.name
        elif path.name.startswith("png__"):
            assert tuple(result) == struct.unpack(">2I", path.read_bytes()[16:24]), path.name
        elif path.name in SIZES:
            assert tuple(result) == SIZES[path.name], path.name
        else:
            assert result.startswith(f"cannot read '{path}': {ERRORS[path.name]}"), path.name
        assert "\n" not in str(result)


def test_no_file_takes_long_or_much_memory(all_read):
    results, memory = all_read
    assert len(results) == 226 - 2  # without the two licences
    assert max(seconds for _, seconds in results.values()) < 10
    assert memory < 2 * 2**30


def test_a_licence_is_no_picture(awkward):
    for path in awkward.rglob("LICENSE"):
        with pytest.raises(ImageError, match="it is in no format that is read"):
            read_picture(path)


def at(path, x, y):
    return read_picture(path).to_array()[y, x].tolist()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_orientation_shows_the_same_portrait(awkward, orientation):
    upright = read_picture(awkward / "pillow/hopper.jpg").to_array().astype(int)
    turned = read_picture(awkward / f"pillow/hopper_orientation_{orientation}.jpg").to_array()
    assert np.abs(turned - upright).mean() < 6  # Wrongly turned, it is above 60.


def test_a_rectangle_stands_upright(awkward):
    assert read_picture(awkward / "pillow/orientation_rectangle.jpg").to_array().shape == (2, 1, 3)


def test_cmyk_has_the_colors_of_its_rgb_twin(awkward):
    cmyk = read_picture(awkward / "pillow/pil_sample_cmyk.jpg").to_array().astype(int)
    rgb = read_picture(awkward / "pillow/pil_sample_rgb.jpg").to_array().astype(int)
    assert np.abs(cmyk - rgb).mean() < 6  # Inverted, it is above 200.


@pytest.mark.parametrize(
    ("name", "x", "y", "color"),
    [
        ("pillow/lab.tif", 5, 5, [254, 255, 254]),
        ("pillow/hopper.png", 100, 16, [69, 107, 178]),  # blue of the flag
        ("pillow/rgb_trns.png", 0, 0, [255, 0, 0]),
        ("pillow/la.tga", 0, 0, [0, 0, 0]),
        ("pillow/transparent.png", 100, 100, [157, 13, 23]),  # a red die
        ("pillow/rgb.jpg", 10, 10, [237, 33, 36]),
        ("pillow/pil_sample_cmyk.jpg", 5, 3, [254, 14, 23]),
        ("pngsuite/png__basn3p02.png", 0, 0, [0, 0, 255]),
        # The 16-bit pictures of PngSuite fade between yellow, green, blue and red corners.
        ("pngsuite/png__basn2c16.png", 0, 0, [255, 255, 0]),
        ("pngsuite/png__basn2c16.png", 31, 0, [0, 255, 0]),
        ("pngsuite/png__basi6a16.png", 31, 31, [0, 0, 255]),
        ("pngsuite/png__basi6a16.png", 0, 31, [255, 0, 0]),
    ],
)
def test_colors_known_by_sight(awkward, name, x, y, color):
    assert at(awkward / name, x, y) == pytest.approx(color, abs=2)


def test_deep_pngs_agree_with_the_upper_8_bits(awkward):
    from PIL import Image

    for path in sorted(awkward.glob("pngsuite/png__*16.png")):
        if path.name.startswith("png__x"):
            continue
        picture = read_picture(path)
        with Image.open(path) as image:
            if image.mode not in ("RGB", "RGBA"):
                continue
            upper = np.asarray(image.convert("RGB"))
        deep = (picture.pixels * 65535).round().permute(1, 2, 0).numpy().astype(int)
        assert np.array_equal(deep >> 8, upper), path.name


def test_interlaced_and_plain_pngs_are_the_same(awkward):
    for plain in sorted(awkward.glob("pngsuite/png__basn*.png")):
        twin = plain.with_name(plain.name.replace("basn", "basi"))
        assert read_picture(plain).pixels.equal(read_picture(twin).pixels), plain.name


def test_a_camera_s_profile_is_kept_and_its_place_is_not(awkward):
    picture = read_picture(awkward / "pillow/xmp_test.jpg")
    assert b"Adobe RGB (1998)" in picture.icc
    assert b"Canon EOS Rebel T6" in picture.exif
    assert len(picture.exif) < 400
