"""Texts beside the pixels come back as they were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from velatura.core.errors import ImageError
from velatura.imaging import Picture, read_text

GREY = Picture.of(np.full((8, 10, 3), 0.5, np.float32))
AWKWARD = '{"name": "a \\"b\\" <c> & \'d\' &#10; é ☃", "path": "C:\\\\x"}\n\tend'


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_every_format_gives_back_its_text(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    GREY.save(path, metadata={"velatura": AWKWARD, "other": "x"})
    assert read_text(path, "velatura") == AWKWARD
    assert read_text(path, "other") == "x"
    assert read_text(path, "velat") is None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_make_no_difference(suffix, tmp_path):
    GREY.save(tmp_path / f"a{suffix}", bits=16, metadata={"velatura": AWKWARD})
    assert read_text(tmp_path / f"a{suffix}", "velatura") == AWKWARD


@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_any_text_comes_back_from_an_xmp_attribute(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "a.webp"
    GREY.save(path, metadata={"velatura": text})
    assert read_text(path, "velatura") == text


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".bmp", ".gif"])
def test_a_picture_of_somebody_else_has_none(suffix, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / f"a{suffix}")
    assert read_text(tmp_path / f"a{suffix}", "velatura") is None


def test_what_is_no_picture_has_none(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    assert read_text(tmp_path / "a.png", "velatura") is None


def test_a_file_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"cannot read .*missing\.png"):
        read_text(tmp_path / "missing.png", "velatura")
    GREY.save(tmp_path / "a.png", metadata={"velatura": AWKWARD})
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    with pytest.raises(ImageError, match=r"cut\.png"):
        read_text(tmp_path / "cut.png", "velatura")
