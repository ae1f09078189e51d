"""Johnson's network: the paper's numbers, and the same network in plain torch."""

import dataclasses

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.rng import generator
from velatura.losses import losses
from velatura.networks import held_statistics
from velatura.networks.johnson import Johnson, from_pytorch_example

EXAMPLE = Johnson(
    norm="instance",
    padding="reflect",
    upsampling="nearest",
    preprocessing="rgb255",
    output="linear",
    norm_weights="ones",
)


def built(config=None, **settings):
    config = dataclasses.replace(config or Johnson(), **settings)
    return config.build(rng=generator(0, "network weights"))


def picture(height, width, *, batch=1, seed=0, dtype=torch.float32):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (Johnson(), 1_679_235),
        (Johnson(norm="instance", width=16), 424_899),
        (EXAMPLE, 1_679_235),
    ],
    ids=["paper", "later models", "example"],
)
def test_it_has_as_many_parameters_as_was_published(config, count):
    assert sum(parameter.numel() for parameter in built(config).parameters()) == count


def test_a_picture_of_256_has_the_papers_sizes_on_its_way():
    network, sizes = built(width=2).eval(), []
    transform = network.transform
    transform.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[1:]))
    for block in (*transform.down, *transform.residual, *transform.up, transform.last):
        block.register_forward_hook(lambda _, __, output: sizes.append(output.shape[1:]))
    with torch.no_grad():
        network(picture(256, 256))
    assert [size[1] for size in sizes] == [336, 336, 168, 84, 80, 76, 72, 68, 64, 128, 256, 256]
    assert [size[0] for size in sizes] == [3, 2, 4, 8, 8, 8, 8, 8, 8, 4, 2, 3]
    assert all(size[1] == size[2] for size in sizes)


def test_weights_are_drawn_as_torch7_draws_them():
    network = built()
    transform = network.transform
    # One over the root of the channels below times the kernel's area.
    for conv, fan_in in (
        (transform.down[0].conv, 3 * 81),
        (transform.down[2].conv, 64 * 9),
        (transform.residual[3].second.conv, 128 * 9),
        (transform.up[0].conv, 128 * 9),
        (transform.last.conv, 32 * 81),
    ):
        bound = fan_in**-0.5
        for drawn in (conv.weight, conv.bias):
            assert 0.85 * bound < drawn.abs().max() <= bound or drawn.numel() == 3
        assert_close(conv.weight.std().item(), bound / 3**0.5, rtol=0.03, atol=0)
        assert conv.weight.mean().abs() < 0.05 * bound
    scales = torch.cat([block.second.norm.weight for block in transform.residual])
    assert 0 <= scales.min() < 0.01
    assert 0.99 < scales.max() <= 1
    assert_close(scales.mean().item(), 0.5, rtol=0.05, atol=0)
    assert all(not block.norm.bias.any() for block in transform.down)


def test_norms_start_at_ones_where_they_are_asked_to():
    scales = [value for key, value in built(EXAMPLE).named_parameters() if key.endswith("norm.weight")]
    assert len(scales) == 15
    assert all(bool((scale == 1).all()) for scale in scales)


def test_one_network_learns_one_style():
    with pytest.raises(ConfigError, match="a johnson network learns 1 style, not 2; take cin for several"):
        Johnson().build(num_styles=2, rng=generator(0, "network weights"))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        # Caffe's mean, blue first, comes back as red, green, blue.
        ("tanh150", [123.68 / 255, 116.779 / 255, (103.939 + 150) / 255]),
        ("unit", [1.0, 0.5, 0.5]),
        ("linear", [100 / 255, 0.0, 0.0]),
    ],
)
def test_what_the_last_convolution_gives_becomes_pixels(output, expected):
    network = built(width=1, output=output).eval()
    with torch.no_grad():
        network.transform.last.conv.weight.zero_()
        network.transform.last.conv.bias.copy_(torch.tensor([100.0, 0.0, 0.0]))
        found = network(picture(9, 11))
    assert_close(found, torch.tensor(expected)[None, :, None, None].expand(1, 3, 9, 11))


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        ("caffe", [0.75 * 255 - 103.939, 0.5 * 255 - 116.779, 0.25 * 255 - 123.68]),
        ("rgb255", [0.25 * 255, 0.5 * 255, 0.75 * 255]),
    ],
)
def test_the_network_is_shown_the_pixels_of_the_paper(preprocessing, expected):
    network, shown = built(width=1, preprocessing=preprocessing).eval(), []
    network.transform.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    network(torch.tensor([0.25, 0.5, 0.75])[None, :, None, None].expand(1, 3, 8, 8))
    assert_close(shown[0], torch.tensor(expected)[None, :, None, None].expand(1, 3, 88, 88))


