"""Regions in words, in files and in memory; label pictures; what does not go together."""

import io
import json

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import velatura
from velatura.cli.regions import parse_region
from velatura.core.errors import ConfigError, ImageError
from velatura.imaging import Picture
from velatura.jobs.labels import label_masks
from velatura.jobs.regions import Region, Regions, paintings_of, placed_pictures

SMALL = {"settings": {"pyramid.steps": [2], "pyramid.smallest": 0}, "size": 64, "device": "cpu"}


def picture(seed, size=(48, 64)):
    return Picture(torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)))


def half(side="left", size=(48, 64)):
    mask = torch.zeros(3, *size)
    mask[..., : size[1] // 2] = 1
    return Picture(mask if side == "left" else 1 - mask)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("sky.png=night.jpg", Region(mask="sky.png", styles=("night.jpg",))),
        ("sky.png:part.png=night.jpg", Region(mask="sky.png", styles=("night.jpg",), part="part.png")),
        ("s.png=a.jpg*0.7,b.jpg*.3", Region(mask="s.png", styles=("a.jpg", "b.jpg"), weights=(0.7, 0.3))),
        ("#ff0000=a.jpg,b.jpg", Region(mask="#ff0000", styles=("a.jpg", "b.jpg"))),
        ("face.png=none", Region(mask="face.png")),
        (r"C:\sky.png=night.jpg", Region(mask=r"C:\sky.png", styles=("night.jpg",))),
        ("sky.png=a=b.jpg", Region(mask="sky.png", styles=("a=b.jpg",))),
    ],
)
def test_what_words_mean(text, region):
    assert parse_region(text) == region


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sky.png", "expected MASK=PAINTING"),
        ("sky.png=", "expected MASK=PAINTING"),
        ("sky.png=a.jpg*0.7,b.jpg", "gives 1 weights for 2 paintings"),
        ("sky.png:p.png=none", "no painting is looked at; leave out p.png"),
        ("sky.png:p.png=a.jpg,b.jpg", "a mask of the painting goes with one painting, not with 2"),
    ],
)
def test_words_without_a_meaning(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_region(text)


def test_paintings_are_counted_once_and_all_have_a_place():
    regions = Regions(regions=(parse_region("a.png=x.jpg"), parse_region("rest=y.jpg*0.5,x.jpg*0.5")))
    assert paintings_of(regions, []) == ("x.jpg", "y.jpg")
    assert paintings_of(regions, ["y.jpg"]) == ("y.jpg", "x.jpg")
    with pytest.raises(ConfigError, match=r"style z\.jpg is in no region; give it one, such as rest=z\.jpg"):
        paintings_of(regions, ["z.jpg"])
    assert paintings_of(Regions(), ["z.jpg"]) == ("z.jpg",)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"regions": (Region(mask="#ff0000", styles=("a",)),)}, "there are no labels; name the picture"),
        (
            {"regions": (Region(mask="a.png", styles=("a",)),), "labels": "l.png"},
            "no region names one of their",
        ),
        ({"feather": 3.0}, "there is no mask to feather"),
        ({"regions": (Region(mask="a.png"),)}, "no region has a painting"),
    ],
)
def test_regions_that_do_not_go_together(regions, message):
    with pytest.raises(ConfigError, match=message):
        Regions(**regions)


def test_masks_are_shares_at_the_size_of_the_result():
    regions = Regions(
        regions=(
            Region(mask=half(size=(24, 32)), styles="a"),
            Region(mask="rest", styles=("b", "a"), weights=(3, 1)),
        )
    )
    placed = placed_pictures(regions, ("a", "b"))
    placement, notes = placed.placement(picture(1), (48, 64))
    assert notes == ()
    assert placement.blends == ((1.0, 0.0), (0.25, 0.75))
    assert placement.masks.shape == (2, 48, 64)
    assert_close(placement.masks.sum(dim=0), torch.ones(48, 64))
    assert placement.masks[0, :, :28].min() > 0.97
    assert placement.masks[1, :, 36:].min() > 0.97


