"""SSIM, PSNR and RMSE: worked examples and SSIM by its own formula."""

import math

import pytest
import torch

from velatura.core.errors import ConfigError
from velatura.metrics import metrics


def _flat(value, size=(16, 12)):
    return torch.full((1, 3, *size), value)


def test_rmse_of_a_worked_example(showing):
    output = _flat(0.5)
    output[:, :, :8] = 0.9
    found = metrics["rmse"]()(showing(output), showing(_flat(0.5)), showing(output))
    assert found == pytest.approx(math.sqrt(0.16 / 2), rel=1e-5)


def test_psnr_of_a_worked_example(showing):
    """A difference of a tenth everywhere: 10 log10 (1 / 0.01) = 20 dB."""
    pytest.importorskip("torchmetrics")
    found = metrics["psnr"]()(showing(_flat(0.6)), showing(_flat(0.5)), showing(_flat(0)))
    assert found == pytest.approx(20, abs=1e-3)


def test_psnr_of_equal_pictures_is_infinite(showing):
    pytest.importorskip("torchmetrics")
    assert metrics["psnr"]()(showing(_flat(0.6)), showing(_flat(0.6)), showing(_flat(0))) == math.inf


def test_ssim_of_flat_pictures_is_its_luminance_term(showing):
    """(2 a b + c) / (a^2 + b^2 + c) with c = 0.01^2; contrast and structure are 1."""
    pytest.importorskip("torchmetrics")
    found = metrics["ssim"]()(showing(_flat(0.6)), showing(_flat(0.3)), showing(_flat(0)))
    expected = (2 * 0.6 * 0.3 + 1e-4) / (0.6**2 + 0.3**2 + 1e-4)
    assert found == pytest.approx(expected, abs=1e-4)


def test_ssim_falls_with_noise_from_one(showing):
    pytest.importorskip("torchmetrics")
    picture = torch.rand(1, 3, 24, 20)
    values = [
        metrics["ssim"]()(
            showing(picture + amount * torch.randn_like(picture)), showing(picture), showing(picture)
        )
        for amount in (0, 0.05, 0.3)
    ]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2]


def test_ssim_needs_its_window(showing):
    pytest.importorskip("torchmetrics")
    small = showing(_flat(0.5, (10, 40)))
    with pytest.raises(ConfigError, match="window of 11x11 pixels, and a picture is 40x10; leave ssim out"):
        metrics["ssim"]()(small, small, small)


@pytest.mark.parametrize("name", ["rmse", "psnr", "ssim"])
def test_sizes_that_differ_are_refused(showing, name):
    if metrics[name].needs:
        pytest.importorskip(metrics[name].needs)
    with pytest.raises(ConfigError, match="must have one size"):
        metrics[name]()(showing(_flat(0.5)), showing(_flat(0.5, (16, 16))), showing(_flat(0.5)))
