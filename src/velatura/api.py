"""The Python door: pictures in any form in, a result out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from velatura.core.config import annotations_of
from velatura.core.errors import ConfigError, unknown_name
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.deepdream import DeepDream
from velatura.engine.method import Optimization
from velatura.engine.one_pass import OnePass
from velatura.imaging import Picture, PictureSource, read_picture, write_picture
from velatura.jobs.dream import Dreaming, dream_picture, dreaming
from velatura.jobs.judging import Evaluator, Networks, evaluation, network_named, without_absent
from velatura.jobs.models import Model, load_model
from velatura.jobs.one_pass import OWN_SIZE, with_styles
from velatura.jobs.reconstruct import reconstruct_picture, reconstruction
from velatura.jobs.regions import Region, Regions, paintings_of, placed_pictures
from velatura.jobs.result import Result
from velatura.jobs.stylize import Stylization, stylization, stylize_pictures
from velatura.jobs.texture import DEFAULT_TEXTURE, Texturing, texture_pictures, texturing
from velatura.ops.wrap import Wrap

__all__ = [
    "apply",
    "evaluate",
    "load_image",
    "load_model",
    "reconstruct",
    "save_image",
    "stylize",
    "texture",
]


def stylize(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] | None = None,
    *,
    preset: str | None = None,
    model: str | Path | Model | None = None,
    settings: Mapping[str, Any] | None = None,
    start: PictureSource | None = None,
    regions: Sequence[Region] = (),
    labels: PictureSource | None = None,
    protect: PictureSource | None = None,
    feather: float = 0.0,
    fine_style: PictureSource | None = None,
    refine: PictureSource | None = None,
    structure: float | None = None,
    tv: float | None = None,
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
        style: The painting in any of these forms, or a list or tuple of several to blend. For a trained
            network with styles of its own, their names, or None for a network of one.
        preset: Named settings; ``velatura.presets.preset_names()`` lists them. None: ``fast``, or
            ``instant`` with a model.
        model: A trained network that does it in one pass: a name, a file, the folder of its run, or what
            :func:`load_model` gave.
        settings: Changes to the preset by dotted path, such as ``{"optimizer.lr": 0.05}``.
        start: The picture to start from, in place of what the preset starts from.
        regions: Parts of the photograph with paintings of their own, each a :class:`velatura.Region`;
            none: all paintings everywhere. Paintings of regions need not be named in ``style`` too.
        labels: A picture with one colour for each region whose mask is a colour, such as ``"#ff0000"``.
        protect: A picture that is white where the photograph is to stay, a face say.
        feather: How far the edges of all masks fade, in pixels of the result to either side.
        fine_style: The painting whose fine texture ``style`` is given first, so that the result has the
            texture of the one and the composition of the other.
        refine: A finished picture to go on from, at the last scale alone and with gentle steps.
        structure: How much the photograph's outlines are kept; None or 0: as the preset does.
        tv: Weight of the total variation; None: the preset's.
        checkpoint: File that the run is saved to every ten seconds.
        resume: Checkpoint to go on from; the pixels are those of an unbroken run.
        on_progress: Called with a :class:`velatura.core.progress.Progress` after every step.
        cancelled: Asked before every step; the best picture so far is returned.
        **options: ``size``, ``upsample``, ``smooth``, ``strength``, ``blend``, ``color``, ``palette``,
            ``seed``, ``device``, ``precision``, ``threads``: the fields of
            :class:`velatura.jobs.stylize.Stylization`.

    Returns:
        The picture with its history and its record.

    Raises:
        ImageError: A picture cannot be read, or holds values out of range.
        ConfigError: A setting is unknown, out of range, or does not fit the others.
        WeightsError: The weights of backbone or network are missing or broken.
    """
    changes = dict(settings or {})
    if start is not None and refine is not None:
        raise ConfigError("refine is the picture to start from already; leave start out")
    if start is not None:
        changes.setdefault("initialization.name", "picture")
    controls = {"structure": structure, "tv": tv, "refine": refine is not None}
    _check_options(options, Stylization, (Optimization, OnePass))
    named = model.path if isinstance(model, Model) else model
    how = stylization(
        preset, model=None if named is None else str(named), changes=changes, controls=controls, **options
    )
    start = refine if start is None else start
    styles: Sequence[Any] = style if isinstance(style, list | tuple) else [] if style is None else [style]
    given = Regions(regions=tuple(regions), labels=labels, protect=protect, feather=feather)
    styles = paintings_of(given, styles)
    loaded = None
    named_styles: Sequence[Any] = styles
    if isinstance(how.method, OnePass):
        loaded = model if isinstance(model, Model) else load_model(how.method.model)
        how, styles = with_styles(loaded, how, styles)
    return stylize_pictures(
        Picture.of(content),
        [Picture.of(one) for one in styles],
        how,
        start=None if start is None else Picture.of(start),
        placed=placed_pictures(given, named_styles) if given else None,
        fine=None if fine_style is None else Picture.of(fine_style),
        checkpoints=Checkpoints(
            save_to=None if checkpoint is None else Path(checkpoint),
            resume_from=None if resume is None else Path(resume),
        ),
        model=loaded,
        on_progress=on_progress,
        cancelled=cancelled,
    )


