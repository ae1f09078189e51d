"""What every registered metric promises."""

import math

import pytest
import torch

from velatura.metrics import Metric, View, metrics

LAYERS = ("shallow", "deep")


def _available(name):
    needs = metrics[name].needs
    if needs is not None:
        pytest.importorskip(needs)
    return metrics[name]()


def _photo():
    """Large smooth shapes, warm."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 36), torch.linspace(0, 1, 48), indexing="ij")
    disc = ((rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.08).float()
    return torch.stack([0.3 + 0.5 * columns, 0.2 + 0.3 * rows + 0.2 * disc, 0.2 * disc + 0.1])[None]


def _painting():
    """Fine grain, cold."""
    grain = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(1))
    return grain * torch.tensor([0.2, 0.5, 0.9])[:, None, None]


def _view(pixels):
    """Features as a network has them: filtered, rectified, larger strides deeper."""
    generator = torch.Generator().manual_seed(2)
    maps, features = pixels, {}
    for layer in LAYERS:
        weight = torch.randn(6, maps.shape[1], 3, 3, generator=generator)
        maps = torch.nn.functional.conv2d(maps, weight, stride=2).relu()
        features[layer] = maps
    return View(pixels=pixels, features=features)


def _cropped(pixels, like):
    return pixels[..., : like.shape[-2], : like.shape[-1]]


def _score(metric, output):
    return metric(_view(output), _view(_photo()), _view(_painting()))


@pytest.mark.parametrize("name", metrics)
def test_says_what_it_is(name):
    part = metrics[name]
    assert issubclass(part, Metric)
    assert part.direction in ("lower", "higher", "one")
    assert part.against in ("content", "style")
    for text in (part.unit, part.source):
        assert text.strip()
        assert "\n" not in text


@pytest.mark.parametrize("name", metrics)
def test_is_a_finite_number_for_ordinary_pictures(name):
    value = _score(_available(name), 0.5 * _photo() + 0.5 * _cropped(_painting(), _photo()))
    assert isinstance(value, float)
    assert math.isfinite(value)


@pytest.mark.parametrize("name", metrics)
def test_the_better_picture_scores_better(name):
    metric = _available(name)
    photo, painting = _photo(), _cropped(_painting(), _photo())
    towards, away = (photo, painting) if metric.against == "content" else (painting, photo)
    # Not the picture itself: some are infinite there.
    better, worse = (
        _score(metric, 0.9 * near + 0.1 * far) for near, far in ((towards, away), (away, towards))
    )
    match metric.direction:
        case "lower":
            assert better < worse
        case "higher":
            assert better > worse
        case "one":
            assert abs(better - 1) < abs(worse - 1)


@pytest.mark.parametrize("name", metrics)
def test_the_picture_it_is_held_against_scores_best(name):
    """Nothing is lower than the photograph's own distance to itself, nor nearer to the painting than it."""
    metric = _available(name)
    pictures = (_photo(), _cropped(_painting(), _photo()), _photo().flip(3), torch.full_like(_photo(), 0.4))
    if metric.against == "content":
        own = metric(_view(_photo()), _view(_photo()), _view(_painting()))
    else:
        own = metric(_view(_painting()), _view(_photo()), _view(_painting()))
    others = [_score(metric, picture) for picture in pictures]
    others = [value for value in others if not math.isnan(value)]
    match metric.direction:
        case "lower":
            assert own <= min(others) + 1e-6
        case "higher":
            assert own >= max(others)
        case "one":
            assert own == pytest.approx(1)


@pytest.mark.parametrize("name", metrics)
def test_gives_the_same_value_twice_and_changes_nothing_it_is_given(name):
    metric = _available(name)
    views = [_view(_cropped(picture, _photo())) for picture in (_painting().flip(2), _photo(), _painting())]
    before = [[view.pixels.clone(), *(maps.clone() for maps in view.features.values())] for view in views]
    assert metric(*views) == metric(*views)
    for view, tensors in zip(views, before, strict=True):
        for tensor, copy in zip([view.pixels, *view.features.values()], tensors, strict=True):
            assert torch.equal(tensor, copy)


@pytest.mark.parametrize("name", metrics)
def test_reads_layers_that_the_caller_can_know(name):
    metric = metrics[name]()
    if not hasattr(metric, "layers"):
        assert metric.reads(LAYERS) == ()
        return
    for layers in metric.usual:
        assert metric.reads((*LAYERS, *layers)) in metric.usual
    assert metrics[name](layers=LAYERS).reads(LAYERS) == LAYERS
