import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, backbones, build_backbone
from velatura.core.errors import WeightsError
from velatura.weights import Weights


def build(state, **changes):
    weights = Weights(state=state, preprocessing="caffe", source="toy.safetensors")
    settings = {"pooling": "max", "padding": "zeros", "rescale": False, "generator": torch.Generator()}
    return backbones["squeezenet1_1"](weights, **(settings | changes))


@pytest.fixture(scope="module")
def state():
    backbone = build_backbone(BackboneConfig(name="squeezenet1_1", weights="random"))
    generator = torch.Generator().manual_seed(3)
    return {
        key: torch.randn(value.shape, generator=generator) if key.endswith("bias") else value
        for key, value in backbone.state_dict().items()
    }


def reference(state, image):
    """SqueezeNet 1.1 as a plain loop over a state dict."""

    def conv(x, key, **window):
        return functional.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], **window).clamp_min(0)

    def pool(x):
        # Ceil mode by hand: a row and a column of zeros, which a rectified map's maximum ignores.
        right, below = (x.shape[3] - 3) % 2, (x.shape[2] - 3) % 2
        return functional.max_pool2d(functional.pad(x, (0, right, 0, below)), 3, 2)

    blue_first = 255 * image.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    found = {"conv1": (x := conv(blue_first, "features.0", stride=2))}
    for index, layer in {
        2: "pool1", 3: "fire2", 4: "fire3", 5: "pool3", 6: "fire4", 7: "fire5", 8: "pool5",
        9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9",
    }.items():  # fmt: skip
        if layer.startswith("pool"):
            x = pool(x)
        else:
            squeezed = conv(x, f"features.{index}.squeeze")
            halves = [
                conv(squeezed, f"features.{index}.expand1x1"),
                conv(squeezed, f"features.{index}.expand3x3", padding=1),
            ]
            x = torch.cat(halves, 1)
        found[layer] = x
    return found


@pytest.mark.parametrize("size", [(64, 75), (41, 42)])
def test_every_layer_equals_a_plain_loop(state, size):
    image = torch.rand(2, 3, *size)
    expected = reference(state, image)
    found = build(state)(image, expected)
    assert list(found) == list(expected)
    for layer, features in expected.items():
        scale = float(features.std())
        assert_close(found[layer] / scale, features / scale, rtol=1e-4, atol=1e-4)


def test_a_file_decides_the_depth(state):
    beginning = {key: value for key, value in state.items() if int(key.split(".")[1]) <= 4}
    backbone = build(beginning)
    assert backbone.layers == ("conv1", "pool1", "fire2", "fire3", "pool3")
    with pytest.raises(
        WeightsError, match=r"^layer 'fire9' is not in toy\.safetensors, which ends at 'pool3'"
    ):
        backbone(torch.rand(1, 3, 64, 64), ["fire9"])


def test_padding_is_for_the_fire_modules_alone(state):
    image = torch.rand(1, 3, 32, 32)
    plain = build(state)(image, ["conv1", "fire2"])
    replicated = build(state, padding="replicate")(image, ["conv1", "fire2"])
    assert_close(replicated["conv1"], plain["conv1"])
    inner = (..., slice(1, -1), slice(1, -1))
    assert_close(replicated["fire2"][inner], plain["fire2"][inner])
    assert not torch.allclose(replicated["fire2"], plain["fire2"])
