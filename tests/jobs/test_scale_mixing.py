"""Several styles: the fine one of one painting, the composition of another; blends of one term."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import velatura
from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError
from velatura.engine.objective import Objective, Term
from velatura.imaging import Picture
from velatura.jobs.scale_mixing import fine_method
from velatura.jobs.stylize import stylization
from velatura.losses.gram import Gram

SMALL = {"pyramid.steps": [2], "pyramid.smallest": 0, "fine.steps": 3}


def picture(seed, size=(48, 64)):
    return Picture(torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture(scope="module")
def backbone():
    return build_backbone(BackboneConfig(weights="random"))


def test_the_fine_style_is_taken_by_low_layers_from_the_painting_without_content(backbone):
    method = stylization(changes={"fine.steps": 7, "style_scale": 2.0}).method
    fine = fine_method(method, backbone)
    assert list(fine.terms) == ["style"]
    assert list(fine.terms["style"].layers) == ["relu1_1", "relu1_2", "relu2_1"]
    assert fine.initialization.name == "content"
    assert (fine.pyramid.smallest, fine.pyramid.steps) == (0, (7,))
    deeper = stylization(changes={"fine.until": "relu3_1"}).method
    assert list(fine_method(deeper, backbone).terms["style"].layers)[-1] == "relu3_1"
    with pytest.raises(ConfigError, match="no layer of the style is at or below conv1_1"):
        fine_method(stylization(changes={"fine.until": "conv1_1"}).method, backbone)


def test_a_network_without_the_layer_says_which_setting_names_it():
    method = stylization("bisht2023", changes={"backbone.weights": "random"}).method
    resnet = build_backbone(method.backbone)
    message = r"is 'relu2_1', which resnet18 has not; .*, such as fine\.until=layer1 \(known: conv1,"
    with pytest.raises(ConfigError, match=message):
        fine_method(method, resnet)
    slip = replace(method, fine=replace(method.fine, until="layr2"))
    with pytest.raises(
        ConfigError, match=r"is 'layr2', which resnet18 has not; did you mean 'layer2'\? \(known:"
    ):
        fine_method(slip, resnet)
    until = replace(method, fine=replace(method.fine, until="layer1"))
    assert list(fine_method(until, resnet).terms["style"].layers) == ["conv1", "layer1"]


def test_the_mixture_is_the_painting_that_is_used():
    content, coarse, fine = picture(1), picture(2), picture(3)
    options = {"settings": SMALL, "size": 64, "device": "cpu"}
    result = velatura.stylize(content, coarse, fine_style=fine, **options)
    changes = {"fine.until": "relu2_1"} | SMALL
    method = stylization(changes=changes).method
    laid_on = fine_method(method, build_backbone(method.backbone))
    terms = {f"terms.{name}.layers": dict(term.layers) for name, term in laid_on.terms.items()}
    settings = {
        **terms,
        "terms.content.weight": 0,
        "initialization.name": "content",
        "pyramid.steps": [3],
        "pyramid.smallest": 0,
    }
    mixed = velatura.stylize(coarse, fine, settings=settings, size=64, device="cpu").picture
    plain = {key: value for key, value in SMALL.items() if key != "fine.steps"}
    expected = velatura.stylize(content, mixed, settings=plain, size=64, device="cpu")
    assert_close(result.picture.pixels, expected.picture.pixels, rtol=0, atol=1e-4)
    assert {"coarse_style", "fine_style"} <= result.record["pictures"].keys()


@pytest.mark.parametrize(
    ("styles", "options", "message"),
    [
        (2, {"fine_style": picture(4)}, "goes with the composition of one painting, not of 2"),
        (1, {"settings": {"fine.steps": 7}}, "fine says how a fine style is laid on, and there is none"),
    ],
)
def test_a_fine_style_that_does_not_fit(styles, options, message):
    with pytest.raises(ConfigError, match=message):
        velatura.stylize(picture(1), [picture(n + 2) for n in range(styles)], size=64, **options)


def test_a_term_may_take_its_own_part_of_each_painting(backbone):
    paintings = [picture(2).pixels[None], picture(3).pixels[None]]

    def term(layer, blend=None):
        return Term(loss=Gram(), of="style", layers={layer: 1.0}, blend=blend)

    both = Objective(backbone, {"fine": term("relu1_1", (2.0, 0.0)), "coarse": term("relu3_1", (0.0, 1.0))})
    both.aim(picture(1).pixels[None], paintings, [0.5, 0.5])
    for name, layer, painting in (("fine", "relu1_1", 0), ("coarse", "relu3_1", 1)):
        alone = Objective(backbone, {name: term(layer)})
        alone.aim(picture(1).pixels[None], [paintings[painting]], [1.0])
        assert_close(both.targets[name][layer], alone.targets[name][layer])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"of": "content", "blend": (1.0,)}, "a term of 'content' looks at no painting"),
        ({"of": "style", "blend": (0.0, 0.0)}, "are all zero"),
    ],
)
def test_blends_that_a_term_cannot_have(changes, message):
    with pytest.raises(ConfigError, match=message):
        Term(loss=Gram(), layers={"relu1_1": 1.0}, **changes)


def test_a_terms_blend_has_a_weight_for_each_painting():
    with pytest.raises(ConfigError, match="a term's blend has 1 weight for 2 style pictures"):
        velatura.stylize(picture(1), [picture(2), picture(3)], settings={"terms.style.blend": [1.0]}, size=64)


def test_a_painting_is_looked_at_as_large_as_asked():
    by_size = stylization(changes={"style_size": 96}).method
    assert by_size.looked_at((30, 40), (48, 64), (48, 64)) == (72, 96)
    assert by_size.looked_at((30, 40), (24, 32), (48, 64)) == (36, 48)
    by_scale = stylization(changes={"style_scale": 1.5}).method
    assert by_scale.looked_at((30, 40), (48, 64), (48, 64)) == (72, 96)
    with pytest.raises(ConfigError, match="both say how large the painting is looked at"):
        stylization(changes={"style_size": 96, "style_scale": 2.0})


@pytest.mark.parametrize(
    ("painting", "canvas", "scale", "expected"),
    [
        ((600, 800), (400, 600), 1.0, (450, 600)),
        ((800, 600), (400, 600), 1.5, (900, 675)),
        ((500, 500), (300, 600), 1.0, (600, 600)),
        # Square, of twice 40x1000 pixels, or four times as many.
        ((500, 500), (40, 1000), 1.0, (282, 282)),
        ((500, 500), (40, 1000), 2.0, (565, 565)),
        ((120, 480), (1000, 20), 1.0, (100, 400)),
    ],
)
def test_beside_a_panorama_a_painting_has_twice_its_pixels_at_most(painting, canvas, scale, expected):
    method = stylization(changes={"style_scale": scale}).method
    assert method.looked_at(painting, canvas, canvas) == expected