def test_masks_that_overlap_share_and_are_told():
    regions = Regions(
        regions=(Region(mask=half(), styles="a"), Region(mask=Picture(torch.ones(3, 48, 64)), styles="b"))
    )
    placement, notes = placed_pictures(regions, ("a", "b")).placement(picture(1), (48, 64))
    assert_close(placement.masks[:, :, :20], torch.full((2, 48, 20), 0.5))
    assert notes == (
        "number 1, number 2: the masks overlap over 50% of the photograph, where each has a share",
    )


def test_what_is_protected_is_taken_from_every_region():
    regions = Regions(regions=(Region(mask="rest", styles="a"),), protect=half())
    placement, notes = placed_pictures(regions, ("a",)).placement(picture(1), (48, 64))
    assert not placement.masks[..., :32].any()
    assert placement.masks[..., 32:].min() == 1
    assert notes == ("the masks leave 50% of the photograph as it is",)
    nothing = Regions(regions=(Region(mask=half(), styles="a"),), protect=half())
    with pytest.raises(ConfigError, match="nothing is left of region number 1: what is protected"):
        placed_pictures(nothing, ("a",)).placement(picture(1), (48, 64))


LARGE = (217, 289)
"""About the photograph's proportions, larger than the result, and no multiple of it."""


def face(white=1.0):
    """A disc in the middle, as large as a mask may be drawn."""
    rows, columns = torch.meshgrid(*(torch.arange(length) for length in LARGE), indexing="ij")
    inside = (rows - 110) ** 2 + (columns - 140) ** 2 < 70**2
    return Picture(white * inside.float().expand(3, *LARGE).contiguous())


WHITE = Picture(torch.ones(3, *LARGE))


@pytest.mark.parametrize(
    ("masks", "protect", "feather", "message"),
    [
        ((face(), "rest"), face(), 0, "nothing is left of region number 1: what is protected, or other"),
        ((face(), "rest"), face(), 3, "nothing is left of region number 1: what is protected, or other"),
        ((WHITE, "rest"), None, 0, "nothing is left of region rest: what is protected, or other regions"),
        (("rest",), WHITE, 0, "nothing is left to paint: what is protected covers all of the photograph"),
    ],
)
def test_a_region_of_which_a_smaller_size_leaves_a_trace_is_refused(masks, protect, feather, message):
    regions = Regions(
        regions=tuple(Region(mask=mask, styles="a") for mask in masks), protect=protect, feather=feather
    )
    with pytest.raises(ConfigError, match=message):
        placed_pictures(regions, ("a",)).placement(picture(1), (48, 64))


def test_white_that_is_too_small_for_the_size_is_refused():
    pixels = torch.zeros(3, 960, 1280)
    pixels[:, 500, 700] = 1
    placed = placed_pictures(Regions(regions=(Region(mask=Picture(pixels), styles="a"),)), ("a",))
    with pytest.raises(ConfigError, match="nothing is left of region number 1 at this size: its white is"):
        placed.placement(picture(1), (48, 64))


@pytest.mark.parametrize(
    ("white", "feather", "told"), [(1, 0, False), (1, 6, False), (1, 200, True), (0.4, 200, False)]
)
def test_a_protection_that_its_feather_blurs_away_is_told(white, feather, told):
    regions = Regions(regions=(Region(mask="rest", styles="a"),), protect=face(white), feather=feather)
    _, notes = placed_pictures(regions, ("a",)).placement(picture(1), (48, 64))
    found = [note for note in notes if note.startswith("feathered over 200 pixels, what is protected stays")]
    assert len(found) == told


