"""Jobs in this process."""

from __future__ import annotations

from collections.abc import Callable

from velatura.core.progress import OnProgress, never, silent
from velatura.jobs.dream import DreamJob, run_dream
from velatura.jobs.models import Model
from velatura.jobs.reconstruct import ReconstructJob, run_reconstruct
from velatura.jobs.result import Result
from velatura.jobs.stylize import StylizeJob, run_stylize
from velatura.jobs.texture import TextureJob, run_texture

__all__ = ["run"]


def run(
    job: StylizeJob | ReconstructJob | DreamJob | TextureJob,
    *,
    model: Model | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Runs a job to its end.

    Args:
        job: What to do; a frozen value that can be sent elsewhere.
        model: The trained network that the job names, where it is loaded already, as for many pictures.
        on_progress: Told of every step.
        cancelled: Asked before every step; the best picture so far is then written.

    Raises:
        VelaturaError: The job cannot be done; the subclass says whose fault it is.
    """
    match job:
        case StylizeJob():
            return run_stylize(job, model=model, on_progress=on_progress, cancelled=cancelled)
        case ReconstructJob():
            return run_reconstruct(job, on_progress=on_progress, cancelled=cancelled)
        case DreamJob():
            return run_dream(job, on_progress=on_progress, cancelled=cancelled)
        case TextureJob():
            return run_texture(job, on_progress=on_progress, cancelled=cancelled)
