"""Targets of each region: from the paper's definition, and what regions must leave alone."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.engine.guides import Guiding
from velatura.engine.objective import Objective, Term
from velatura.engine.parts import picture_tiles
from velatura.engine.regional import Placement, RegionalObjective, map_sizes, region_weights
from velatura.engine.tiled import TiledObjective
from velatura.losses.content import Content
from velatura.losses.gram import Gram
from velatura.losses.mean_std import MeanStd
from velatura.losses.moments import Moments
from velatura.losses.wasserstein import Wasserstein
from velatura.ops.masks import shares

SIZE = (48, 64)
STYLE = Term(loss=Wasserstein(reduction="relative"), of="style", layers={"relu1_1": 2.0, "relu2_1": 1.0})
CONTENT = Term(loss=Content(reduction="relative"), of="content", layers={"relu2_1": 1.0}, weight=0.5)


def picture(seed, size=SIZE):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def halves(*, names=("left", "right"), blends=((1.0, 0.0), (0.0, 1.0)), **more):
    masks = torch.zeros(2, *SIZE)
    masks[0, :, :32], masks[1, :, 32:] = 1, 1
    return Placement(names=names, masks=masks, blends=blends, **more)


def everywhere(blend=(1.0,)):
    return Placement(names=("all",), masks=torch.ones(1, *SIZE), blends=(blend,))


def aimed(backbone, placement, paintings, *, terms=None, **guiding):
    terms = {"style": STYLE, "content": CONTENT} if terms is None else terms
    objective = RegionalObjective(backbone, terms, guiding=Guiding(**guiding))
    objective.aim_regions(picture(1), paintings, placement)
    return objective


def test_the_guided_gram_matrices_of_gatys_2017(backbone):
    """Equations 5 and 6: features times guides whose squares sum to 1, and the sum over the regions."""
    term = Term(loss=Gram(scale="hw", reduction="sum"), of="style", layers={"relu2_1": 1.0})
    paintings = [picture(2, (40, 52)), picture(3, (44, 40))]
    objective = aimed(backbone, halves(), paintings, terms={"style": term}, weighing="equal")
    canvas = picture(4)
    features = backbone(canvas, ["relu2_1"])["relu2_1"][0].double()  # (C, 24, 32)
    expected = 0.0
    for number, painting in enumerate(paintings):
        channel = torch.zeros(24, 32, dtype=torch.float64)
        channel[:, 16 * number : 16 * (number + 1)] = 1
        channel = channel / channel.square().sum().sqrt()
        guided = (features * channel).flatten(1)
        wanted = backbone(painting, ["relu2_1"])["relu2_1"][0].double().flatten(1)
        wanted = wanted @ wanted.T / wanted.shape[1]
        expected += 0.5 * float((guided @ guided.T - wanted).square().sum())
    assert_close(float(objective(canvas)["style"]), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("loss", [Gram(), Moments(), Wasserstein()])
@pytest.mark.parametrize("mode", ["simple", "inside", "all"])
def test_a_region_of_everything_is_no_region(backbone, loss, mode):
    terms = {
        "style": Term(loss=loss, of="style", layers={"relu1_1": 1.0, "relu3_1": 1.0}),
        "content": CONTENT,
    }
    plain = Objective(backbone, terms)
    plain.aim(picture(1), [picture(2)], [1.0])
    objective = aimed(backbone, everywhere(), [picture(2)], terms=terms, mode=mode)
    values, gradients = zip(*(value_and_gradient(one, picture(4)) for one in (plain, objective)), strict=True)
    assert_close(values[1], values[0], rtol=1e-4, atol=1e-7)
    assert_close(gradients[1], gradients[0], rtol=1e-3, atol=3e-3 * float(gradients[0].abs().max()))


def value_and_gradient(objective, canvas):
    canvas = canvas.clone().requires_grad_()
    values = objective(canvas)
    sum(values.values()).backward()
    return {name: float(value.detach()) for name, value in values.items()}, canvas.grad


def test_swapping_the_regions_swaps_nothing_else(backbone):
    paintings = [picture(2), picture(3)]
    one = aimed(backbone, halves(), paintings)
    flipped = halves(names=("right", "left"), blends=((0.0, 1.0), (1.0, 0.0)))
    other = aimed(
        backbone,
        Placement(names=flipped.names, masks=flipped.masks.flip(0), blends=flipped.blends),
        paintings,
    )
    found, expected = (value_and_gradient(objective, picture(4)) for objective in (other, one))
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])


def test_each_region_looks_at_its_own_painting_alone(backbone):
    left = aimed(backbone, halves(), [picture(2), picture(3)])
    changed = aimed(backbone, halves(), [picture(2), picture(5)])
    before, after = (value_and_gradient(one, picture(4))[1] for one in (left, changed))
    # A position of relu2_1 sees 10 pixels.
    assert_close(after[..., :22], before[..., :22])
    assert not torch.allclose(after[..., 40:], before[..., 40:])


def test_two_regions_of_one_painting_add_up(backbone):
    both = halves(blends=((1.0,), (1.0,)))
    alone = [
        Placement(names=("one",), masks=both.masks[number : number + 1], blends=((1.0,),))
        for number in (0, 1)
    ]
    terms = {"style": STYLE}
    # Of the photograph itself: of another canvas, one region alone would see the photograph beside it.
    found = aimed(backbone, both, [picture(2)], terms=terms)(picture(1))["style"]
    parts = [aimed(backbone, one, [picture(2)], terms=terms)(picture(1))["style"] for one in alone]
    assert_close(found, parts[0] + parts[1])


def test_paintings_of_a_region_are_blended(backbone):
    plain = Objective(backbone, {"style": STYLE})
    plain.aim(picture(1), [picture(2), picture(3)], [0.7, 0.3])
    blended = aimed(backbone, everywhere((0.7, 0.3)), [picture(2), picture(3)], terms={"style": STYLE})
    assert_close(blended(picture(4))["style"], plain(picture(4))["style"], rtol=1e-4, atol=1e-7)


def test_only_the_marked_part_of_a_painting_is_looked_at(backbone):
    painting = torch.cat([picture(2, (40, 32)), picture(3, (40, 32)) ** 4], dim=3)
    part = torch.zeros(1, 20, 32)
    part[..., 16:] = 1
    placement = Placement(names=("all",), masks=torch.ones(1, *SIZE), blends=((1.0,),), parts={(0, 0): part})
    terms = {"style": Term(loss=Gram(), of="style", layers={"relu1_1": 1.0})}
    masked = aimed(backbone, placement, [painting], terms=terms, mode="inside")
    cropped = Objective(backbone, terms)
    cropped.aim(picture(1), [painting[..., 32:]], [1.0])
    target = masked.targets["style in all"]["relu1_1"]["gram"]
    # But for the column that sees the other part, and the frame of the crop.
    assert_close(target, cropped.targets["style"]["relu1_1"]["gram"], rtol=0.05, atol=1e-3)
    whole = Objective(backbone, terms)
    whole.aim(picture(1), [painting], [1.0])
    off = (whole.targets["style"]["relu1_1"]["gram"] - target).norm()
    assert off > 5 * (cropped.targets["style"]["relu1_1"]["gram"] - target).norm()


def test_nothing_moves_where_no_region_is(backbone):
    placement = Placement(names=("left",), masks=halves().masks[:1], blends=((1.0,),))
    objective = aimed(backbone, placement, [picture(2)])
    _, gradient = value_and_gradient(objective, picture(4))
    assert not gradient[..., 32:].any()
    assert gradient[..., :32].any()
    # What the canvas has there is not seen either.
    other = torch.where(placement.cover() > 0, picture(4), 0)
    assert_close(value_and_gradient(objective, other)[0], value_and_gradient(objective, picture(4))[0])


def test_a_layer_without_a_position_is_left_out_and_known(backbone):
    masks = torch.zeros(1, *SIZE)
    masks[:, 20:32, 20:32] = 1
    small = Placement(names=("dot",), masks=masks, blends=((1.0,),))
    term = Term(loss=Gram(), of="style", layers={"relu1_1": 1.0, "relu3_1": 1.0})
    objective = aimed(backbone, small, [picture(2)], terms={"style": term}, mode="inside")
    assert list(objective.terms["style in dot"].layers) == ["relu1_1"]
    assert objective.missing(small) == {"dot": ["relu3_1"]}
    assert value_and_gradient(objective, picture(4))[1].any()


@pytest.mark.parametrize(
    ("loss", "layers"),
    [
        (Gram(), ["relu1_1", "relu2_1", "relu4_1"]),
        *((loss, ["relu1_1", "relu2_1"]) for loss in (Moments(), MeanStd(), Wasserstein())),
    ],
)
def test_one_position_has_no_variance(backbone, loss, layers):
    masks = torch.zeros(1, *SIZE)
    masks[:, 16:23, 24:31] = 1
    small = Placement(names=("spot",), masks=masks, blends=((1.0,),))
    every = ["relu1_1", "relu2_1", "relu4_1"]
    term = Term(loss=loss, of="style", layers=dict.fromkeys(every, 1.0))
    objective = aimed(backbone, small, [picture(2)], terms={"style": term})
    assert list(objective.terms["style in spot"].layers) == layers
    assert objective.missing(small) == {"spot": [layer for layer in every if layer not in layers]}
    looked_at = Placement(names=("all",), masks=torch.ones(1, *SIZE), blends=((1.0,),), parts={(0, 0): masks})
    objective = aimed(backbone, looked_at, [picture(2)], terms={"style": term})
    assert list(objective.terms["style in all"].layers) == layers


def test_a_region_of_no_position_at_all_still_has_a_term(backbone):
    speck = Placement(names=("speck",), masks=torch.zeros(1, *SIZE), blends=((1.0,),))
    objective = aimed(backbone, speck, [picture(2)])
    values = objective(picture(4))
    assert list(values) == ["style", "content"]
    assert float(values["style"]) == 0


@pytest.mark.parametrize(
    ("name", "padding", "layers"),
    [
        ("vgg19-slim", "replicate", ("relu1_1", "relu2_2", "relu3_3")),
        ("vgg19-slim", "zeros", ("conv1_1", "pool2", "relu3_1")),
        ("resnet18", "native", ("conv1", "layer1", "layer2")),
    ],
)
@pytest.mark.parametrize("mode", ["simple", "all"])
def test_tiles_give_the_gradient_of_the_whole(networks, every_term, name, padding, layers, mode):
    backbone, terms = networks(name, padding=padding), every_term(*layers)
    needs = TiledObjective(backbone, terms).needs
    edge = needs.least_edge + 32 // needs.grid * needs.grid
    size = 61, edge + 27
    assert len(picture_tiles(size, edge=edge, needs=needs)) > 1
    content, *paintings, canvas = (
        picture(seed, of).double() for seed, of in enumerate([size, (90, 71), (80, 110), size])
    )
    # Soft edges, an overlap, and pixels of no region.
    columns = torch.linspace(0, 3, size[1], dtype=torch.float64).expand(size)
    masks = shares(torch.stack([(2 - columns).clamp(0, 1), (columns - 1).clamp(0, 0.8)]))
    part = torch.zeros(1, 45, 35, dtype=torch.float64)
    part[:, 7:, :30] = 1
    placement = Placement(
        names=("a", "b"), masks=masks, blends=((1.0, 0.0), (0.3, 0.7)), parts={(0, 0): part}
    )
    found = []
    for one in (None, edge):
        objective = RegionalObjective(backbone, terms, guiding=Guiding(mode=mode), edge=one)
        objective.aim_regions(content, paintings, placement)
        assert objective.missing(placement) == {"a": [], "b": []}
        found.append(value_and_gradient(objective, canvas))
    (expected, wanted), (values, gradient) = found
    assert values == {name: pytest.approx(value, rel=1e-10) for name, value in expected.items()}
    assert_close(gradient, wanted, rtol=1e-8, atol=1e-10 * float(wanted.abs().max()))


def test_regions_weigh_the_same_or_as_large_as_they_are():
    masks = torch.zeros(2, 4, 4)
    masks[0, :1], masks[1, 2:] = 1, 1
    assert region_weights(masks, Guiding(weighing="equal")) == (0.5, 0.5)
    assert region_weights(masks, Guiding(weighing="area")) == (0.25, 0.5)


@pytest.mark.parametrize("size", [(37, 61), (64, 48)])
def test_two_strips_tell_the_sizes_of_all_maps(backbone, size):
    layers = ["relu1_1", "relu2_2", "relu4_1"]
    maps = backbone(picture(1, size), layers)
    expected = {layer: tuple(maps[layer].shape[2:]) for layer in layers} | {"image": size}
    assert map_sizes(backbone, [*layers, "image"], size) == expected


def test_a_term_cannot_have_a_blend_beside_regions(backbone):
    terms = {"style": Term(loss=Gram(), of="style", layers={"relu1_1": 1.0}, blend=(1.0, 0.0))}
    with pytest.raises(ConfigError, match="term 'style' has a blend of its own, and regions say where"):
        RegionalObjective(backbone, terms, guiding=Guiding())