@pytest.mark.parametrize(("mask", "protect"), [(face(), face(0.8)), (face(0.5), face(0.6)), (WHITE, face())])
def test_what_grey_protects_in_part_is_painted_in_part(mask, protect):
    placed = placed_pictures(Regions(regions=(Region(mask=mask, styles="a"),), protect=protect), ("a",))
    placement, _ = placed.placement(picture(1), (48, 64))
    assert placement.masks.max() > 0.15


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Picture(torch.ones(3, 40, 40)), "mask number 1 is 40x40 and the photograph 64x48"),
        (Picture(torch.zeros(3, 48, 64)), "mask number 1 is black everywhere"),
    ],
)
def test_masks_that_do_not_fit(mask, message):
    placed = placed_pictures(Regions(regions=(Region(mask=mask, styles="a"),)), ("a",))
    with pytest.raises(ConfigError, match=message):
        placed.placement(picture(1), (48, 64))


def test_a_region_is_named_once():
    regions = Regions(regions=(parse_region("a.png=x.jpg"), parse_region("a.png=y.jpg")))
    regions = Regions(regions=(parse_region("rest=x.jpg"), parse_region("rest=y.jpg")))
    with pytest.raises(ConfigError, match="region rest is named twice; give its paintings at once"):
        placed_pictures(regions, ("x.jpg", "y.jpg"))


# Labels


def labels(*, quality=None):
    """Red on the left, blue on the right, a green strip below; as a JPEG leaves it, if asked."""
    pixels = torch.zeros(3, 48, 64)
    pixels[0, :, :32], pixels[2, :, 32:] = 1, 1
    pixels[:, 40:] = torch.tensor([0, 0.6, 0])[:, None, None]
    if quality is None:
        return Picture(pixels)
    stream = io.BytesIO()
    Picture(pixels).to_pil().save(stream, "JPEG", quality=quality)
    return Picture.of(Image.open(stream))


@pytest.mark.parametrize("quality", [None, 90, 40])
def test_each_colour_has_its_pixels_whatever_a_jpeg_did(quality):
    found = label_masks(labels(quality=quality), ["#ff0000", "#0000ff"], "l.png")
    wanted = label_masks(labels(), ["#ff0000", "#0000ff"], "l.png").masks
    assert (found.masks - wanted).abs().mean() < 0.02
    # What no region names is nobody's, and is told.
    assert not found.masks[:, 42:].any()
    (note,) = found.notes("l.png")
    assert "over 17%, which no region names" in note


def test_a_colour_that_is_nowhere_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"no pixel of l.png is #ffff00 \(it has #ff0000, .*name a colour"):
        label_masks(labels(), ["#ff0000", "#ffff00"], "l.png")


# In Python


def test_pictures_and_files_say_the_same(tmp_path):
    content, one, other = picture(1), picture(2), picture(3)
    for name, each in (("one", one), ("other", other), ("left", half())):
        each.save(tmp_path / f"{name}.png")
    in_memory = velatura.stylize(
        content,
        regions=[velatura.Region(mask=half(), styles=one), velatura.Region(mask="rest", styles=[other])],
        **SMALL,
    )
    files = velatura.stylize(
        content,
        regions=[
            velatura.Region(mask=tmp_path / "left.png", styles=tmp_path / "one.png"),
            velatura.Region(mask="rest", styles=str(tmp_path / "other.png")),
        ],
        **SMALL,
    )
    assert (in_memory.picture.pixels - files.picture.pixels).abs().max() < 0.05
    pictures = json.loads(json.dumps(files.record))["pictures"]
    assert [region["blend"] for region in pictures["regions"]] == [[1, 0], [0, 1]]
    assert pictures["regions"][1]["mask"] == "rest"


def test_a_mask_of_everything_gives_the_pixels_of_no_mask():
    content, painting = picture(1), picture(2)
    plain = velatura.stylize(content, painting, **SMALL)
    region = velatura.Region(mask=Picture(torch.ones(3, 48, 64)), styles=painting)
    masked = velatura.stylize(content, regions=[region], **SMALL)
    assert torch.equal(masked.picture.pixels, plain.picture.pixels)


