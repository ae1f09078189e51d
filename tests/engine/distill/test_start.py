"""The start: which channels a narrow layer follows, and regressions that find what is there."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.engine.distill.start import choose_channels, fit_convolution, fit_head


def test_a_channel_that_explains_two_others_is_first():
    one, other = torch.randn(2, 20_000)
    chosen = choose_channels(torch.stack([one, other, one + other], dim=1), 2)
    assert chosen[0] == 2
    assert chosen[1] in (0, 1)


@pytest.mark.parametrize("gain", [1.0, 7.0, -0.01])
def test_duplicates_are_chosen_once(gain):
    one, other, third = torch.randn(3, 5_000)
    features = torch.stack([one, gain * one, other, gain * other, third], dim=1)
    chosen = choose_channels(features, 3).tolist()
    assert sorted(index // 2 for index in chosen) == [0, 1, 2]


def test_a_silent_channel_is_last():
    features = torch.randn(1_000, 4)
    features[:, 1] = 0
    assert choose_channels(features, 4)[-1] == 1


def test_every_channel_is_chosen_once_when_all_are():
    assert sorted(choose_channels(torch.randn(500, 6).relu(), 6).tolist()) == list(range(6))


def test_more_channels_than_there_are_cannot_be_chosen():
    with pytest.raises(
        ConfigError, match="a student of 5 channels cannot follow a teacher of 4; give it no more"
    ):
        choose_channels(torch.randn(100, 4), 5)


def test_a_known_convolution_is_recovered():
    known = nn.Conv2d(2, 4, 3, padding=1, padding_mode="replicate")
    channels, scale = torch.tensor([3, 0, 2]), torch.tensor([0.5, 1.0, 2.0, 4.0])
    with torch.no_grad():
        batches = [torch.randn(2, 2, 10, 12), torch.randn(1, 2, 9, 8)]
        pairs = [(batch, known(batch)) for batch in batches]
        found = nn.Conv2d(2, 3, 3, padding=1, padding_mode="replicate")
        fit_convolution(found, pairs, channels, scale)
        # Damping draws the solution a ten-thousandth towards zero.
        assert_close(
            found.weight, known.weight[channels] / scale[channels, None, None, None], rtol=0, atol=2e-4
        )
        assert_close(found.bias, known.bias[channels] / scale[channels], rtol=0, atol=2e-4)
        fresh = torch.randn(1, 2, 7, 7)
        expected = (known(fresh) / scale[:, None, None])[:, channels]
        assert_close(found(fresh), expected, rtol=0, atol=1e-3)


def test_a_linear_head_is_recovered():
    known, found = nn.Conv2d(3, 5, 1), nn.Conv2d(3, 5, 1)
    with torch.no_grad():
        pairs = [(maps, known(maps)) for maps in (torch.randn(2, 3, 8, 9), torch.randn(1, 3, 5, 5))]
        fit_head(found, pairs)
        assert_close(found.weight, known.weight, rtol=0, atol=2e-4)
        assert_close(found.bias, known.bias, rtol=0, atol=2e-4)


def test_a_head_is_the_regression_where_the_data_are_not_linear():
    """Against the normal equations solved by QR, in double precision."""
    student, teacher = torch.randn(1, 3, 20, 20), torch.randn(1, 2, 20, 20)
    head = nn.Conv2d(3, 2, 1)
    fit_head(head, [(student, teacher)])
    inputs = functional.pad(student.flatten(2)[0].T, (0, 1), value=1.0).double()
    expected = torch.linalg.lstsq(inputs, teacher.flatten(2)[0].T.double()).solution.float()
    assert_close(head.weight[:, :, 0, 0].T, expected[:3], rtol=0, atol=1e-4)
    assert_close(head.bias, expected[3], rtol=0, atol=1e-4)
