import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, backbones, build_backbone
from velatura.core.errors import WeightsError
from velatura.weights import Weights

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


def build(state, name, **changes):
    weights = Weights(state=state, preprocessing="torchvision", source="toy.safetensors")
    settings = {"pooling": "max", "padding": "zeros", "rescale": False, "generator": torch.Generator()}
    return backbones[name](weights, **(settings | changes))


def lively_state(name, deepest):
    """Random weights to the stage ``deepest``, with normalisations that are not the identity."""
    backbone = build_backbone(BackboneConfig(name=name, weights="random"))
    generator = torch.Generator().manual_seed(2)
    state = {}
    for key, value in backbone.state_dict().items():
        if (key.startswith("layer") and key[:6] > deepest) or key.endswith("num_batches_tracked"):
            continue
        is_norm = value.ndim == 1
        state[key] = 0.5 + torch.rand(value.shape, generator=generator) if is_norm else value
    return state


def normalised(image):
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    return (image - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def reference(state, image, num_blocks):
    """A residual network as a plain loop over a state dict (He et al. 2016, with the step at conv2)."""

    def norm(x, key):
        mean, var, weight, bias = (
            state[f"{key}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv(x, key, stride=1):
        kernel = state[f"{key}.weight"]
        return functional.conv2d(x, kernel, stride=stride, padding=(kernel.shape[-1] - 1) // 2)

    found = {"conv1": (x := norm(conv(normalised(image), "conv1", 2), "bn1").clamp_min(0))}
    found["maxpool"] = x = functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, 2)
    for stage, count in enumerate(num_blocks, start=1):
        for index in range(count):
            block, step = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            if f"{block}.conv3.weight" in state:
                y = norm(conv(x, f"{block}.conv1"), f"{block}.bn1").clamp_min(0)
                y = norm(conv(y, f"{block}.conv2", step), f"{block}.bn2").clamp_min(0)
                y = norm(conv(y, f"{block}.conv3"), f"{block}.bn3")
            else:
                y = norm(conv(x, f"{block}.conv1", step), f"{block}.bn1").clamp_min(0)
                y = norm(conv(y, f"{block}.conv2"), f"{block}.bn2")
            if f"{block}.downsample.0.weight" in state:
                x = norm(conv(x, f"{block}.downsample.0", step), f"{block}.downsample.1")
            found[block] = x = (x + y).clamp_min(0)
        found[f"layer{stage}"] = x
    return found


@pytest.mark.parametrize("name", BLOCKS)
def test_every_layer_equals_a_plain_loop(name):
    state = lively_state(name, "layer2")
    image = torch.rand(2, 3, 41, 36)
    expected = reference(state, image, BLOCKS[name][:2])
    found = build(state, name)(image, expected)
    assert list(found) == list(expected)
    for layer, features in expected.items():
        scale = float(features.std())
        assert_close(found[layer] / scale, features / scale, rtol=1e-4, atol=1e-4)


def folded(state):
    """The same network with each normalisation worked into the convolution before it."""
    result = {}
    for key, kernel in state.items():
        if kernel.ndim != 4:
            continue
        conv = key.removesuffix(".weight")
        norm = conv.replace("downsample.0", "downsample.1").replace("conv", "bn")
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-5).sqrt()
        result[key] = kernel * gain[:, None, None, None]
        result[f"{conv}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return result


@pytest.mark.parametrize("name", BLOCKS)
def test_a_file_with_folded_normalisation_is_the_same_network(name):
    state = lively_state(name, "layer2")
    image = torch.rand(1, 3, 32, 32)
    plain, bare = build(state, name), build(folded(state), name)
    assert bare.layers == plain.layers
    assert not any("bn" in key for key in bare.state_dict())
    for layer, features in plain(image, plain.layers).items():
        scale = float(features.std())
        assert_close(bare(image, [layer])[layer] / scale, features / scale, rtol=1e-4, atol=1e-4)


def test_a_file_may_end_inside_a_stage():
    state = {key: value for key, value in lively_state("resnet18", "layer2").items() if "layer2.1" not in key}
    backbone = build(state, "resnet18")
    assert backbone.layers[-3:] == ("layer1.1", "layer1", "layer2.0")
    assert backbone(torch.rand(1, 3, 16, 16), ["layer2.0"])["layer2.0"].shape == (1, 128, 2, 2)
    for layer in ("layer2", "layer4.1"):
        message = rf"^layer '{layer}' is not in toy\.safetensors, which ends at 'layer2\.0'"
        with pytest.raises(WeightsError, match=message):
            backbone(torch.rand(1, 3, 64, 64), [layer])


def test_nothing_above_the_deepest_layer_is_computed():
    backbone = build(lively_state("resnet18", "layer2"), "resnet18")
    for key in ("layer1.1", "layer2"):
        for parameter in backbone.get_submodule(key).parameters():
            parameter.fill_(float("nan"))
    features = backbone(torch.rand(1, 3, 32, 32), ["conv1", "layer1.0"])
    assert features["layer1.0"].isfinite().all()
    assert backbone(torch.rand(1, 3, 32, 32), ["layer1"])["layer1"].isnan().all()


def test_the_stem_pools_as_it_is_told():
    state = lively_state("resnet18", "layer1")
    image = torch.rand(1, 3, 20, 24)
    stem = build(state, "resnet18")(image, ["conv1"])["conv1"]
    pooled = build(state, "resnet18", pooling="average", rescale=True)(image, ["maxpool"])["maxpool"]
    inside = stem[..., 1:-2, 1:-2].unfold(2, 3, 2).unfold(3, 3, 2).mean((4, 5))
    assert_close(pooled[..., 1:-1, 1:-1], 2 * inside)


def test_padding_reaches_the_stem_and_the_blocks():
    state = lively_state("resnet18", "layer1")
    flat = torch.full((1, 3, 48, 48), 0.7)
    zeros = build(state, "resnet18")(flat, ["layer1.0"])["layer1.0"]
    replicated = build(state, "resnet18", padding="replicate")(flat, ["layer1.0"])["layer1.0"]
    centre = zeros[..., 6:7, 6:7]
    assert_close(replicated, centre.expand_as(replicated), rtol=1e-4, atol=1e-3)
    assert not torch.allclose(zeros[..., :1, :1], centre)


@pytest.mark.data
def test_the_folded_resnet18_sees_structure(data_dir):
    from velatura.imaging import read_picture

    pixels = read_picture(data_dir / "images/content/golden_gate.jpg").pixels
    photo = functional.interpolate(pixels[None], (128, 160), mode="area")
    path = data_dir / "weights/resnet18_bnfolded_to_layer3.safetensors"
    backbone = build_backbone(BackboneConfig(name="resnet18", weights=str(path)))
    assert backbone.layers[-1] == "layer3"
    assert backbone.missing == {"layer4.0", "layer4.1", "layer4"}
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    for layer, features in backbone(photo, ["conv1", "layer1", "layer2", "layer3"]).items():
        assert features.isfinite().all()
        # Rectified, of the order of one, and telling a photograph from noise by its channels' means.
        assert 0.05 < float(features.mean()) < 2
        means = torch.stack([features.mean((0, 2, 3)), backbone(noise, [layer])[layer].mean((0, 2, 3))])
        assert float(torch.corrcoef(means)[0, 1]) < 0.95
    with pytest.raises(WeightsError, match=r"^layer 'layer4' is not in resnet18_bnfolded_to_layer3"):
        backbone(photo, ["layer4"])
