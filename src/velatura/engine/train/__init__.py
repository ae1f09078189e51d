"""Training of networks that stylise in one pass."""

from velatura.engine.train.config import Framing, Training
from velatura.engine.train.data import Batches, Cropping, Location, Pictures
from velatura.engine.train.loop import Cadence, Report, Saving, resume, train
from velatura.engine.train.processes import Processes, joined_processes
from velatura.engine.train.trainer import Trainer
from velatura.engine.train.validation import HeldOut

__all__ = [
    "Batches",
    "Cadence",
    "Cropping",
    "Framing",
    "HeldOut",
    "Location",
    "Pictures",
    "Processes",
    "Report",
    "Saving",
    "Trainer",
    "Training",
    "joined_processes",
    "resume",
    "train",
]