def plain(network, config, photograph, *, training):
    """Johnson's network as a list of calls to torch, for photographs whose sides divide by 4."""
    state = {key.removeprefix("transform."): value for key, value in network.state_dict().items()}

    def conv(name, maps, *, stride=1, border):
        weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        reach = weight.shape[-1] // 2
        if border == "reflect":
            maps = functional.pad(maps, [reach] * 4, mode="reflect")
        return functional.conv2d(maps, weight, bias, stride=stride, padding=reach if border == "zeros" else 0)

    def norm(name, maps):
        weight, bias = state[f"{name}.norm.weight"], state[f"{name}.norm.bias"]
        if config.norm == "instance":
            return functional.instance_norm(maps, weight=weight, bias=bias, eps=1e-5)
        if training:
            return functional.batch_norm(maps, None, None, weight, bias, training=True, eps=1e-5)
        mean, variance = state[f"{name}.norm.running_mean"], state[f"{name}.norm.running_var"]
        return functional.batch_norm(maps, mean, variance, weight, bias, eps=1e-5)

    inside = {"start": "valid"}.get(config.padding, config.padding)
    border = {"start": "zeros"}.get(config.padding, config.padding)
    x = photograph
    if config.padding == "start":
        x = functional.pad(x, [40] * 4, mode="reflect")
    x = 255 * x
    if config.preprocessing == "caffe":
        mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float32).to(x.dtype)
        x = x[:, [2, 1, 0]] - mean[None, :, None, None]
    for number, stride in ((0, 1), (1, 2), (2, 2)):
        name = f"down.{number}"
        x = norm(name, conv(name, x, stride=stride, border=border)).relu()
    for number in range(5):
        name = f"residual.{number}"
        y = norm(f"{name}.first", conv(f"{name}.first", x, border=inside)).relu()
        y = norm(f"{name}.second", conv(f"{name}.second", y, border=inside))
        x = y + (x[:, :, 2:-2, 2:-2] if inside == "valid" else x)
    for name in ("up.0", "up.1"):
        if config.upsampling == "transposed":
            weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
            x = functional.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        else:
            x = conv(name, x.repeat_interleave(2, 2).repeat_interleave(2, 3), border=border)
        x = norm(name, x).relu()
    x = conv("last", x, border=border)
    if config.output == "tanh150":
        return ((150 * x.tanh() + mean[None, :, None, None]) / 255)[:, [2, 1, 0]]
    return (x.tanh() + 1) / 2 if config.output == "unit" else x / 255


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    "config",
    [
        Johnson(),
        Johnson(output="unit", norm="instance"),
        Johnson(padding="zeros"),
        Johnson(padding="reflect", norm="instance"),
        Johnson(upsampling="nearest", norm="instance"),
        EXAMPLE,
    ],
    ids=["paper", "unit", "zeros", "reflect", "nearest", "example"],
)
def test_it_is_the_network_in_plain_torch(config, training):
    config = dataclasses.replace(config, width=3)
    network = built(config).double().train(training)
    numbers = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if key.endswith(("running_mean", "norm.bias", "norm.weight")):
                value.add_(torch.randn(value.shape, generator=numbers, dtype=value.dtype))
            if key.endswith("running_var"):
                value.add_(9 * torch.rand(value.shape, generator=numbers, dtype=value.dtype))
        photographs = picture(44, 52, batch=2, dtype=torch.float64)
        expected = plain(network, config, photographs, training=training)
        assert_close(network(photographs), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("config", [Johnson(padding="zeros"), EXAMPLE], ids=["zeros", "example"])
def test_an_odd_picture_is_the_corner_of_one_mirrored_to_a_multiple_of_4(config):
    network, photograph = built(config, width=2).eval(), picture(61, 50)
    mirrored = torch.cat([photograph, photograph[:, :, -4:-1].flip(2)], dim=2)
    mirrored = torch.cat([mirrored, mirrored[..., -3:-1].flip(3)], dim=3)
    with torch.no_grad():
        assert_close(network(photograph), network(mirrored)[..., :61, :50])


def test_the_frame_of_the_paper_keeps_an_odd_picture_in_its_place():
    """Pixels that see no frame are the same, whatever was cut off beside them."""
    network, photograph = built(width=2).eval(), picture(256, 261)
    with torch.no_grad():
        whole, part = network(photograph), network(photograph[..., :183])
    # An output pixel sees less than 64 pixels to each side.
    assert_close(part[..., :118], whole[..., :118], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(part[..., 118:], whole[..., 118:183], atol=1e-3)


def random_example(width=2):
    """A state dict of TransformerNet's keys and shapes."""
    shapes = {}

    def conv(name, channels_out, channels_in, kernel):
        shapes[f"{name}.conv2d.weight"] = (channels_out, channels_in, kernel, kernel)
        shapes[f"{name}.conv2d.bias"] = (channels_out,)

    def norm(name, channels):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (channels,)

    half, quarter = 2 * width, 4 * width
    for number, (channels_in, channels_out, kernel) in enumerate(
        [(3, width, 9), (width, half, 3), (half, quarter, 3)], start=1
    ):
        conv(f"conv{number}", channels_out, channels_in, kernel)
        norm(f"in{number}", channels_out)
    for number in range(1, 6):
        for inner in (1, 2):
            conv(f"res{number}.conv{inner}", quarter, quarter, 3)
            norm(f"res{number}.in{inner}", quarter)
    conv("deconv1", half, quarter, 3)
    norm("in4", half)
    conv("deconv2", width, half, 3)
    norm("in5", width)
    conv("deconv3", 3, width, 9)
    numbers = torch.Generator().manual_seed(7)
    return {key: torch.randn(shape, generator=numbers) for key, shape in shapes.items()}


def plain_example(state, pixels):
    """What PyTorch's example computes of pixels in 0 to 255, as calls to torch."""

    def conv(name, x, stride=1):
        weight = state[f"{name}.conv2d.weight"]
        x = functional.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect")
        return functional.conv2d(x, weight, state[f"{name}.conv2d.bias"], stride=stride)

    def norm(name, x):
        return functional.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])

    x = norm("in1", conv("conv1", pixels)).relu()
    x = norm("in2", conv("conv2", x, 2)).relu()
    x = norm("in3", conv("conv3", x, 2)).relu()
    for number in range(1, 6):
        name = f"res{number}"
        y = norm(f"{name}.in1", conv(f"{name}.conv1", x)).relu()
        x = x + norm(f"{name}.in2", conv(f"{name}.conv2", y))
    x = norm("in4", conv("deconv1", functional.interpolate(x, scale_factor=2))).relu()
    x = norm("in5", conv("deconv2", functional.interpolate(x, scale_factor=2))).relu()
    return conv("deconv3", x)


