"""The Python door: pictures in any form in, a result out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from velatura.core.progress import OnProgress, never, silent
from velatura.engine.optimization import Checkpoints
from velatura.imaging import Picture, PictureSource, read_picture, write_picture
from velatura.jobs.result import Result
from velatura.jobs.stylize import stylization, stylize_pictures

__all__ = ["load_image", "save_image", "stylize"]


def stylize(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    preset: str = "fast",
    settings: Mapping[str, Any] | None = None,
    start: PictureSource | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
    **options: Any,
) -> Result:
    """Gives a photograph the style of a painting.

    .. code-block:: python

        velatura.stylize("photo.jpg", "painting.jpg").save("out.png")

    Args:
        content: The photograph: a path, a PIL image, an array ``(H, W, 3)`` (8 or 16 bits, or floats
            in [0, 1]), a tensor ``(3, H, W)`` in [0, 1], or a :class:`Picture`.
        style: The painting in any of these forms, or a list or tuple of several to blend.
        preset: Named settings; ``velatura.presets.preset_names()`` lists them.
        settings: Changes to the preset by dotted path, such as ``{"optimizer.lr": 0.05}``.
        start: The picture to start from, in place of what the preset starts from.
        checkpoint: File that the run is saved to every ten seconds.
        resume: Checkpoint to go on from; the pixels are those of an unbroken run.
        on_progress: Called with a :class:`velatura.core.progress.Progress` after every step.
        cancelled: Asked before every step; the best picture so far is returned.
        **options: ``size``, ``upsample``, ``strength``, ``blend``, ``seed``, ``device``,
            ``precision``, ``threads``: the fields of :class:`velatura.jobs.stylize.Stylization`.

    Returns:
        The picture with its history and its record.

    Raises:
        ImageError: A picture cannot be read, or holds values out of range.
        ConfigError: A setting is unknown, out of range, or does not fit the others.
        WeightsError: The backbone's weights are missing or broken.
    """
    changes = dict(settings or {})
    if start is not None:
        changes.setdefault("initialization.name", "picture")
    styles: Sequence[PictureSource] = style if isinstance(style, list | tuple) else [style]  # type: ignore[list-item]
    return stylize_pictures(
        Picture.of(content),
        [Picture.of(one) for one in styles],
        stylization(preset, changes=changes, **options),
        start=None if start is None else Picture.of(start),
        checkpoints=Checkpoints(
            save_to=None if checkpoint is None else Path(checkpoint),
            resume_from=None if resume is None else Path(resume),
        ),
        on_progress=on_progress,
        cancelled=cancelled,
    )


def load_image(path: str | Path) -> Picture:
    """Reads a picture file, upright and in sRGB: see :func:`velatura.imaging.read_picture`."""
    return read_picture(path)


def save_image(picture: PictureSource, path: str | Path, **options: Any) -> None:
    """Writes a picture in any form: see :func:`velatura.imaging.write_picture`."""
    write_picture(Picture.of(picture), path, **options)
