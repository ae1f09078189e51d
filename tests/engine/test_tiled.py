"""Tiles: the loss and the gradient of a picture in parts are those of the whole."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.errors import ConfigError, VelaturaError
from velatura.engine.objective import Objective, Term
from velatura.engine.parts import Sight, picture_tiles, sight
from velatura.engine.tiled import TiledObjective
from velatura.losses import Loss
from velatura.losses.content import Content
from velatura.losses.gram import Gram
from velatura.losses.mean_std import MeanStd
from velatura.losses.moments import Moments
from velatura.losses.self_similarity import SelfSimilarity
from velatura.losses.total_variation import TotalVariation
from velatura.losses.wasserstein import Wasserstein


def _of(loss, of, *layers, weight=1.0):
    return Term(
        loss=loss, of=of, layers={layer: 1 + index for index, layer in enumerate(layers)}, weight=weight
    )


def _terms(*layers):
    """A term of every loss that works in tiles, in every form that changes the sums, at three layers."""
    first, middle, deep = layers
    return {
        "gram": _of(Gram(), "style", first, deep),
        "gatys": _of(Gram(scale="none", reduction="gatys"), "style", middle, weight=1e-6),
        "expected": _of(Gram(scale="hw", reduction="relative"), "style", middle, deep),
        "moments": _of(Moments(mean_weight=0.5), "style", first, middle, deep),
        "mean_std": _of(MeanStd(), "style", first, deep),
        "wasserstein": _of(Wasserstein(reduction="relative"), "style", first, deep),
        "content": _of(Content(reduction="relative"), "content", middle),
        "mean": _of(Content(), "content", "image", deep),
        "half": _of(Content(reduction="half_sum"), "content", deep, weight=1e-3),
        "standard": _of(Content(standardize=True), "content", middle),
        "variation": _of(TotalVariation(), "nothing", "image", first),
        "steps": _of(TotalVariation(form="l1", reduction="sum"), "nothing", "image", weight=1e-3),
    }


@pytest.fixture(scope="module")
def networks():
    made = {}

    def network(name, pooling="native", padding="native"):
        key = name, pooling, padding
        if key not in made:
            config = BackboneConfig(name=name, weights="random", pooling=pooling, padding=padding)
            made[key] = build_backbone(config).double()
        return made[key]

    return network


def _pictures(size):
    generator = torch.Generator().manual_seed(3)
    return tuple(
        torch.rand((1, 3, *shape), generator=generator, dtype=torch.float64).contiguous(
            memory_format=torch.channels_last
        )
        for shape in (size, (size[1] + 17, size[0] + 5), size)
    )


def _loss_and_gradient(objective, size):
    content, style, start = _pictures(size)
    objective.aim(content, [style, style.flip(3) ** 2], [0.7, 0.3])
    canvas = start.clone().requires_grad_()
    terms = objective(canvas)
    sum(terms.values()).backward()
    return {name: float(value.detach()) for name, value in terms.items()}, canvas.grad


NETWORKS = {
    "slim": ("vgg19-slim", "native", ("relu1_1", "relu2_2", "relu3_3")),
    "max": ("vgg19-slim", "max", ("conv1_1", "pool2", "relu4_1")),
    "residual": ("resnet18", "native", ("conv1", "layer1", "layer2")),
    "squeezed": ("squeezenet1_1", "native", ("conv1", "fire3", "fire5")),
}


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(
    ("own", "more"), [(32, (None, 53)), (48, (27, None)), (16, (9, 30))], ids=["columns", "rows", "both"]
)
def test_tiles_give_the_loss_and_the_gradient_of_the_whole(networks, kind, padding, own, more):
    name, pooling, layers = NETWORKS[kind]
    backbone, terms = networks(name, pooling, padding), _terms(*layers)
    needs = TiledObjective(backbone, terms).needs
    edge = needs.least_edge + own // needs.grid * needs.grid
    tiled = TiledObjective(backbone, terms, edge=edge)
    size = tuple(61 if extra is None else edge + extra for extra in more)
    assert len(picture_tiles(size, edge=edge, needs=needs)) > 1
    expected, wanted = _loss_and_gradient(Objective(backbone, terms), size)
    found, gradient = _loss_and_gradient(tiled, size)
    assert found == {name: pytest.approx(value, rel=1e-10) for name, value in expected.items()}
    assert_close(gradient, wanted, rtol=1e-8, atol=1e-10 * float(wanted.abs().max()))
