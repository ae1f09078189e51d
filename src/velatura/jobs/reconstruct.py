"""Reconstructions: what a layer knows of a picture, made visible from noise.

A content reconstruction is an optimisation whose only term is of the content (Mahendran and Vedaldi 2015;
Gatys et al. 2015, figure 1), a style reconstruction one whose only term is of the style.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from velatura.core.config import Setting, to_mapping
from velatura.core.errors import ConfigError
from velatura.core.progress import OnProgress, never, silent
from velatura.engine.checkpoint import Checkpoints
from velatura.engine.method import Optimization
from velatura.engine.objective import Term
from velatura.imaging import Picture, read_picture
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.stylize import Stylization, stylization, stylize_pictures

__all__ = [
    "Kind",
    "ReconstructJob",
    "at_layer",
    "optimization_of",
    "reconstruct_picture",
    "reconstruction",
    "run_reconstruct",
    "with_weights",
]

Kind = Literal["content", "style"]

DEFAULT_PRESET = "reconstruction"


@dataclass(frozen=True, kw_only=True)
class ReconstructJob:
    """A picture's file in, its reconstruction's file out."""

    image: Annotated[str, Setting("The picture")]
    output: Annotated[str, Setting("Where the reconstruction goes")]
    stylization: Annotated[Stylization, Setting("How: an optimisation with terms of one kind")]
    saving: Annotated[Saving, Setting("What is written")] = field(default_factory=Saving)


def reconstruction(
    kind: Kind,
    layer: str,
    *,
    preset: str = DEFAULT_PRESET,
    changes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Stylization:
    """Settings of a reconstruction from one layer.

    Any preset of an optimisation will do: what it has no use for here, the terms of the other kind, is left
    out. Terms of nothing, such as total variation, stay.

    Args:
        kind: ``content`` or ``style``.
        layer: A layer of the backbone, or several with ``+`` between them, which count alike.
        preset: Named settings; those whose names end in ``-reconstruction`` are made for this.
        changes: Dotted path in the method to value, such as ``{"optimizer.lr": 0.05}``.
        settings: Other fields of :class:`Stylization`.

    Raises:
        ConfigError: An unknown name, a value of the wrong type or out of range, a preset without a term of
            this kind, or one that starts from the picture itself.
    """
    how = stylization(preset, changes=changes, **settings)
    if how.color.recolors or how.color.composes:
        raise ConfigError(
            f"a reconstruction has no photograph beside it to take colours from; leave {how.color.name!r} out"
        )
    method = optimization_of(how)
    kept = {name: term for name, term in method.terms.items() if term.of in (kind, "nothing") and term.weight}
    if not any(term.of == kind for term in kept.values()):
        raise ConfigError(f"preset {preset!r} has no term of the {kind}; choose another")
    start = method.initialization
    if start.name == "recolored" or (start.name == "content" and not start.is_random):
        raise ConfigError(
            f"the initialization {start.name!r} is the picture itself, so there would be nothing to "
            "reconstruct; start from noise: gaussian, uniform or style_statistics"
        )
    return at_layer(replace(how, method=replace(method, terms=kept)), layer)


def optimization_of(how: Stylization) -> Optimization:
    """What a reconstruction optimises.

    Raises:
        ConfigError: These are settings of a trained network.
    """
    if not isinstance(how.method, Optimization):
        raise ConfigError(
            f"preset {how.preset!r} is one pass of a trained network; a reconstruction needs an optimisation"
        )
    return how.method


def at_layer(how: Stylization, layer: str) -> Stylization:
    """The same reconstruction from another layer, or from several with ``+`` between them."""
    names = [name.strip() for name in layer.split("+")]
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"expected a layer, or different ones with + between them, not {layer!r}")
    method, layers = optimization_of(how), dict.fromkeys(names, 1 / len(names))
    terms: dict[str, Term] = {
        name: term if term.of == "nothing" else replace(term, layers=layers)
        for name, term in method.terms.items()
    }
    return replace(how, method=replace(method, terms=terms))


def with_weights(how: Stylization, weights: str) -> Stylization:
    """The same reconstruction with other weights of the same architecture."""
    method = optimization_of(how)
    return replace(how, method=replace(method, backbone=replace(method.backbone, weights=weights)))


def reconstruct_picture(
    image: Picture,
    how: Stylization,
    *,
    checkpoints: Checkpoints | None = None,
    on_progress: OnProgress = silent,
    cancelled: Callable[[], bool] = never,
) -> Result:
    """Reconstructs a picture from what a layer knows of it.

    Args:
        image: The picture; transparent parts are taken as white.
        how: Settings, from :func:`reconstruction`.
        checkpoints: Where to save and what to go on from.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Raises:
        ConfigError: An unknown layer, or a picture too small for it.
        WeightsError: The weights are missing, broken, or end below the layer.
        Cancelled: Cancelled before there was anything to return.
        VelaturaError: The loss is not finite, steps lead too far whatever their size, or memory runs out.
    """
    bare = Picture(image.over().pixels, name=image.name, notes=image.notes)
    result = stylize_pictures(
        bare, [bare], how, checkpoints=checkpoints, on_progress=on_progress, cancelled=cancelled
    )
    return replace(result, notes=tuple(dict.fromkeys(result.notes)))


def run_reconstruct(
    job: ReconstructJob, *, on_progress: OnProgress = silent, cancelled: Callable[[], bool] = never
) -> Result:
    """Reads, reconstructs, writes.

    Raises:
        ImageError: The picture cannot be read.
        ConfigError: Settings that do not fit together; files that would overwrite the picture.
        WeightsError: The weights are missing, broken, or end below the layer.
        OutputError: A file cannot be written.
        VelaturaError: The loss is not finite, or memory runs out.
    """
    how = job.stylization
    # Weights are a file or a name; a name is the path of nothing that the job could overwrite.
    inputs = [Path(job.image), Path(optimization_of(how).backbone.weights)]
    writer = Writer(job.saving, output=Path(job.output), inputs=inputs)
    image = read_picture(job.image)
    writer.check(profile=None, name=image.name)
    result = reconstruct_picture(
        image,
        how,
        checkpoints=writer.checkpoints(),
        on_progress=writer.with_previews(on_progress, name=image.name),
        cancelled=cancelled,
    )
    return replace(result, notes=result.notes + writer.write(result, to_mapping(job)))
