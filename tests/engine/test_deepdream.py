import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import Backbone, BackboneConfig, LayerShape, Preprocessing, build_backbone
from velatura.core.errors import ConfigError, VelaturaError, WeightsError
from velatura.engine.deepdream import DeepDream, Dreamer, octave_sizes
from velatura.engine.precision import Precision

FLOAT32 = Precision(torch.float32, torch.contiguous_format)


class Mirror(Backbone):
    """A network of one layer, which sees each pixel, four times as bright; its third channel sees nothing."""

    shapes = {"mirror": LayerShape(channels=3, stride=1, receptive_field=1, smallest_input=2)}  # noqa: RUF012
    missing = ("beyond",)

    def __init__(self):
        super().__init__(preprocessing=Preprocessing(torch.eye(3), torch.zeros(3)), source="mirror")

    def _maps(self, inputs, wanted):
        yield "mirror", 4 * inputs * torch.tensor([1.0, 1.0, 0.0])[:, None, None]


def dreamer(backbone=None, seed=0, **settings):
    settings = DeepDream(**{"layer": "mirror", "octaves": 1, "jitter": 0, "steps": 1, **settings})
    return Dreamer(settings, backbone or Mirror(), precision=FLOAT32, seed=seed)


def test_one_step_by_hand():
    # The gradient of the mean of (4 x)^2 / 2 over 12 values is 16 x / 12; 0 in the last channel.
    red = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    image = torch.stack([red, torch.full((2, 2), 0.5), torch.full((2, 2), 0.9)])
    # mean |g| = 16/12 (1.0 + 2.0 + 0) / 12 = 1/3; the step is 0.01 * g / mean |g| = 0.04 x.
    outcome = dreamer(step_size=0.01)(image, size=(2, 2))
    assert_close(outcome.pixels[0], red * 1.04)
    assert_close(outcome.pixels[1], torch.full((2, 2), 0.52))
    assert_close(outcome.pixels[2], image[2])
    # The activation before the step: half of 16 (0.01 + 0.04 + 0.09 + 0.16 + 4 * 0.25) / 12.
    assert outcome.history == [
        {"scale": 1, "step": 1, "size": [2, 2], "loss": pytest.approx(8 * 1.3 / 12), "terms": {}}
    ]
    assert not outcome.interrupted


def test_one_channel_by_hand():
    image = torch.full((3, 2, 2), 0.5)
    # The gradient of the mean of one channel is the same at each of its pixels: 1/3 of all values are 3 times
    # as large as the mean.
    outcome = dreamer(channel=1, step_size=0.02)(image, size=(2, 2))
    assert_close(outcome.pixels[1], torch.full((2, 2), 0.56))
    assert_close(outcome.pixels[[0, 2]], image[[0, 2]])


@pytest.mark.parametrize("normalize", ["std", "none"])
def test_other_divisors_of_the_gradient(normalize):
    image = torch.full((3, 2, 2), 0.5)
    outcome = dreamer(channel=0, normalize=normalize, step_size=0.02)(image, size=(2, 2))
    gradient = torch.zeros(3, 2, 2)
    gradient[0] = 4 / 4  # of the mean of 4 x over the four pixels of the channel
    divisor = gradient.std() if normalize == "std" else 1.0
    assert_close(outcome.pixels, image + 0.02 * gradient / divisor)


def test_the_notebooks_octaves():
    # 1.4 smaller each: 576 and 1024 of the authors' sky, three times.
    assert octave_sizes((576, 1024), octaves=4, scale=1.4) == [
        (210, 373),
        (294, 522),
        (411, 731),
        (576, 1024),
    ]


def test_the_defaults_are_the_notebooks():
    settings = DeepDream(layer="relu4_2")
    assert (settings.steps, settings.octaves, settings.octave_scale, settings.jitter) == (10, 4, 1.4, 32)
    assert settings.step_size * 255 == pytest.approx(1.5)
    assert settings.normalize == "mean_abs"


def test_a_shift_changes_nothing_where_every_pixel_is_seen_alone():
    image = torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0))
    still = dreamer(steps=3)(image, size=(9, 7)).pixels
    assert_close(dreamer(steps=3, jitter=5)(image, size=(9, 7)).pixels, still)


def test_what_small_octaves_add_is_carried_to_the_large_ones():
    image = torch.full((3, 16, 16), 0.5)
    alone = dreamer(step_size=0.01)(image, size=(16, 16)).pixels
    carried = dreamer(step_size=0.01, octaves=2)(image, size=(16, 16)).pixels
    assert_close(alone[0], torch.full((16, 16), 0.515))
    # Twice 3/2 of a step: the gradient is a constant over the two channels that see.
    assert_close(carried[0], torch.full((16, 16), 0.53), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def slim():
    return build_backbone(BackboneConfig())


def test_a_layer_of_the_network_that_ships_grows(slim):
    image = torch.rand(3, 64, 48, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    dream = dreamer(slim, layer="relu3_1", octaves=1, steps=10, jitter=4, step_size=0.02)
    losses = [entry["loss"] for entry in dream(image, size=(64, 48)).history]
    assert losses[-1] > 2 * losses[0]


def test_the_seed_decides_the_shifts(slim):
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1))
    first, again, other = (
        dreamer(slim, seed=seed, layer="relu2_1", jitter=8, steps=2, octaves=2)(image, size=(40, 40)).pixels
        for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_cut_short_at_a_small_octave_the_picture_is_whole():
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > 3

    outcome = dreamer(octaves=2, steps=10)(torch.full((3, 20, 10), 0.5), size=(20, 10), cancelled=cancelled)
    assert outcome.interrupted
    assert len(outcome.history) == 3
    assert outcome.pixels.shape == (3, 20, 10)
    assert float(outcome.pixels[0].min()) > 0.51


def test_every_step_is_reported():
    said = []
    dreamer(octaves=2, steps=2)(torch.full((3, 20, 10), 0.5), size=(20, 10), on_progress=said.append)
    assert [(one.step, one.steps, one.scale, one.scales) for one in said] == [
        (1, 4, 1, 2),
        (2, 4, 1, 2),
        (3, 4, 2, 2),
        (4, 4, 2, 2),
    ]
    assert said[0].picture().shape == (3, 14, 7)


def test_no_step_is_the_picture():
    image = torch.rand(3, 8, 8)
    assert_close(dreamer(steps=0)(image, size=(8, 8)).pixels, image)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"layer": "miror"}, ConfigError, "unknown layer 'miror'; did you mean 'mirror'"),
        ({"layer": "beyond"}, WeightsError, "layer 'beyond' is not in mirror, which ends at 'mirror'"),
        ({"channel": 3}, ConfigError, "layer 'mirror' has 3 channels, counted from 0; there is no channel 3"),
    ],
)
def test_a_layer_or_channel_that_is_not_there(settings, error, message):
    with pytest.raises(error, match=message):
        dreamer(**settings)


def test_an_octave_too_small_is_said_before_any_step():
    said = []
    with pytest.raises(ConfigError, match=r"the smallest of 4 octaves is 3x1 pixels, .* needs 2x2"):
        dreamer(octaves=4)(torch.rand(3, 4, 8), size=(4, 8), on_progress=said.append)
    assert not said


def test_a_channel_that_sees_nothing_says_so():
    with pytest.raises(VelaturaError, match="layer 'mirror', channel 2, is silent in this picture"):
        dreamer(channel=2)(torch.full((3, 4, 4), 0.5), size=(4, 4))
