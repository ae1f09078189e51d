import os
import re
import subprocess
import sys
from pathlib import Path

CONTRACTS = Path(__file__).parents[1] / "contracts" / "test_backbones.py"

TOY = """
from functools import partial

from torch import nn

from velatura.backbones import Backbone, LayerShape, Pool, backbones
from velatura.backbones.loading import preprocessing_of, set_weights, source_of


class Toy(Backbone):
    def __init__(self, weights, pooling, padding, rescale, field):
        super().__init__(preprocessing=preprocessing_of(weights), source=source_of(weights))
        least = 2 if padding == "reflect" else 1
        self.shapes = {
            "edges": LayerShape(channels=8, stride=1, receptive_field=3, smallest_input=least),
            "pool": LayerShape(channels=8, stride=2, receptive_field=field, smallest_input=2),
        }
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode=padding)
        self.pool = Pool(pooling, size=2, stride=2, rescale=rescale)

    def _maps(self, inputs, wanted):
        features = self.conv(inputs)
        yield "edges", features
        yield "pool", self.pool(features)


@backbones.register("toy")
def build_toy(weights, *, pooling, padding, rescale, generator, field=4):
    network = Toy(weights, pooling, padding, rescale, field)
    set_weights(network, weights, architecture="toy", generator=generator)
    return network


backbones.register("braggart")(partial(build_toy, field=3))
"""


def test_a_backbone_from_one_file_is_held_to_the_contracts(tmp_path):
    (tmp_path / "toy_backbone.py").write_text(TOY)
    options = ["-v", "-p", "toy_backbone", "-p", "no:cacheprovider", "-k", "toy or braggart"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", str(CONTRACTS), *options, "--rootdir", str(CONTRACTS.parents[2])],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = dict(re.findall(r"::(test_\S+\[\S+\]) (PASSED|FAILED|ERROR)", ran.stdout))
    toy = {name: outcome for name, outcome in outcomes.items() if "[toy" in name}
    assert len(toy) > 20, ran.stdout
    assert set(toy.values()) == {"PASSED"}, ran.stdout
    # The other one promises to see less than it does; that and nothing else is held against it.
    failed = {name for name, outcome in outcomes.items() if outcome != "PASSED"}
    assert failed == {"test_a_position_sees_no_further_than_its_receptive_field[braggart]"}, ran.stdout
