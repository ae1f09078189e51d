"""``--mask``, ``--labels``, ``--protect`` and ``--feather`` of ``velatura stylize``."""

import pytest
import torch

from velatura.imaging import Picture, read_picture, write_picture


@pytest.fixture
def halves(photo, tmp_path):
    """Masks of the left and the right half, and the picture that labels them red and blue."""
    content = read_picture(photo)
    left = torch.zeros(1, content.height, content.width)
    left[..., : content.width // 2] = 1
    paths = left_path, right_path, labels = [tmp_path / f"{name}.png" for name in ("left", "right", "labels")]
    write_picture(Picture(pixels=left.repeat(3, 1, 1)), left_path)
    write_picture(Picture(pixels=1 - left.repeat(3, 1, 1)), right_path)
    write_picture(Picture(pixels=torch.cat([left, torch.zeros_like(left), 1 - left])), labels)
    return paths


def pixels(path):
    return read_picture(path).pixels


@pytest.fixture
def stylized(velatura, photo, tmp_path):
    """Runs at the photograph's own size, and gives the pixels of the result."""
    size = max(pixels(photo).shape)

    def run(*words, status=0):
        out = tmp_path / "out.png"
        common = ("-o", out, "-q", "--size", size, "--steps", "2", "--set", "pyramid.smallest=0")
        done = velatura("stylize", photo, *words, *common)
        assert done.status == status
        return pixels(out) if status == 0 else done.err

    return run


def test_a_region_without_a_painting_stays_as_the_photo_is(stylized, halves, photo, painting):
    left, right, _ = halves
    out = stylized("--mask", f"{left}={painting}", "--mask", f"{right}=none")
    half = out.shape[2] // 2
    assert torch.equal(out[..., half:], pixels(photo)[..., half:])
    assert (out - pixels(photo))[..., : half - 2].abs().mean() > 0.01


def test_masks_labels_and_the_rest_say_the_same(stylized, halves, painting):
    left, right, labels = halves
    by_mask = stylized("--mask", f"{left}={painting}", "--mask", f"{right}=none")
    in_order = stylized(painting, "--mask", left)
    by_label = stylized("--labels", labels, "--mask", f"#ff0000={painting}", "--mask", "#0000ff=none")
    rest = stylized("--mask", f"rest={painting}", "--mask", f"{right}=none")
    for other in (in_order, by_label, rest):
        assert torch.equal(other, by_mask)


def test_what_is_protected_stays_and_edges_fade(stylized, halves, photo, painting):
    _, right, _ = halves
    hard = stylized(painting, "--protect", right)
    half = hard.shape[2] // 2
    assert torch.equal(hard[..., half:], pixels(photo)[..., half:])
    soft = stylized(painting, "--protect", right, "--feather", "6")
    assert not torch.equal(soft[..., half : half + 4], pixels(photo)[..., half : half + 4])
    assert torch.equal(soft[..., half + 12 :], pixels(photo)[..., half + 12 :])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{painting}", "--mask", "{left}", "--mask", "{right}"], "2 masks for 1 painting;"),
        (["{painting}", "--mask", "{left}", "--mask", "{right}={painting}"], "names no painting"),
        (["{painting}", "--mask", "={painting}"], "expected MASK=PAINTING"),
        (["--mask", "{left}={painting}*x"], "expected a number behind '*'"),
        (["--mask", "#ff0000={painting}"], "there are no labels"),
        (["--labels", "{labels}", "--mask", "#00ff00={painting}"], "no pixel of"),
        (["{painting}", "--feather", "4"], "there is no mask to feather"),
        (["--mask", "{left}=none"], "no region has a painting"),
        (["--mask", "{painting}.missing={painting}"], "missing"),
    ],
)
def test_masks_that_cannot_be_followed(stylized, halves, painting, words, line):
    names = dict(zip(("left", "right", "labels"), halves, strict=True), painting=painting)
    assert line in stylized(*[word.format(**names) for word in words], status=2)
