import pytest

from velatura.core.errors import ConfigError
from velatura.core.lengths import pixels_of


@pytest.mark.parametrize(
    ("text", "dpi", "pixels"),
    [
        ("512", None, 512),
        ("512", 300, 512),
        ("60cm", 300, 7087),  # 60 / 2.54 * 300 = 7086.6
        ("600 mm", 300, 7087),
        ("0.6m", 300, 7087),
        ("24in", 300, 7200),
        ("8.5IN", 100, 850),
    ],
)
def test_worked_examples(text, dpi, pixels):
    assert pixels_of(text, dpi=dpi) == pixels


def test_a_length_needs_pixels_an_inch():
    with pytest.raises(ConfigError, match=r"a size of 60cm .* give --dpi"):
        pixels_of("60cm", dpi=None)


@pytest.mark.parametrize("text", ["", "cm", "60x40cm", "-5", "5.5", "12pt", "1e3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match="expected whole pixels, or the length"):
        pixels_of(text, dpi=300)
