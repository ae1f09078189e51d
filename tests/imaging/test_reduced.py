"""Pictures in strips: the same as the whole, at the same limits."""

import importlib
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch.testing import assert_close

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_at_most, read_picture, reduced, write_picture
from velatura.ops.resize import resize

pytest.importorskip("pyvips")

SIZE = (64, 90)
SMALL = {"whole_bytes": 1}
FEW = {"whole_pixels": SIZE[0] * SIZE[1] - 1}
"""So that the pictures here are too large to be read whole, by their bytes or by one pixel."""


@pytest.fixture(autouse=True)
def _tiny_strips(monkeypatch):
    monkeypatch.setattr(reduced, "_STRIP_PIXELS", 7 * SIZE[1])


def _pixels(channels=3):
    """Smooth, so that what JPEG makes of it is near."""
    y, x = torch.meshgrid(*(torch.linspace(0, 1, edge) for edge in SIZE), indexing="ij")
    return torch.stack([y, x, (x + y) / 2, 0.2 + 0.8 * y * x])[:channels]


def _array(channels, dtype=np.uint8):
    full = np.iinfo(dtype).max
    return (_pixels(channels).permute(1, 2, 0).numpy() * full).round().astype(dtype)


def _check(path, *, tolerance=1e-5, **options):
    """Made smaller in strips, and made smaller of the whole."""
    whole = read_picture(path)
    size = (32, 45) if whole.width > whole.height else (45, 32)
    picture = read_at_most(path, 45, **SMALL, **options)
    assert (picture.height, picture.width) == size
    expected = resize(whole.pixels[None], size)[0].clamp(0, 1)
    assert_close(picture.pixels, expected, atol=tolerance, rtol=0)
    assert (picture.icc, picture.exif, picture.dpi) == (whole.icc, whole.exif, whole.dpi)
    if whole.alpha is None:
        assert picture.alpha is None
    else:
        assert_close(picture.alpha, resize(whole.alpha[None], size)[0].clamp(0, 1), atol=tolerance, rtol=0)
    return picture


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_eight_bits(tmp_path, name, mode):
    if name == "a.jpg" and mode.endswith("A"):
        pytest.skip("JPEG has no alpha")
    image = Image.fromarray(_array(4), "RGBA").convert(mode)
    image.save(tmp_path / name, dpi=(300, 300))
    _check(tmp_path / name, tolerance=1e-5 if name != "a.jpg" else 0.005)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits(tmp_path, name, channels):
    planes = _pixels(channels)
    picture = Picture(planes[:3], alpha=planes[3:] if channels == 4 else None, dpi=240.0)
    write_picture(picture, tmp_path / name, bits=16)
    _check(tmp_path / name)


def test_grey_of_sixteen_bits(tmp_path):
    Image.fromarray(_array(1, np.uint16)[..., 0]).save(tmp_path / "a.png")
    _check(tmp_path / "a.png")


@pytest.mark.parametrize("turn", range(1, 9))
def test_upright(tmp_path, turn):
    exif = Image.Exif()
    exif[274], exif[315] = turn, "Ada"
    Image.fromarray(_array(3)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    _check(tmp_path / "a.jpg", tolerance=0.005)


def test_palette(tmp_path):
    Image.fromarray(_array(3)).quantize(16).save(tmp_path / "a.png")
    _check(tmp_path / "a.png")


def test_cmyk(tmp_path):
    Image.fromarray(_array(3)).convert("CMYK").save(tmp_path / "a.tiff")
    _check(tmp_path / "a.tiff")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_colour_profile_is_applied_and_kept(tmp_path, bits):
    profile = _wide_profile()
    write_picture(Picture(_pixels(), icc=profile), tmp_path / "a.png", bits=bits, icc="keep")
    assert _check(tmp_path / "a.png").icc == profile


def _wide_profile():
    """sRGB with red and green changed for each other's likes: far from sRGB."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", data, 128)
    for number in range(count):
        name, offset, _ = struct.unpack_from(">4sII", data, 132 + 12 * number)
        if name == b"rXYZ":
            struct.pack_into(">3i", data, offset + 8, 39000, 18000, 1500)
    return bytes(data)


def test_strips_at_its_own_size_are_the_picture(tmp_path):
    """Nothing is resampled: the same to the bit."""
    write_picture(Picture(_pixels()), tmp_path / "a.png", bits=16)
    strips = read_at_most(tmp_path / "a.png", 90, whole_bytes=1)
    assert torch.equal(strips.pixels, read_picture(tmp_path / "a.png").pixels)
    assert strips.notes == ()


def test_what_is_small_is_read_as_ever(tmp_path):
    write_picture(Picture(_pixels()), tmp_path / "a.png")
    picture = read_at_most(tmp_path / "a.png", 45)
    assert (picture.height, picture.width) == SIZE


def test_it_is_noted(tmp_path):
    write_picture(Picture(_pixels()), tmp_path / "a.png")
    notes = read_at_most(tmp_path / "a.png", 45, **FEW).notes
    assert notes == ("of its 90x64 pixels, 45x32 were made while it was read",)


def test_without_the_package_the_error_names_it(tmp_path, monkeypatch):
    write_picture(Picture(_pixels()), tmp_path / "a.png")

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImageError, match=r"cannot read .*pip install 'velatura\[tiled\]'"):
        read_at_most(tmp_path / "a.png", 45, **SMALL)


def test_a_bomb_is_refused_before_anything_is_decoded(tmp_path):
    """A header of 400,000 x 400,000 pixels and nothing behind it."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">2I5B", 400_000, 400_000, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match="160000 megapixels, more than the limit of 2500"):
        read_at_most(tmp_path / "a.png", 512)


def test_a_size_that_is_itself_too_large_is_refused(tmp_path):
    write_picture(Picture(_pixels()), tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"would be read at 90x64, more than the limit .* smaller size"):
        read_at_most(tmp_path / "a.png", 90, **FEW)


@pytest.mark.parametrize("name", ["progressive.jpg", "interlaced.png"])
def test_what_can_only_be_read_whole_is_refused(tmp_path, name):
    path = tmp_path / name
    if name.endswith("jpg"):
        Image.fromarray(_array(3)).save(path, progressive=True)
    else:
        write_picture(Picture(_pixels()), path)
        data = bytearray(path.read_bytes())
        data[28] = 1
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="can only be read whole"):
        read_at_most(path, 45, **SMALL)


def test_a_tiff_of_one_large_piece_is_refused(tmp_path):
    Image.fromarray(_array(3)).save(tmp_path / "a.tiff", tiffinfo={278: SIZE[0]})
    with pytest.raises(ImageError, match="stored in pieces of"):
        read_at_most(tmp_path / "a.tiff", 45, **FEW)


def test_a_truncated_file_is_an_error(tmp_path):
    write_picture(Picture(torch.rand(3, *SIZE)), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="cannot read"):
        read_at_most(tmp_path / "a.png", 45, **SMALL)


def test_a_missing_file(tmp_path):
    with pytest.raises(ImageError, match="there is no such file"):
        read_at_most(tmp_path / "none.png", 45)