def apply(
    model: str | Path | Model,
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] | None = None,
    *,
    alpha: float = 1.0,
    tile: int | None = None,
    **options: Any,
) -> Result:
    """Puts a photograph through a trained network, at the photograph's own size.

    .. code-block:: python

        model = velatura.load_model("adain-slim")
        velatura.apply(model, "photo.jpg", "painting.jpg").save("out.png")

    Args:
        model: A name, a file, the folder of a run, or what :func:`load_model` gave.
        content: The photograph, in any of the forms that :func:`stylize` takes.
        style: As for :func:`stylize` with a model.
        alpha: How much of the style, from 0 to 1.
        tile: Longest edge that is computed at once, in pixels; None: as the free memory allows.
        **options: Those of :func:`stylize`, ``color`` and ``palette`` too; ``size`` gives another
            size.

    Returns:
        The picture with its record.

    Raises:
        ImageError: A picture cannot be read, or holds values out of range.
        ConfigError: An unknown name, a value out of range, or styles that do not fit the network.
        WeightsError: The model is missing or broken.
    """
    settings = {"alpha": alpha, **({} if tile is None else {"tile": tile}), **options.pop("settings", {})}
    return stylize(content, style, model=model, settings=settings, **{"working_size": OWN_SIZE, **options})


def reconstruct(
    kind: Literal["content", "style", "deepdream"],
    image: PictureSource,
    *,
    layer: str,
    backbone: str | None = None,
    weights: str | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
    **options: Any,
) -> Result:
    """Shows what a layer knows of a picture.

    .. code-block:: python

        velatura.reconstruct("content", "photo.jpg", layer="relu4_1").save("out.png")

    Args:
        kind: ``content`` and ``style`` start from noise and match the layer's features or their statistics;
            ``deepdream`` starts from the picture and makes more of what the layer sees in it.
        image: The picture, in any of the forms that :func:`stylize` takes.
        layer: A layer of the backbone; for ``content`` and ``style`` also several, ``relu1_1+relu2_1``.
        backbone: Architecture; None: the preset's.
        weights: Its weights by name or file, or ``random``; None: the preset's.
        preset: Named settings; None: ``reconstruction``, or ``mordvintsev2015`` for a dream.
        settings: Changes by dotted path, such as ``{"optimizer.lr": 0.05}``; of a dream, ``{"octaves": 3}``.
        on_progress: Called with a :class:`velatura.core.progress.Progress` after every step.
        cancelled: Asked before every step; the best picture so far is returned.
        **options: ``size``, ``seed``, ``device``, ``precision``, ``threads``.

    Returns:
        The picture with its history and its record.

    Raises:
        ImageError: The picture cannot be read, or holds values out of range.
        ConfigError: A setting is unknown, out of range, or does not fit the others.
        WeightsError: The weights are missing or broken, or end below the layer.
    """
    named = {"backbone.name": backbone, "backbone.weights": weights}
    changes = {key: value for key, value in named.items() if value is not None} | dict(settings or {})
    picture = Picture.of(image)
    chosen = {} if preset is None else {"preset": preset}
    if kind == "deepdream":
        _check_options(options, Dreaming, (DeepDream,))
        how = dreaming(layer, changes=changes, **chosen, **options)
        return dream_picture(picture, how, on_progress=on_progress, cancelled=cancelled)
    if kind not in ("content", "style"):
        raise unknown_name("reconstruction", kind, ("content", "style", "deepdream"))
    _check_options(options, Stylization, (Optimization,))
    return reconstruct_picture(
        picture,
        reconstruction(kind, layer, changes=changes, **chosen, **options),
        on_progress=on_progress,
        cancelled=cancelled,
    )


