"""Which positions belong to a region, against what each position of a real network depends on."""

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, LayerShape, Preprocessing, build_backbone
from velatura.engine.guides import Guiding, effective_positions, guide, guides_for


def positive(name):
    """A network with nothing but positive numbers: no two paths to a pixel cancel, and no unit is silent."""
    backbone = build_backbone(BackboneConfig(name=name, weights="random", pooling="average"))
    backbone.preprocessing = Preprocessing(torch.eye(3), torch.zeros(3))
    for parameter in backbone.parameters():
        parameter.fill_(1 / parameter[0].numel() if parameter.ndim == 4 else 1)
    return backbone


def seen_by_gradient(backbone, layer, size):
    """For every position of ``layer``, the pixels that it depends on: ``(h, w, *size)``."""
    image = torch.ones(1, 3, *size, requires_grad=True)
    maps = backbone(image, [layer])[layer][0].sum(dim=0)
    rows = []
    for value in maps.flatten():
        (gradient,) = torch.autograd.grad(value, image, retain_graph=True)
        rows.append(gradient[0].abs().sum(dim=0) > 0)
    return torch.stack(rows).view(*maps.shape, *size)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("vgg19-slim", "relu1_2"),
        ("vgg19-slim", "relu2_1"),
        ("vgg19-slim", "relu3_1"),
        ("resnet18", "conv1"),
        ("resnet18", "layer1.0"),
        ("squeezenet1_1", "fire2"),
    ],
)
def test_a_region_has_the_positions_that_see_only_it_or_any_of_it(name, layer):
    size = (37, 44)
    region = torch.zeros(size)
    region[:31, 9:] = 1
    backbone = positive(name)
    seen = seen_by_gradient(backbone, layer, size)
    shape, at = backbone.shapes[layer], tuple(seen.shape[:2])
    inside = guide(region[None], shape, at, Guiding(mode="inside"))[0]
    touching = guide(region[None], shape, at, Guiding(mode="all"))[0]
    only = ~(seen & (region == 0)).any(dim=(2, 3))
    assert only.any()
    assert not only.all()
    assert torch.equal(inside > 0, only)
    assert torch.equal(inside[only], torch.ones(int(only.sum())))
    assert torch.equal(touching, (seen & (region > 0)).any(dim=(2, 3)).float())


def test_a_simple_guide_is_the_mask_under_each_position_squared():
    # Positions of stride 4 that see 10 pixels stand for 4 of them each.
    shape = LayerShape(channels=1, stride=4, receptive_field=10, smallest_input=4, padding=3)
    mask = torch.zeros(1, 8, 8)
    mask[..., 1:6] = 1
    found = guide(mask, shape, (2, 2), Guiding(mode="simple"))
    assert_close(found[0], torch.tensor([[0.75, 0.5], [0.75, 0.5]]) ** 2)


def test_reach_shortens_what_counts_as_seen_from_both_ends():
    shape = LayerShape(channels=1, stride=1, receptive_field=9, smallest_input=1, padding=4)
    mask = torch.zeros(1, 1, 30)
    mask[..., 10:20] = 1

    def columns(reach, mode="inside"):
        found = guide(mask, shape, (1, 30), Guiding(mode=mode, reach=reach))[0, 0].nonzero()[:, 0]
        return int(found.min()), int(found.max())

    assert columns(1.0) == (14, 15)
    assert columns(5 / 9) == (12, 17)
    assert columns(0.0) == (10, 19)
    assert columns(1.0, "all") == (6, 23)
    assert columns(0.0, "all") == (10, 19)


def test_masks_follow_every_layer_and_the_picture_itself(backbone):
    masks = torch.zeros(2, 32, 48)
    masks[0, :, :20], masks[1, :, 20:] = 1, 1
    sizes = {"image": (32, 48), "relu3_1": (8, 12)}
    found = guides_for(backbone, masks, sizes, Guiding())
    assert torch.equal(found["image"][0], masks)
    assert found["relu3_1"].shape == (1, 2, 8, 12)
    # Twenty columns are five strides of four.
    assert torch.equal(found["relu3_1"][0, 0, :, :5], torch.ones(8, 5))
    assert not found["relu3_1"][0, 0, :, 5:].any()


def test_a_region_too_small_for_a_deep_layer_has_no_position_there(backbone):
    masks = torch.zeros(1, 64, 64)
    masks[:, 28:36, 28:36] = 1
    sizes = {"relu1_1": (64, 64), "relu4_1": (8, 8)}
    found = guides_for(backbone, masks, sizes, Guiding(mode="inside"))
    assert found["relu1_1"].any()
    assert not found["relu4_1"].any()


@pytest.mark.parametrize("white", [1.0, 0.05])
def test_a_trace_of_a_region_is_no_position(backbone, white):
    masks = torch.zeros(2, 64, 64)
    masks[0, 30, 30] = white
    masks[1, 28:36, 28:36] = white
    sizes = {"relu1_1": (64, 64), "relu2_1": (32, 32), "relu4_1": (8, 8)}
    found = guides_for(backbone, masks, sizes, Guiding())
    assert [bool(found[layer][:, 0].any()) for layer in sizes] == [True, True, False]
    assert [bool(found[layer][:, 1].any()) for layer in sizes] == [True, True, True]


def test_how_many_positions_count_of_worked_examples():
    weights = torch.zeros(4, 3, 3)
    weights[0, 0, 0] = 0.3
    weights[1, 0, :2] = 0.3
    weights[2, 0, 0], weights[2, 2, 2] = 1, 1 / 3
    assert_close(effective_positions(weights), torch.tensor([1.0, 2.0, 1.6, 0.0]))
    assert bool(effective_positions(weights)[1] == 2)
