"""Small pictures on disk, and small trainers of networks of one, many and any styles."""

import numpy as np
import pytest
import torch

from velatura.backbones import BackboneConfig
from velatura.core.rng import generator
from velatura.engine.objective import Term
from velatura.engine.precision import Precision
from velatura.engine.train import Batches, Cropping, HeldOut, Location, Pictures, Saving, Trainer, Training
from velatura.imaging import Picture
from velatura.losses import losses
from velatura.networks import networks

FLOAT32 = Precision(torch.float32, torch.channels_last)


def content_term(of="content", layer="relu2_1", weight=1.0):
    return Term(loss=losses["content"](), of=of, layers={layer: 1.0}, weight=weight)


STYLE = Term(loss=losses["gram"](), of="style", layers={"relu1_1": 1.0, "relu2_1": 2.0}, weight=3.0)
NETWORKS = {
    "one": lambda: networks["johnson"](width=2, norm="instance"),
    "many": lambda: networks["cin"](width=2),
    "any": lambda: networks["adain"](layer="relu2_1"),
}


@pytest.fixture
def folder(tmp_path):
    """Six photographs and four paintings."""
    rng = np.random.default_rng(0)
    for kind, count in (("contents", 6), ("styles", 4)):
        (tmp_path / kind).mkdir()
        for number in range(count):
            pixels = rng.random((30 + number, 40, 3), np.float32) * (0.3 + 0.1 * number)
            Picture.of(pixels).save(tmp_path / kind / f"{number}.png")
    return tmp_path


@pytest.fixture
def locations(folder):
    """Those of ``contents`` or ``styles``."""

    def make(kind="contents"):
        return [Location(path, path.name) for path in sorted((folder / kind).iterdir())]

    return make


@pytest.fixture
def school(locations, backbone, tmp_path):
    """A trainer, its batches, held-out pictures and saving, by how many styles its network knows."""
    random = BackboneConfig(weights="random")

    def make(styles="one", *, steps=6, processes=None, **changes):
        settings = {
            "network": NETWORKS[styles](),
            "backbone": random,
            "terms": {"content": content_term(), "style": STYLE},
            "steps": steps,
            "batch": 2,
            "crop": 16,
            "short_edge": 20,
            "style_size": 24,
            "average": 0.9,
            "seed": 3,
            **changes,
        }
        config = Training(**settings)
        num_styles = 3 if styles == "many" else 1
        network = config.network.build(num_styles=num_styles, rng=generator(config.seed, "network weights"))
        paintings = [location.read()[None] for location in locations("styles")][:num_styles]
        trainer = Trainer(
            config,
            network,
            backbone,
            precision=FLOAT32,
            paintings=[] if styles == "any" else paintings,
            processes=processes,
        )
        cropping = Cropping(framing=config.framing, crop=16, short_edge=20, mirror=True)
        batches = Batches(
            Pictures(locations(), cropping),
            Pictures(locations("styles"), cropping) if styles == "any" else None,
            num_styles=3 if styles == "many" else 0,
            batch=config.batch,
            seed=config.seed,
        )
        rng = torch.Generator().manual_seed(1)
        squares = torch.randint(256, (3, 3, 16, 16), generator=rng, dtype=torch.uint8)
        held_out = HeldOut(
            contents=squares,
            styles=squares.flip(0) if styles == "any" else None,
            num_styles=3 if styles == "many" else 0,
        )
        saving = Saving(checkpoint=tmp_path / "run" / "checkpoint.safetensors", fingerprint={"seed": 3})
        return trainer, batches, held_out, saving

    return make
