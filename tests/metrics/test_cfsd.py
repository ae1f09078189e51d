"""CFSD: the authors' lines, and what normalising the activations is for."""

import pytest
import torch
from torch.nn import functional

from velatura.metrics import metrics


def _as_published(output, content):
    """The paper's steps: features over C, products, softmax over rows, KL summed over positions."""

    def similarity(features):
        flat = features.flatten(2)[0].T / features.shape[1]
        return flat @ flat.T

    return functional.kl_div(
        similarity(output).log_softmax(dim=1), similarity(content).softmax(dim=1), reduction="sum"
    ).item()


def _maps(seed, channels=256, size=(5, 6)):
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(seed)).double()


def test_raw_activations_give_the_published_sum_scaled_to_its_positions(seeing):
    output, content = 3 * _maps(1), 3 * _maps(2)
    found = metrics["cfsd"](activations="raw")(seeing(a=output), seeing(a=content), seeing())
    assert found == pytest.approx(_as_published(output, content) * 128**2 / 30)


def test_normalised_activations_have_the_photographs_mean_of_one(seeing):
    output, content = 3 * _maps(1), 3 * _maps(2)
    expected = _as_published(output / content.mean(), content / content.mean()) * 128**2 / 30
    assert metrics["cfsd"]()(seeing(a=output), seeing(a=content), seeing()) == pytest.approx(expected)


def test_the_scale_of_a_network_does_not_matter(seeing):
    metric, output, content = metrics["cfsd"](), _maps(1), _maps(2)
    plain = metric(seeing(a=output), seeing(a=content), seeing())
    assert metric(seeing(a=100 * output), seeing(a=100 * content), seeing()) == pytest.approx(plain)


def test_the_width_of_a_network_does_not_matter(seeing):
    metric, output, content = metrics["cfsd"](), _maps(1), _maps(2)
    plain = metric(seeing(a=output), seeing(a=content), seeing())
    output, content = (maps.repeat(1, 3, 1, 1) for maps in (output, content))
    assert metric(seeing(a=output), seeing(a=content), seeing()) == pytest.approx(plain)


def test_several_layers_are_averaged(seeing):
    metric, output, content = metrics["cfsd"](), (_maps(1), _maps(3)), (_maps(2), _maps(4))
    each = [metric(seeing(a=o), seeing(a=c), seeing()) for o, c in zip(output, content, strict=True)]
    both = metric(seeing(a=output[0], b=output[1]), seeing(a=content[0], b=content[1]), seeing())
    assert both == pytest.approx(sum(each) / 2)


def test_it_is_zero_at_the_photograph_and_grows_with_noise(seeing):
    content = seeing(a=_maps(2))
    values = [
        metrics["cfsd"]()(seeing(a=_maps(2) + amount * _maps(3)), content, seeing())
        for amount in (0, 0.1, 0.5)
    ]
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert values[0] < values[1] < values[2]