def test_weights_of_pytorchs_example_load_by_key_and_give_its_pixels():
    state = random_example()
    published = dict(state)
    for name, width in (("in1", 2), ("in4", 4), ("res2.in1", 8)):
        published[f"{name}.running_mean"] = torch.full((width,), 7.0)
        published[f"{name}.running_var"] = torch.full((width,), 7.0)
        published[f"{name}.num_batches_tracked"] = torch.tensor(7)
    config, weights = from_pytorch_example(published)
    assert config == dataclasses.replace(EXAMPLE, width=2)
    network = config.build(rng=generator(0, "network weights"))
    network.load_state_dict(weights)
    photograph = picture(40, 36)
    with torch.no_grad():
        expected = plain_example(state, 255 * photograph) / 255
        assert_close(network(photograph), expected, rtol=1e-4, atol=1e-4)


def test_the_published_width_has_the_published_keys():
    state = random_example(32)
    assert len(state) == 62
    assert sum(value.numel() for value in state.values()) == 1_679_235
    assert from_pytorch_example(state)[0] == EXAMPLE


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda state: state.pop("res1.in2.bias"), "they lack res1.in2.bias"),
        (lambda state: state.update({"features.0.weight": torch.ones(1)}), "they have features.0.weight"),
        (
            lambda state: state.update({"res2.conv1.conv2d.weight": torch.ones(8, 8, 1, 1)}),
            r"res2.conv1.conv2d.weight is \(8, 8, 1, 1\), not \(8, 8, 3, 3\)",
        ),
    ],
)
def test_other_weights_are_refused_by_key(change, complaint):
    state = random_example()
    change(state)
    with pytest.raises(WeightsError, match=f"not weights of PyTorch's fast_neural_style: {complaint}"):
        from_pytorch_example(state)


