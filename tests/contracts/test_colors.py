"""What every registered colour mode promises."""

import pytest
import torch
from torch.testing import assert_close

from velatura.colors import ColorMode, colors
from velatura.core.config import annotations_of


def _picture(seed, tint, size=(36, 48)):
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    return (0.7 * pixels + 0.3 * pixels.mean(dim=1, keepdim=True)) * torch.tensor(tint)[:, None, None]


PHOTO, PAINTING = _picture(0, (0.4, 0.7, 0.9)), _picture(1, (1.0, 0.4, 0.2), size=(40, 30))
WITH_PALETTE = [name for name in colors if "palette" in annotations_of(colors[name])]


def _through(mode, photo=PHOTO, painting=PAINTING):
    """What is transferred, and what a transfer that gives the photograph back ends with."""
    content, (style,) = mode.prepare(photo, [painting])
    return content, style, mode.finish(content, photo, [painting], [1.0])


@pytest.mark.parametrize("name", colors)
def test_is_a_mode_that_says_what_it_does(name):
    part = colors[name]
    assert issubclass(part, ColorMode)
    assert isinstance(part.recolors, bool)
    assert isinstance(part.composes, bool)
    assert 0 <= part().palette <= 1


@pytest.mark.parametrize("name", colors)
def test_keeps_shapes_and_changes_nothing_it_is_given(name):
    photo, painting = PHOTO.clone(), PAINTING.clone()
    content, style, result = _through(colors[name](), photo, painting)
    assert torch.equal(photo, PHOTO)
    assert torch.equal(painting, PAINTING)
    for found, like in ((content, PHOTO), (style, PAINTING), (result, PHOTO)):
        assert found.shape == like.shape
        assert found.dtype == like.dtype
        assert found.isfinite().all()


@pytest.mark.parametrize("name", colors)
def test_gives_the_same_twice(name):
    for one, other in zip(_through(colors[name]()), _through(colors[name]()), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", colors)
def test_a_photograph_in_its_own_colours_is_itself(name):
    """A painting that is the photograph is not recoloured; a transfer that changes nothing ends with it."""
    mode = colors[name]()
    content, style, result = _through(mode, PHOTO, PHOTO)
    assert_close(style, content, rtol=0, atol=1e-4)
    assert_close(result, PHOTO, rtol=0, atol=1e-4)
    if not mode.composes:
        assert_close(style, PHOTO, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", colors)
def test_says_truly_whether_it_recolours_and_composes(name):
    mode = colors[name]()
    content, style, _ = _through(mode)
    assert torch.equal(content, PHOTO) != mode.composes
    assert torch.equal(style, PAINTING) != (mode.recolors or mode.composes)


@pytest.mark.parametrize("name", colors)
def test_networks_with_styles_of_their_own_have_no_painting(name):
    mode = colors[name]()
    content, styles = mode.prepare(PHOTO, [])
    assert styles == []
    if not mode.recolors:
        assert mode.finish(content, PHOTO, [], []).shape == PHOTO.shape


@pytest.mark.parametrize("name", colors)
@pytest.mark.parametrize("which", ["photo", "painting", "both"])
@pytest.mark.parametrize("kind", ["grey", "one colour", "black", "white"])
def test_grey_pictures_and_pictures_of_one_colour(name, which, kind):
    mode = colors[name]()

    def dull(picture):
        match kind:
            case "grey":
                return picture[:, :1].expand(-1, 3, -1, -1)
            case "one colour":
                return picture[..., :1, :1].expand_as(picture)
        return torch.full_like(picture, float(kind == "white"))

    photo = dull(PHOTO) if which != "painting" else PHOTO
    painting = dull(PAINTING) if which != "photo" else PAINTING
    content, style, result = _through(mode, photo, painting)
    for found in (content, style, result):
        assert found.isfinite().all()
    assert style.abs().max() < 3
    assert_close(result, photo, rtol=0, atol=1e-4)
    if mode.composes:
        # Of a grey photograph the result is grey, whatever the transfer came to.
        other = mode.finish(style.clamp(0, 1)[..., :30, :30], photo[..., :30, :30], [painting], [1.0])
        if kind in ("grey", "black", "white") and which != "painting":
            assert (other - other.mean(dim=1, keepdim=True)).abs().max() < 1e-3


@pytest.mark.parametrize("name", WITH_PALETTE)
def test_a_palette_goes_evenly_from_the_photograph_s_to_the_painting_s(name):
    # For a mode that recolours paintings, seen there; else in what the transfer ends with.
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    found = [_through(colors[name](palette=share))[2 if colors[name].composes else 1] for share in shares]
    end = found[-1]
    far = [(one - end).abs().mean().item() for one in found]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0.02
    if not colors[name].composes:
        assert_close(end, PAINTING, rtol=0, atol=1e-6)
        assert far[1:4] == pytest.approx([0.75 * far[0], 0.5 * far[0], 0.25 * far[0]], rel=1e-3)
