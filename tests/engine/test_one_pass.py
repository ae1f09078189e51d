"""Colours of the photograph kept in one pass."""

import pytest
import torch
from torch.testing import assert_close

from velatura.core.rng import generator
from velatura.engine.one_pass import NetworkStylizer
from velatura.engine.precision import choose_network_precision
from velatura.networks import networks

PHOTO = (
    torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(1))
    * torch.tensor([0.3, 0.6, 0.9])[:, None, None]
)
RED = (
    torch.rand(3, 50, 40, generator=torch.Generator().manual_seed(2))
    * torch.tensor([1.0, 0.3, 0.1])[:, None, None]
)


@pytest.fixture
def network():
    """It gives the photograph in the painting's colours, before it is trained."""
    return networks["multi-adain"]().build(rng=generator(0, "network")).eval().requires_grad_(False)


def stylized(network, colors, paintings=(RED,)):
    precision = choose_network_precision("float32", torch.device("cpu"))
    stylizer = NetworkStylizer(network, precision=precision, colors=colors)
    blends = [[1 / len(paintings)] * len(paintings)]
    return stylizer(PHOTO, paintings, blends=blends, size=(48, 64)).pixels


def moments(pixels):
    flat = pixels.double().flatten(1)
    return flat.mean(dim=1), flat.cov(correction=0)


def test_paintings_are_looked_at_in_the_photograph_s_mean_and_covariance(network, monkeypatch):
    seen = []
    encode = network.encode
    monkeypatch.setattr(network, "encode", lambda style: seen.append(style[0]) or encode(style))
    stylized(network, "photo", (RED, RED.flip(0)))
    assert len(seen) == 2
    for painting in seen:
        # But for the variance that keeps what does not vary from being blown up.
        assert_close(moments(painting), moments(PHOTO), rtol=0.02, atol=1e-4)
    seen.clear()
    stylized(network, "style")
    assert moments(seen[0])[0][2] < 0.1


def test_the_result_is_nearer_to_the_photograph_s_colours(network):
    kept, without = (moments(stylized(network, colors)) for colors in ("photo", "style"))
    wanted = moments(PHOTO)
    for of_kept, of_without, of_photo in zip(kept, without, wanted, strict=True):
        assert (of_kept - of_photo).norm() < 0.3 * (of_without - of_photo).norm()


def test_a_grey_photograph_makes_grey_of_a_red_painting(network):
    grey = PHOTO[:1].expand(3, -1, -1)
    precision = choose_network_precision("float32", torch.device("cpu"))
    stylizer = NetworkStylizer(network, precision=precision, colors="photo")
    pixels = stylizer(grey, [RED], blends=[[1.0]], size=(48, 64)).pixels
    assert (pixels.max(dim=0).values - pixels.min(dim=0).values).mean() < 0.05
