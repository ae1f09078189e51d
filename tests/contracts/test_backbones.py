"""What every registered backbone promises, whichever package it comes from."""

import pytest
import torch

from velatura.backbones import BackboneConfig, backbones, build_backbone
from velatura.core.errors import ConfigError


@pytest.fixture(scope="module", params=list(backbones))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def backbone(name):
    return build_backbone(BackboneConfig(name=name, weights="random"))


@pytest.fixture(scope="module")
def altered(name):
    """The same weights under other pools and another padding."""
    config = BackboneConfig(name=name, weights="random", pooling="l2", padding="reflect", rescale=True)
    return build_backbone(config)


@pytest.fixture(params=["shallow", "middle", "deep"])
def layer(backbone, request):
    layers = backbone.layers
    return {"shallow": layers[0], "middle": layers[len(layers) // 2], "deep": layers[-1]}[request.param]


def picture(height, width, *, batch=1, seed=0):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def close(actual, expected, tolerance=1e-4):
    """Whether two maps agree to a part of their size: untrained deep networks have large numbers."""
    difference = (actual.float() - expected.float()).norm() / expected.float().norm().clamp_min(1e-12)
    return float(difference) < tolerance


def test_it_is_frozen_and_in_evaluation_mode(backbone):
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_it_says_where_its_weights_come_from(backbone):
    assert backbone.source == "random weights"
    assert backbone.weights_sha256 is None
    assert not backbone.missing


def test_the_same_seed_draws_the_same_weights_whatever_the_other_settings(backbone, altered):
    torch.rand(7)
    own, other = backbone.state_dict(), altered.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)


def test_settings_change_the_features(backbone, altered):
    size = altered.smallest_input(altered.layers)
    image = picture(size, size + 3)
    deepest = backbone.layers[-1]
    assert not close(altered(image, [deepest])[deepest], backbone(image, [deepest])[deepest])


def test_a_map_has_the_declared_channels_and_grows_by_one_with_each_stride(backbone, layer):
    shape = backbone.shapes[layer]
    size = shape.smallest_input
    here = backbone(picture(size, size), [layer])[layer]
    there = backbone(picture(size + shape.stride, size + 2 * shape.stride), [layer])[layer]
    assert here.shape[:2] == there.shape[:2] == (1, shape.channels)
    assert (there.shape[2] - here.shape[2], there.shape[3] - here.shape[3]) == (1, 2)


@pytest.mark.parametrize("variant", ["plain", "altered"])
def test_the_smallest_input_works_and_one_pixel_less_is_refused(backbone, altered, layer, variant):
    network = backbone if variant == "plain" else altered
    size = network.smallest_input([layer])
    assert network(picture(size, size), [layer])[layer].isfinite().all()
    if size > 1:
        with pytest.raises(ConfigError, match=f"too small for layer '{layer}', which needs {size}x{size}"):
            network(picture(size + 9, size - 1), [layer])


def test_a_position_sees_no_further_than_its_receptive_field(backbone):
    layer = max(name for name in backbone.layers if backbone.shapes[name].receptive_field < 100)
    shape = backbone.shapes[layer]
    image = picture(shape.smallest_input, 2 * shape.receptive_field + 4 * shape.stride).requires_grad_()
    features = backbone(image, [layer])[layer]
    (gradient,) = torch.autograd.grad(features[..., features.shape[-1] // 2].sum(), image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero()
    assert 0 < int(columns.max() - columns.min()) + 1 <= shape.receptive_field


def test_layers_come_in_order_and_do_not_disturb_each_other(backbone):
    image = picture(33, 40)
    together = backbone(image, reversed(backbone.layers))
    assert tuple(together) == backbone.layers
    for name in backbone.layers[:: max(1, len(backbone.layers) // 6)]:
        assert close(together[name], backbone(image, [name])[name], 1e-6), name


def test_it_runs_no_deeper_than_it_is_asked_to(backbone):
    calls = []
    handles = [
        module.register_forward_hook(lambda *_: calls.append(1))
        for module in backbone.modules()
        if not list(module.children())
    ]
    counts = []
    for asked in (backbone.layers[:1], backbone.layers[-1:]):
        calls.clear()
        backbone(picture(33, 33), asked)
        counts.append(len(calls))
    for handle in handles:
        handle.remove()
    assert counts[0] < counts[1] or len(backbone.layers) == 1


def test_gradients_reach_the_image_and_no_weight(backbone, layer):
    image = picture(40, 33).requires_grad_()
    backbone(image, [layer])[layer].square().mean().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_pictures_of_odd_sizes_pass(backbone):
    height, width = 53, 37
    for layer, features in backbone(picture(height, width), backbone.layers).items():
        stride = backbone.shapes[layer].stride
        assert abs(features.shape[2] - height / stride) <= 1, layer
        assert abs(features.shape[3] - width / stride) <= 1, layer


def test_a_batch_is_its_pictures_one_by_one(backbone):
    batch = picture(33, 40, batch=2)
    together = backbone(batch, backbone.layers)
    for index in range(2):
        alone = backbone(batch[index : index + 1], backbone.layers)
        for layer, features in alone.items():
            assert close(together[layer][index], features[0]), layer


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"]
)
def test_the_memory_format_of_the_image_is_kept_in_every_layer(altered, memory_format):
    image = picture(34, 40).to(memory_format=memory_format)
    for layer, features in altered(image, altered.layers).items():
        assert features.is_contiguous(memory_format=memory_format), layer


def test_bfloat16_autocast_is_near_float32(backbone):
    image = picture(33, 33)
    exact = backbone(image, backbone.layers)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = backbone(image, backbone.layers)
    for layer, features in rounded.items():
        assert features.dtype is torch.bfloat16
        assert close(features, exact[layer], 0.05), layer


def test_an_unknown_layer_is_refused(backbone):
    with pytest.raises(ConfigError, match=r"^unknown layer 'relu9_9'"):
        backbone(picture(64, 64), ["relu9_9"])
