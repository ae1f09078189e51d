"""How a picture is stylized: the settings, and what every way of doing it shares."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from annotated_types import Ge, Interval
from torch import Tensor

from velatura.backbones import backbones
from velatura.colors import ColorMode, StyleColors, colors
from velatura.core.config import PartOf, Setting, annotations_of
from velatura.core.errors import ConfigError, VelaturaError, counted
from velatura.engine.method import Optimization
from velatura.engine.one_pass import OnePass
from velatura.engine.tiled import runs_out_of_memory
from velatura.imaging import MAX_PIXELS, Picture
from velatura.jobs.coloring import Coloring, color_mode, split_color
from velatura.jobs.computing import Computing
from velatura.jobs.controls import control_changes
from velatura.jobs.models import find_model
from velatura.jobs.schema import assign, build
from velatura.ops.resize import fit, resize
from velatura.ops.smoothing import softened
from velatura.presets import load_preset

__all__ = [
    "Stylization",
    "blend_notes",
    "blend_weights",
    "dressed",
    "fingerprint",
    "is_one_pass",
    "result_size",
    "stylization",
    "too_large_is_said",
    "whatever_the_tile",
]

# Weights such as 0.333 are meant as thirds.
_SUMS_TO_ONE = 0.005


@dataclass(frozen=True, kw_only=True)
class Stylization(Computing):
    """How a picture is stylized, wherever the pictures come from."""

    preset: Annotated[str, Setting("Named settings that the others are laid over")] = "fast"
    method: Annotated[Optimization | OnePass, Setting("What the preset sets, with every change")]
    size: Annotated[
        int | None,
        Ge(1),
        Setting("Longer edge of the result; unset: the photo's, up to the preset's", unit="pixels"),
    ] = None
    working_size: Annotated[
        int, Ge(1), Setting("Longer edge where no size is asked for, at most", unit="pixels")
    ]
    upsample: Annotated[bool, Setting("Enlarge the result to the photo's own size")] = False
    strength: Annotated[
        float,
        Interval(ge=0, le=100),
        Setting("Factor on the weight of the style; 0 gives the photo; at most 1 for a trained network"),
    ] = 1.0
    blend: Annotated[
        tuple[Annotated[float, Ge(0)], ...] | None, Setting("Weight of each painting; unset: all the same")
    ] = None
    color: Annotated[ColorMode, PartOf(colors), Setting("Whose colours the result has")] = field(
        default_factory=StyleColors
    )
    smooth: Annotated[
        bool, Setting("Soften the finest marks of the finished picture; edges stay sharp (guided filter)")
    ] = False

    def __post_init__(self) -> None:
        if self.upsample and self.size is not None:
            raise ConfigError("upsample enlarges to the photo's own size: it cannot go with a size")
        if isinstance(self.method, OnePass) and self.strength > 1:
            raise ConfigError(
                f"a strength of {self.strength:g} is more than a trained network has; expected 0 to 1"
            )


def is_one_pass(preset: str | None, *, model: str | None = None) -> bool:
    """Whether these settings are of a trained network."""
    return load_preset(preset or ("fast" if model is None else "instant")).kind == "network"


def stylization(
    preset: str | None = None,
    *,
    model: str | None = None,
    changes: Mapping[str, Any] | None = None,
    color: Any = None,
    palette: float | None = None,
    controls: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Stylization:
    """Settings from a preset, changes laid over it.

    Args:
        preset: Name of the preset; None: ``fast``, or ``instant`` where there is a model.
        model: The trained network to use in place of the preset's: a name, a file, or a run's folder.
        changes: Dotted path in the method to value, such as ``{"optimizer.lr": 0.05}``; of the colour mode
            too, ``{"color.palette": 0.5}``.
        color: Name of the colour mode, or a table of its name and settings; None: ``style``.
        palette: The colour mode's setting of this name.
        controls: ``structure``, ``tv``, ``refine``: those of
            :func:`velatura.jobs.controls.control_changes`.
        settings: Other fields of :class:`Stylization`.

    Raises:
        ConfigError: An unknown name, or a value of the wrong type or out of range.
        WeightsError: There is no such model.
    """
    preset = preset or ("fast" if model is None else "instant")
    base = load_preset(preset)
    of_color, changes = split_color(changes or {})
    changes = control_changes(base, changes=changes, **(controls or {}))
    settings["color"] = color_mode(color, palette, of_color)
    method: Optimization | OnePass
    if base.kind == "network":
        given = {} if model is None else {"model": model}
        method = _one_pass(preset, {**base.network, **given}, changes)
    elif model is not None and base.kind == "method":
        raise ConfigError(
            f"the preset {preset!r} optimises the picture and has no use for a model; leave one of them out"
        )
    else:
        _check_no_one_pass(preset, base.kind, changes)
        method = build(Optimization, assign(Optimization, base.method, changes))
        backbones[method.backbone.name]  # An unknown one is answered here, before any picture is read.
    settings = {"preset": preset, "working_size": base.size, "method": method, **settings}
    return build(Stylization, settings)


def _check_no_one_pass(preset: str, kind: str, changes: Mapping[str, Any]) -> None:
    only_there = annotations_of(OnePass).keys() - annotations_of(Optimization).keys()
    for name in (path.partition(".")[0] for path in changes):
        if kind == "method" and name in only_there:
            raise ConfigError(
                f"{name} is a setting of a trained network, and the preset {preset!r} optimises the picture; "
                "leave it out, or choose the preset 'instant' or a model"
            )


def _one_pass(preset: str, base: Mapping[str, Any], changes: Mapping[str, Any]) -> OnePass:
    known = annotations_of(OnePass)
    for path in changes:
        name = path.partition(".")[0]
        if name in annotations_of(Optimization) and name not in known:
            raise ConfigError(
                f"{path} is a setting of an optimisation, and {preset!r} is one pass of a trained network, "
                f"which has {', '.join(known)}; leave it out, or choose another preset"
            )
    method = build(OnePass, assign(OnePass, base, changes))
    find_model(method.model)  # As above.
    return method


def blend_weights(blend: Sequence[float] | None, num_styles: int) -> tuple[float, ...]:
    """The weight of each style, scaled to sum to 1.

    Raises:
        ConfigError: There are not as many weights as paintings, or they are all zero.
    """
    weights = tuple(blend) if blend is not None else (1.0,) * num_styles
    if len(weights) != num_styles:
        raise ConfigError(
            f"blend has {counted(len(weights), 'weight')} for {counted(num_styles, 'style picture')}; "
            "give one for each"
        )
    if sum(weights) <= 0:
        raise ConfigError("blend weights are all zero; at least one must be above 0")
    return tuple(weight / sum(weights) for weight in weights)


def blend_notes(blend: Sequence[float] | None) -> Iterator[str]:
    """What to say of weights that had to be scaled."""
    total = sum(blend or ())
    if blend is not None and abs(total - 1) > _SUMS_TO_ONE:
        parts = ", ".join(f"{weight / total:.3g}" for weight in blend)
        yield f"the blend sums to {total:g}, not to 1; it was taken as {parts}"


def result_size(content: Picture, how: Stylization) -> tuple[int, int]:
    """Height and width of the result: what was asked for, or the photograph's up to the preset's.

    Raises:
        ConfigError: More pixels than a picture may have.
    """
    own = max(content.height, content.width)
    long_edge = min(own, how.working_size) if how.size is None else how.size
    height, width = fit(content.height, content.width, long_edge)
    # Said before the small scales are painted, not when the last one finds no room.
    if height * width > MAX_PIXELS:
        raise ConfigError(
            f"a size of {long_edge} makes {width}x{height} pixels, more than the limit of "
            f"{MAX_PIXELS / 1e6:g} megapixels; choose a smaller one"
        )
    return height, width


@contextlib.contextmanager
def too_large_is_said(size: tuple[int, int]) -> Iterator[None]:
    """Turns each way in which memory runs out into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not runs_out_of_memory(error):
            raise
        height, width = size
        raise VelaturaError(
            f"there is not enough memory for a picture of {width}x{height} pixels; choose a smaller size"
        ) from error


def whatever_the_tile(method: Mapping[str, Any]) -> dict[str, Any]:
    """A method as plain values without its tile, which changes nothing but how much memory a step takes."""
    # Statistics that are exact are those of the whole picture, in tiles or not.
    exact = {"tile_statistics": "exact"}
    return {key: value for key, value in method.items() if key != "tile" and exact.get(key) != value}


def fingerprint(picture: Picture) -> str:
    """Hash of the pixels, whatever file they came from."""
    return hashlib.sha256(picture.pixels.contiguous().numpy().tobytes()).hexdigest()


def dressed(pixels: Tensor, content: Picture, how: Stylization, coloring: Coloring) -> Picture:
    """The result at its size and in its colours, with what the photograph has beside its pixels."""
    if how.smooth:
        pixels = softened(pixels)
    if how.upsample:
        pixels = resize(pixels[None], (content.height, content.width))[0].clamp(0, 1)
    pixels = coloring.finished(pixels)
    alpha = content.alpha
    if alpha is not None:
        alpha = resize(alpha[None], (pixels.shape[1], pixels.shape[2]))[0].clamp(0, 1)
    return replace(content, pixels=pixels, alpha=alpha, notes=())
