import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.networks import blend_styles, held_statistics
from velatura.networks.adain import AdaIN, AdaINConfig
from velatura.networks.encoder import mirrored_steps


def built(**settings) -> AdaIN:
    return AdaINConfig(**settings).build(rng=generator(0, "weights"))


@pytest.fixture(scope="module")
def network() -> AdaIN:
    return built().eval()


def picture(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_the_decoder_of_the_paper_mirrors_vgg19_to_relu4_1():
    # Huang and Belongie 2017, section 5.1, in the authors' code: 512-256, up, 256 three times, 256-128, up,
    # 128, 128-64, up, 64, 64-3.
    network = built(backbone=BackboneConfig(name="vgg19", weights="random"))
    parts = [type(part).__name__ for part in network.decoder]
    channels = [
        (part.in_channels, part.out_channels) for part in network.decoder if hasattr(part, "in_channels")
    ]
    assert channels == [
        (512, 256), (256, 256), (256, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64), (64, 3)
    ]  # fmt: skip
    assert [n for n, part in enumerate(parts) if part == "Upsample"] == [2, 11, 16]
    assert parts[-1] == "Convolution"
    assert sum(weight.numel() for weight in network.parameters()) == 3_505_219


def test_the_features_get_the_paintings_mean_and_deviation(network):
    content, style = picture(0), network.encode(picture(1, 56, 40))
    moved = network.transferred(content, style)["relu4_1"]
    # Dead channels of the photograph stay dead, whatever they are to be multiplied by.
    alive = network.encoder(content)["relu4_1"].std(dim=(2, 3), correction=0)[0] > 0.05
    assert alive.sum() > 20
    assert_close(moved.mean(dim=(2, 3))[0], style["mean"][0, :, 0, 0], rtol=1e-3, atol=1e-3)
    found = moved.std(dim=(2, 3), correction=0)[0][alive]
    assert_close(found, style["deviation"][0, :, 0, 0][alive], rtol=5e-3, atol=1e-3)


def test_alpha_mixes_features(network):
    content, style = picture(0), network.encode(picture(1))
    plain = network.encoder(content)["relu4_1"]
    whole = network.transferred(content, style)["relu4_1"]
    half = network.transferred(content, style, alpha=0.5)["relu4_1"]
    assert_close(half, (plain + whole) / 2)
    assert_close(network(content, style, alpha=0), network.decoder(plain))


def test_styles_blend_as_the_paper_blends_them(network):
    content = picture(0)
    one, other = network.encode(picture(1)), network.encode(picture(2).square())
    blended = network.transferred(content, blend_styles([one, other], [0.25, 0.75]))["relu4_1"]
    each = [network.transferred(content, style)["relu4_1"] for style in (one, other)]
    assert_close(blended, 0.25 * each[0] + 0.75 * each[1])


def test_a_mask_places_each_style(network):
    content = picture(0, 64, 128)
    styles = [network.encode(picture(1)), network.encode(picture(2).square())]
    left = torch.zeros(1, 1, 64, 128)
    left[..., :64] = 1
    placed = network.transferred(content, network.style_maps(styles, torch.cat([left, 1 - left], 1)))
    each = [network.transferred(content, style)["relu4_1"] for style in styles]
    assert_close(placed["relu4_1"][..., :8], each[0][..., :8])
    assert_close(placed["relu4_1"][..., 8:], each[1][..., 8:])


def test_held_statistics_make_tiles_of_the_whole(network):
    content, style = picture(0, 64, 256), network.encode(picture(1))

    def features(part):  # The decoder sees no further than its convolutions, and is not trained here.
        return network.transferred(part, style)["relu4_1"][..., :8]

    whole = features(content)
    with held_statistics(network):
        features(content)
        tile = features(content[..., :160])
    assert_close(tile, whole, rtol=0, atol=1e-4)
    assert (features(content[..., :160]) - whole).abs().max() > 1e-2


def test_the_encoder_is_frozen_and_belongs_to_no_model_file(network):
    assert not any(weight.requires_grad for weight in network.encoder.backbone.parameters())
    assert all(key.startswith("decoder.") for key in network.state_dict())
    assert network.double().encoder.backbone.preprocessing.matrix.dtype == torch.float64
    network.float()


def test_a_resnet_is_mirrored_by_its_stages():
    network = built(backbone=BackboneConfig(name="resnet18", weights="random"), layer="layer2")
    assert mirrored_steps(network.encoder.backbone, "layer2") == [(128, 8), (64, 4), (64, 2), (3, 1)]
    content = picture(0, 33, 47)
    assert network(content, network.encode(picture(1))).shape == content.shape


def test_a_layer_that_no_decoder_can_start_from_is_refused():
    with pytest.raises(ConfigError, match="cannot start from layer 'pool3'; choose one of relu1_1"):
        built(layer="pool3")
    with pytest.raises(ConfigError, match="unknown layer 'relu4_9'; did you mean"):
        built(layer="relu4_9")