@pytest.mark.parametrize("nothing", [None, ()])
def test_a_region_without_paintings_stays(nothing):
    content = picture(1)
    regions = [
        velatura.Region(mask=half(), styles=nothing),
        velatura.Region(mask="rest", styles=picture(2)),
    ]
    result = velatura.stylize(content, regions=regions, **SMALL)
    assert_close(result.picture.pixels[..., :24], content.pixels[..., :24], rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [SMALL, {"preset": "instant", "size": 64, "device": "cpu"}])
def test_networks_and_optimisation_leave_the_same_alone(options):
    content = picture(1)
    result = velatura.stylize(content, picture(2), protect=half(), feather=4, **options)
    assert_close(result.picture.pixels[..., :20], content.pixels[..., :20], rtol=0, atol=1e-6)
    assert (result.picture.pixels - content.pixels)[..., 44:].abs().mean() > 0.01


def test_a_network_blends_in_each_region():
    content, one, other = picture(1), picture(2), picture(3)
    options = {"preset": "instant", "size": 64, "device": "cpu"}
    regions = [velatura.Region(mask="rest", styles=(one, other), weights=(0.7, 0.3))]
    found = velatura.stylize(content, regions=regions, **options).picture.pixels
    expected = velatura.stylize(content, [one, other], blend=(0.7, 0.3), **options).picture.pixels
    assert_close(found, expected, rtol=0, atol=2e-3)


def test_what_a_network_cannot_honour_is_refused():
    region = velatura.Region(mask="rest", styles=picture(2), part=half())
    with pytest.raises(ConfigError, match="looks at all of a painting, and a mask of the painting is for"):
        velatura.stylize(picture(1), regions=[region], preset="instant", size=64)
    with pytest.raises(ConfigError, match="a fine style is of an optimisation"):
        velatura.stylize(picture(1), picture(2), fine_style=picture(3), preset="instant", size=64)


def test_a_region_too_small_for_deep_layers_is_told():
    mask = torch.zeros(3, 48, 64)
    mask[:, 10:34, 10:34] = 1
    region = velatura.Region(mask=Picture(mask), styles=picture(2))
    settings = {**SMALL["settings"], "guides.mode": "inside"}
    result = velatura.stylize(picture(1), regions=[region], **{**SMALL, "settings": settings})
    (note,) = (note for note in result.notes if "too small" in note)
    assert "relu4_1" in note
    assert "relu1_1" not in note


def test_a_dot_is_told_which_layers_go_without_it():
    mask = torch.zeros(3, 48, 64)
    mask[:, 16:23, 24:31] = 1
    region = velatura.Region(mask=Picture(mask), styles=picture(2))
    result = velatura.stylize(picture(1), regions=[region], **SMALL)
    (note,) = (note for note in result.notes if "too small" in note)
    assert "relu4_1" in note
    assert "relu1_1" not in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blend": (1.0,)}, "regions say where each style goes and a blend how much"),
        ({"settings": {**SMALL["settings"], "terms.style.blend": [1.0]}}, "has a blend of its own"),
    ],
)
def test_regions_and_blends_exclude_one_another(options, message):
    region = velatura.Region(mask=half(), styles=picture(2))
    with pytest.raises(ConfigError, match=message):
        velatura.stylize(picture(1), regions=[region], **{**SMALL, **options})


def test_guides_without_a_mask_are_refused():
    settings = {**SMALL["settings"], "guides.mode": "all"}
    with pytest.raises(ConfigError, match="guides say how masks reach the layers, and there is no mask"):
        velatura.stylize(picture(1), picture(2), **{**SMALL, "settings": settings})


def test_a_mask_that_is_no_picture(tmp_path):
    (tmp_path / "mask.png").write_text("not a picture")
    region = velatura.Region(mask=tmp_path / "mask.png", styles=picture(2))
    with pytest.raises(ImageError, match=r"mask.png"):
        velatura.stylize(picture(1), regions=[region], **SMALL)
