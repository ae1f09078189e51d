"""A part is one file: once registered, the contract tests cover it and catch what is wrong with it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOYS = '''
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional

from velatura.colors import ColorMode, colors
from velatura.core.config import Setting
from velatura.initializations import Initialization, Sources, initializations
from velatura.losses import Loss, Target, losses
from velatura.losses.base import statistic
from velatura.metrics import Metric, View, metrics
from velatura.networks import Network, NetworkConfig, faded, networks
from velatura.ops.moments import channel_moments
from velatura.optimizers import CanvasOptimizer, ImageOptimizer, optimizers


@losses.register("toy_brightness")
@dataclass(frozen=True, kw_only=True)
class Brightness(Loss):
    """Squared error of the channels' means."""

    gain: Annotated[float, Gt(0), Setting("Factor on the error")] = 1.0

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        return {"mean": channel_moments(features, mask)[0]}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        mean = channel_moments(features, mask)[0]
        return self.gain * (mean - statistic(target, "mean", like=mean)).square().sum(dim=1)


@losses.register("toy_wrong")
@dataclass(frozen=True, kw_only=True)
class Wrong(Brightness):
    """One more than it should be."""

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        return 1 + super().forward(features, target, mask)


@metrics.register("toy_darkness")
@dataclass(frozen=True, kw_only=True)
class Darkness(Metric):
    """Difference of the mean pixel from the photograph's."""

    unit = "of the pixel range"
    direction = "lower"
    source = "here"
    against = "content"

    def __call__(self, output: View, content: View, style: View) -> float:
        return abs(float(output.pixels.mean() - content.pixels.mean()))


@metrics.register("toy_upside_down")
@dataclass(frozen=True, kw_only=True)
class UpsideDown(Darkness):
    """The same with the wrong direction."""

    direction = "higher"


@optimizers.register("toy_descent")
@dataclass(frozen=True, kw_only=True)
class Descent(ImageOptimizer):
    """Gradient descent, which remembers nothing."""

    lr: Annotated[float, Gt(0), Setting("Step size")] = 1.0

    def build(self, canvas: Tensor) -> CanvasOptimizer:
        return Steps(canvas, step_size=self.lr)

    def remembered(self, steps: int, pixels: int) -> float:
        return 0


class Steps(CanvasOptimizer):
    _entries = ()
    _pixels = frozenset()

    def _move(self, evaluate):
        loss = evaluate()
        self._canvas -= self.step_size * self._canvas.grad
        return loss

    def _forget(self):
        pass

    def _memory(self):
        return {}

    def _remember(self, memory):
        raise AssertionError("there is nothing to remember")

    def _resized(self, memory, size):
        raise AssertionError("there is nothing to resize")


@initializations.register("toy_black")
@dataclass(frozen=True, kw_only=True)
class Black(Initialization):
    """Black everywhere."""

    level: Annotated[float, Ge(0), Setting("Brightness")] = 0.0
    is_random = False

    def draw_from(self, sources: Sources) -> Tensor:
        return torch.full_like(sources.content, self.level)


@colors.register("toy_dimmed")
@dataclass(frozen=True, kw_only=True)
class Dimmed(ColorMode):
    """Paintings as light as the photograph."""

    recolors = True

    def prepare(self, content, styles):
        return content, [style + (content.mean() - style.mean()) for style in styles]


@colors.register("toy_negative")
@dataclass(frozen=True, kw_only=True)
class Negative(ColorMode):
    """The result upside down, which the photograph's own is not."""

    composes = True

    def finish(self, result, content, styles, blend):
        return 1 - result


@networks.register("toy_tint")
@dataclass(frozen=True, kw_only=True)
class Tint(NetworkConfig):
    """Each colour of the photograph mixed from all three."""

    styles = "one"

    def build(self, *, num_styles=1, rng):
        network = TintNetwork()
        nn.init.normal_(network.mixture, std=0.5, generator=rng)
        return network


class TintNetwork(Network):
    styles = "one"

    def __init__(self):
        super().__init__()
        self.mixture = nn.Parameter(torch.empty(3, 3, 1, 1))

    def stylize(self, content, style, *, alpha):
        return faded(content, functional.conv2d(content, self.mixture), alpha)


@networks.register("toy_careless")
@dataclass(frozen=True, kw_only=True)
class Careless(NetworkConfig):
    """Draws what it likes, and halves the picture."""

    styles = "one"

    def build(self, *, num_styles=1, rng):
        network = CarelessNetwork()
        nn.init.normal_(network.mixture)
        return network


class CarelessNetwork(TintNetwork):
    def stylize(self, content, style, *, alpha):
        return super().stylize(content, style, alpha=alpha)[..., ::2]
'''


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Outcome of each contract test that names a toy part: ``{"toy_black": {"PASSED"}, ...}``."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "toy_plugin.py").write_text(TOYS)
    contracts = Path(__file__).parent / "contracts"
    options = ["-p", "toy_plugin", "-p", "no:cacheprovider", "-k", "toy", "-rA", "-q", "--no-header"]
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(contracts), *options],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found: dict[str, set[str]] = {}
    for outcome, test, part in re.findall(
        r"^(PASSED|FAILED) \S+::(\w+)\[[^\]\n]*?(toy_\w+)", run.stdout, re.M
    ):
        found.setdefault(part, set()).add(f"{outcome} {test}")
    assert found, run.stdout + run.stderr
    return found


@pytest.mark.parametrize(
    ("part", "test"),
    [
        ("toy_brightness", "test_is_zero_at_its_own_target"),
        ("toy_descent", "test_a_saved_and_restored_state_continues_to_the_bit"),
        ("toy_darkness", "test_the_better_picture_scores_better"),
        ("toy_black", "test_the_same_seed_draws_the_same_canvas"),
        ("toy_dimmed", "test_keeps_shapes_and_changes_nothing_it_is_given"),
        ("toy_tint", "test_the_stylization_has_the_size_of_the_photograph"),
    ],
)
def test_the_contracts_cover_a_new_part(outcomes, part, test):
    assert f"PASSED {test}" in outcomes[part]
    assert "PASSED test_builds_from_defaults_and_round_trips" in outcomes[part]
    assert not {outcome for outcome in outcomes[part] if outcome.startswith("FAILED")}


def test_the_contracts_catch_a_part_that_is_wrong(outcomes):
    assert "FAILED test_is_zero_at_its_own_target" in outcomes["toy_wrong"]
    assert "FAILED test_the_better_picture_scores_better" in outcomes["toy_upside_down"]
    assert "PASSED test_is_a_finite_number_for_ordinary_pictures" in outcomes["toy_upside_down"]
    assert "FAILED test_a_photograph_in_its_own_colours_is_itself" in outcomes["toy_negative"]
    assert "PASSED test_has_a_finite_gradient_that_is_not_zero" in outcomes["toy_wrong"]
    assert "FAILED test_the_stylization_has_the_size_of_the_photograph" in outcomes["toy_careless"]
    assert (
        "FAILED test_the_same_seed_draws_the_same_weights_and_another_seed_others" in outcomes["toy_careless"]
    )