def texture(
    style: PictureSource | Sequence[PictureSource],
    *,
    size: int | tuple[int, int] | None = None,
    tileable: Wrap = "none",
    preset: str = DEFAULT_TEXTURE,
    settings: Mapping[str, Any] | None = None,
    start: PictureSource | None = None,
    tv: float | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
    **options: Any,
) -> Result:
    """Makes a picture of any size with a painting's marks and colours, and no photograph.

    .. code-block:: python

        velatura.texture("painting.jpg", size=(1024, 768), tileable="both").save("cloth.png")

    Args:
        style: The painting, in any of the forms that :func:`stylize` takes, or several to blend.
        size: Width and height, or the edge of a square, in pixels; None: the preset's.
        tileable: Which edges go on at the opposite one without a seam: ``x``, ``y``, ``both`` or ``none``.
            Sizes are then rounded up to what the backbone can repeat.
        preset: Named settings of a texture.
        settings: Changes to the preset by dotted path, such as ``{"initialization.name": "uniform"}``.
        start: The picture to start from, in place of what the preset starts from.
        tv: Weight of the total variation; None: the preset's.
        checkpoint: File that the run is saved to every ten seconds.
        resume: Checkpoint to go on from.
        on_progress: Called with a :class:`velatura.core.progress.Progress` after every step.
        cancelled: Asked before every step; the best picture so far is returned.
        **options: ``scale``, ``smooth``, ``blend``, ``seed``, ``device``, ``precision``, ``threads``: the
            fields of :class:`velatura.jobs.texture.Texturing`.

    Returns:
        The picture with its history and its record.

    Raises:
        ImageError: A picture cannot be read, or holds values out of range.
        ConfigError: A setting is unknown, out of range, or does not fit the others.
        WeightsError: The weights are missing or broken.
    """
    changes = dict(settings or {})
    if start is not None:
        changes.setdefault("initialization.name", "picture")
    if tv is not None:
        changes["terms.smoothness.weight"] = tv
    _check_options(options, Texturing, (Optimization,))
    if size is not None:
        options["size"] = (size, size) if isinstance(size, int) else size
    styles: Sequence[Any] = style if isinstance(style, list | tuple) else [style]
    return texture_pictures(
        [Picture.of(one) for one in styles],
        texturing(preset, changes=changes, tileable=tileable, **options),
        start=None if start is None else Picture.of(start),
        checkpoints=Checkpoints(
            save_to=None if checkpoint is None else Path(checkpoint),
            resume_from=None if resume is None else Path(resume),
        ),
        on_progress=on_progress,
        cancelled=cancelled,
    )


def evaluate(
    output: PictureSource,
    content: PictureSource,
    style: PictureSource,
    *,
    metrics: Sequence[str] | None = None,
    reference: PictureSource | None = None,
    judge: str | None = None,
    judges: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    size: int = 512,
) -> dict[str, float]:
    """Judges a stylization beside its photograph and its painting.

    .. code-block:: python

        velatura.evaluate("out.png", "photo.jpg", "painting.jpg", metrics=["style-gram", "cfsd"])

    Args:
        output: The picture to judge, in any of the forms that :func:`stylize` takes; its size decides.
        content: The photograph.
        style: The painting.
        metrics: Names of those in ``velatura.metrics.metrics``; None: all that can be had here.
        reference: What ``ssim``, ``psnr`` and ``rmse`` compare with in the photograph's place.
        judge: Network whose features are compared, ``"resnet18"`` or ``"resnet18:FILE"``; None: the one
            that ships. It should not be the one that the output was made with.
        judges: Metric to a network of its own, such as ``{"cfsd": "vgg19"}``.
        settings: Settings of metrics by dotted path, such as ``{"cfsd.size": 512}``.
        size: Longer edge that features are compared at, at most, in pixels.

    Returns:
        Metric to value; NaN where a metric is not defined for these pictures.

    Raises:
        ImageError: A picture cannot be read, or holds values out of range.
        ConfigError: An unknown name or layer, a value out of range, pictures that do not fit, or
            a package that is not installed.
        WeightsError: The judge's weights are missing or broken, or end below a layer.
    """
    how = evaluation(
        metrics,
        judge=None if judge is None else network_named(judge),
        judges={name: network_named(text) for name, text in (judges or {}).items()},
        changes=settings,
        size=size,
    )
    networks = Networks()
    if metrics is None:
        how, _ = without_absent(how, networks)
    evaluator = Evaluator(how, networks)
    pictures = [Picture.of(picture) for picture in (output, content, style)]
    return evaluator(*pictures, reference=None if reference is None else Picture.of(reference))


def load_image(path: str | Path) -> Picture:
    """Reads a picture file, upright and in sRGB: see :func:`velatura.imaging.read_picture`."""
    return read_picture(path)


def save_image(picture: PictureSource, path: str | Path, **options: Any) -> None:
    """Writes a picture in any form: see :func:`velatura.imaging.write_picture`."""
    write_picture(Picture.of(picture), path, **options)


def _check_options(options: Mapping[str, Any], config: type, methods: Sequence[type]) -> None:
    """Says of a keyword that is a setting of the method where it goes."""
    for name, value in options.items():
        in_method = any(name.partition(".")[0] in annotations_of(method) for method in methods)
        if in_method and name not in annotations_of(config):
            raise ConfigError(
                f"{name} is a setting of the method, which has no keyword of its own; "
                f"give it as settings={{{name!r}: {value!r}}}"
            )