def test_held_statistics_make_a_tile_equal_to_its_part_of_the_whole():
    network = built(EXAMPLE, width=2).eval()
    photograph = picture(48, 256)
    with torch.no_grad(), held_statistics(network):
        whole = network(photograph)
        tile = network(photograph[..., 96:])
    # An output pixel sees less than 64 pixels to each side.
    assert_close(tile[..., 64:], whole[..., 160:], rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        assert not torch.allclose(network(photograph[..., 96:])[..., 64:], whole[..., 160:], atol=1e-4)


@pytest.mark.slow
def test_it_can_be_exported_with_its_sizes_left_open(whole):
    # The frame of the paper takes the exporter 18 seconds to see through.
    network = built(Johnson() if whole else EXAMPLE, width=1).eval()
    sides = {2: torch.export.Dim("height", min=48), 3: torch.export.Dim("width", min=48)}
    shapes = {"content": sides, "style": None, "alpha": None}
    exported = torch.export.export(
        network, (picture(64, 72),), {"style": None, "alpha": 1.0}, dynamic_shapes=shapes
    )
    for photograph in (picture(48, 200), picture(97, 61)):
        with torch.no_grad():
            assert_close(exported.module()(photograph, style=None, alpha=1.0), network(photograph))


def test_bfloat16_autocast_is_near_float32():
    network = built(width=8).eval()
    photograph = picture(48, 48)
    with torch.no_grad():
        exact = network(photograph)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(photograph)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.02


def perceptual_loss(network, photographs, painting, backbone):
    """Johnson et al. 2016, equations 2 and 4 with weights 1 and 5."""
    layers = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    content, gram = losses["content"](), losses["gram"](reduction="sum")
    seen, wanted = backbone(photographs, ["relu2_2"]), backbone(painting, layers)
    found = backbone(network(photographs), layers)
    style = sum(gram.forward(found[layer], gram.target(wanted[layer])) for layer in layers)
    return (content.forward(found["relu2_2"], content.target(seen["relu2_2"])) + 5 * style).mean()


def plain_loss(network, config, photographs, painting, vgg):
    """The same as calls to torch, from the weights of the two networks."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    kept = {3: "relu1_2", 8: "relu2_2", 15: "relu3_3", 22: "relu4_3"}

    def features(x):
        x, found = (x - mean[None, :, None, None]) / std[None, :, None, None], {}
        for index in range(23):
            if f"features.{index}.weight" in vgg:
                weight, bias = vgg[f"features.{index}.weight"], vgg[f"features.{index}.bias"]
                x = functional.conv2d(x, weight, bias, padding=1)
            else:
                x = functional.max_pool2d(x, 2) if index in (4, 9, 16) else x.relu()
            if index in kept:
                found[kept[index]] = x
        return found

    def gram(maps):
        return torch.einsum("bihw,bjhw->bij", maps, maps) / maps[0].numel()

    seen, wanted = features(photographs), features(painting)
    found = features(plain(network, config, photographs, training=True))
    content = (found["relu2_2"] - seen["relu2_2"]).square().mean()
    style = sum((gram(found[key]) - gram(wanted[key])).square().sum((1, 2)).mean() for key in kept.values())
    return content + 5 * style


@pytest.mark.parametrize(
    ("config", "value"),
    [(Johnson(width=4), 0.106164), (dataclasses.replace(EXAMPLE, width=4), 0.153145)],
    ids=["paper", "example"],
)
def test_the_loss_at_a_fixed_seed(config, value):
    network, photographs, painting = built(config).train(), picture(48, 44, batch=2), picture(56, 44, seed=1)
    backbone = build_backbone(BackboneConfig(name="vgg16", weights="random"))
    with torch.no_grad():
        independent = plain_loss(network, config, photographs, painting, backbone.state_dict())
    loss = perceptual_loss(network, photographs, painting, backbone)
    assert_close(loss, independent, rtol=1e-4, atol=0)
    # What plain_loss gave when this was written: the weights that a seed draws stay the same.
    assert_close(loss.item(), value, rtol=1e-4, atol=0)
