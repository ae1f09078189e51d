"""A small stylization; as a program, one that is killed after some steps.

python small_run.py CHECKPOINT OPTIMIZER STEPS
"""

import os
import signal
import sys
from functools import cache
from pathlib import Path

import torch

from velatura.backbones import BackboneConfig, build_backbone
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.method import Optimization
from velatura.engine.objective import Term
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.precision import Precision
from velatura.engine.pyramid import Pyramid
from velatura.initializations import initializations
from velatura.losses.content import Content
from velatura.losses.moments import Moments
from velatura.losses.total_variation import TotalVariation
from velatura.optimizers.adam import Adam, AdamW
from velatura.optimizers.lbfgs import LBFGS

TERMS = {
    "content": Term(loss=Content(reduction="relative"), of="content", layers={"relu2_1": 1.0}),
    "style": Term(loss=Moments(), of="style", layers={"relu1_1": 1.0, "relu2_1": 1.0}),
    "smoothness": Term(loss=TotalVariation(), of="nothing", layers={"image": 1.0}, weight=0.1),
}
OPTIMIZERS = {"adam": Adam(), "adamw": AdamW(), "lbfgs": LBFGS(history=3)}
SIZE = (24, 32)


@cache
def random_backbone():
    """One network for every stylizer here: none of them changes it."""
    return build_backbone(BackboneConfig(weights="random"))


def stylizer(
    optimizer="adam", *, initialization="content", dtype=torch.float32, strength=1.0, seed=0, **changes
):
    """Two scales, 12x16 and 24x32 pixels, of three and four steps."""
    settings = {
        "backbone": BackboneConfig(weights="random"),
        "terms": TERMS,
        "initialization": initializations[initialization](),
        "optimizer": OPTIMIZERS[optimizer],
        "pyramid": Pyramid(smallest=16, ratio=2.0, steps=(3, 4)),
    }
    method = Optimization(**{**settings, **changes})
    return OptimizationStylizer(
        method,
        random_backbone(),
        precision=Precision(dtype, torch.channels_last),
        strength=strength,
        seed=seed,
    )


def pictures():
    """A photograph and a painting, ``(3, H, W)``, of other sizes than the canvas."""
    generator = torch.Generator().manual_seed(5)
    return torch.rand(3, 30, 40, generator=generator), torch.rand(3, 41, 33, generator=generator).square()


def paint(by, **options):
    """The outcome of ``by`` on :func:`pictures`."""
    content, style = pictures()
    return by(content, [style], blend=[1.0], size=SIZE, **options)


def main(path, optimizer, steps):
    """Paints, and kills itself after so many steps: nothing can be tidied up."""

    def die(progress):
        if progress.step == steps:
            os.kill(os.getpid(), signal.SIGKILL)

    paint(stylizer(optimizer), checkpoints=Checkpoints(save_to=path, every_s=0), on_progress=die)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
