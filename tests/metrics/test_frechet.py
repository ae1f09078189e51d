import pytest
import torch

from velatura.metrics import metrics


def _maps(*positions):
    return torch.tensor(positions, dtype=torch.float32)[None, :, None, :]


def test_one_channel_by_hand(seeing):
    """Means 1 and 2, deviations 1 and 2: (1 - 2)^2 + (1 - 2)^2."""
    found = metrics["sifid"]()(seeing(a=_maps((0, 2))), seeing(), seeing(a=_maps((0, 4))))
    assert found == pytest.approx(2, rel=1e-6)


def test_several_layers_are_averaged(seeing):
    output, style = seeing(a=_maps((0, 2)), b=_maps((1, 1))), seeing(a=_maps((0, 4)), b=_maps((1, 1)))
    assert metrics["sifid"]()(output, seeing(), style) == pytest.approx(1, rel=1e-6)


def test_it_is_zero_wherever_the_features_are(seeing):
    features = torch.rand(1, 5, 6, 7)
    moved = features.flip(2).roll(3, dims=3)
    assert metrics["sifid"]()(seeing(a=moved), seeing(), seeing(a=features)) == pytest.approx(0, abs=1e-6)
