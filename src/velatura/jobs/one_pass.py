"""The way of one pass: pictures through a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from velatura.core.config import to_mapping
from velatura.core.errors import Cancelled, ConfigError
from velatura.core.progress import OnProgress
from velatura.core.rng import generator
from velatura.engine.one_pass import MOST_OF_A_STYLE, NetworkStylizer, OnePass
from velatura.engine.precision import choose_device, choose_network_precision
from velatura.imaging import Picture
from velatura.jobs.coloring import Coloring, check_color, color_notes
from velatura.jobs.masks import mask_notes, mask_weights, read_masks
from velatura.jobs.models import Model, load_model
from velatura.jobs.record import machine_record
from velatura.jobs.regions import PlacedPictures, everywhere_but
from velatura.jobs.result import Result
from velatura.jobs.stylization import (
    Stylization,
    blend_notes,
    blend_weights,
    dressed,
    fingerprint,
    result_size,
    too_large_is_said,
)
from velatura.ops.resize import fit
from velatura.ops.threads import computing_threads

__all__ = ["OWN_SIZE", "blends_for", "stylize_in_one_pass", "with_styles"]

OWN_SIZE: Final = 2**16
"""A working size that no photograph's longer edge is above: the result is as large as the photograph."""


def with_styles(model: Model, how: Stylization, styles: Sequence[Any]) -> tuple[Stylization, tuple[Any, ...]]:
    """Takes styles for pictures or for names, as the network has it.

    Args:
        model: The network that ``how`` names.
        how: Settings.
        styles: Pictures for a network that takes any; else names of the network's own styles.

    Returns:
        The settings, with the names in them, and the pictures.

    Raises:
        ConfigError: The styles do not fit the network, or are in the settings too.
    """
    method = how.method
    assert isinstance(method, OnePass)
    pictures = tuple(styles) if model.styles == "any" else ()
    names = () if model.styles == "any" else tuple(styles)
    if names and method.styles:
        raise ConfigError("the setting styles names styles too; leave one out")
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ConfigError(
            f"{model.path.name} has styles of its own ({', '.join(model.style_names)}); name one of them "
            f"in the place of {type(wrong[0]).__name__}"
        )
    if names:
        how = replace(how, method=replace(method, styles=names))
    blends_for(model, how, len(pictures))
    return how, pictures


def stylize_in_one_pass(
    content: Picture,
    styles: Sequence[Picture],
    how: Stylization,
    method: OnePass,
    *,
    placed: PlacedPictures | None = None,
    model: Model | None,
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> Result:
    """Stylizes pictures in memory by a trained network.

    Args:
        content: The photograph; its alpha and profile go to the result.
        styles: The paintings, for a network that takes any; transparent parts are taken as white.
        how: Settings.
        method: Those of the network.
        placed: Which of the styles go where; None: as the method's masks say.
        model: The network, where it is loaded already.
        on_progress: Told of every tile.
        cancelled: Asked before every tile.

    Raises:
        ImageError: A mask cannot be read.
        ConfigError: Settings that do not fit the network or the pictures.
        WeightsError: The model is missing or broken.
        Cancelled: Cancelled before the picture was whole.
        VelaturaError: Memory runs out.
    """
    model = load_model(method.model) if model is None else model
    size = result_size(content, how)
    masks = read_masks(method.masks, content)
    weights = mask_weights(masks, size) if masks else None
    said: tuple[str, ...] = () if weights is None else tuple(mask_notes(weights))
    if placed is None:
        blends = blends_for(model, how, len(styles))
    else:
        blends, weights, said = _placed(model, how, placed, content, len(styles), size)
    if cancelled():
        raise Cancelled("interrupted before the network ran")
    with torch.inference_mode(False), computing_threads(how.threads), too_large_is_said(size):
        device = choose_device(how.device)
        precision = choose_network_precision(how.precision, device)
        if model.network.rng is not None:
            model.network.rng = generator(how.seed, "noise")
        stylizer = NetworkStylizer(
            model.network.to(device),
            precision=precision,
            alpha=method.alpha * how.strength,
            tile=method.tile,
            overlap=method.overlap,
        )
        coloring = Coloring(
            how.color,
            content.pixels,
            [style.over().pixels for style in styles],
            # Where masks place them, each counts once.
            blend=[sum(each) / len(blends) for each in zip(*blends, strict=True)],
            size=size,
            style_sizes=[fit(style.height, style.width, min(max(size), MOST_OF_A_STYLE)) for style in styles],
        )
        outcome = stylizer(
            coloring.content,
            coloring.styles,
            blends=blends,
            size=size,
            masks=weights,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        record = {
            "stylization": to_mapping(how),
            "pictures": {
                "content": fingerprint(content),
                "styles": [fingerprint(style) for style in styles],
                "masks": [fingerprint(mask) for mask in masks],
                **({} if placed is None else placed.record()),
            },
            "weights": {
                "source": model.path.name,
                "sha256": model.sha256,
                "encoder_sha256": model.record.encoder_sha256,
            },
            **machine_record(device, precision),
        }
    return Result(
        picture=dressed(outcome.pixels, content, how, coloring),
        history=outcome.history,
        interrupted=outcome.interrupted,
        record=record,
        notes=(
            *_notes(how, model, (content, *styles, *masks)),
            *(() if placed is None else placed.notes()),
            *said,
            *color_notes(how.color, content),
        ),
    )


def _placed(
    model: Model,
    how: Stylization,
    placed: PlacedPictures,
    content: Picture,
    num_pictures: int,
    size: tuple[int, int],
) -> tuple[Sequence[Sequence[float]], Tensor, tuple[str, ...]]:
    """The blend of each region, masks ``(R, *size)``, and what to say of them."""
    method = how.method
    assert isinstance(method, OnePass)
    if method.masks:
        raise ConfigError(
            "masks in the order of the styles, and masks with styles of their own; use one form"
        )
    if placed.has_parts:
        raise ConfigError(
            f"{model.path.name} looks at all of a painting, and a mask of the painting is for optimisation; "
            "leave it out, crop the painting, or choose a preset such as 'fast'"
        )
    if not placed.regions:
        (blend,) = blends_for(model, how, num_pictures)
        placement, said = everywhere_but(placed, (1.0,)).placement(content, size)
        return [blend], placement.masks, said
    if how.blend is not None:
        raise ConfigError("regions say where each style goes and a blend how much of it; leave one out")
    placement, said = placed.placement(content, size)
    blends = [
        # What has one style has no blend to be asked for.
        _blend_for(model, replace(how, blend=blend if len(blend) > 1 else None), method, num_pictures)
        for blend in placement.blends
    ]
    return blends, placement.masks, said


def blends_for(model: Model, how: Stylization, num_pictures: int) -> Sequence[Sequence[float]]:
    """The weight of each painting, or of each of the network's own styles: once, or once for each mask.

    Args:
        model: The network.
        how: Settings of it.
        num_pictures: How many paintings are given.

    Raises:
        ConfigError: The styles, weights and masks do not fit the network.
    """
    method = how.method
    assert isinstance(method, OnePass)
    if not method.masks:
        return [_blend_for(model, how, method, num_pictures)]
    if how.blend is not None:
        raise ConfigError("masks say where each style goes and a blend how much of it; leave one of them out")
    own = {"any": num_pictures, "many": len(method.styles or model.style_names), "one": 1}[model.styles]

    def only(number: int) -> Sequence[float]:
        # What has one style has no blend to be asked for.
        blend = None if own <= 1 else tuple(float(n == number) for n in range(own))
        return _blend_for(model, replace(how, blend=blend), method, num_pictures)

    blends = [only(0), *(only(number) for number in range(1, own))]
    if len(method.masks) != own:
        raise ConfigError(
            f"masks: {len(method.masks)} were given, and the styles are {own}; give one for each style, in "
            "their order"
        )
    return blends


def _blend_for(model: Model, how: Stylization, method: OnePass, num_pictures: int) -> Sequence[float]:
    name = model.path.name
    check_color(how.color, model.styles, name)
    if model.styles == "any":
        if method.styles:
            raise ConfigError(
                f"{name} takes any picture for its style and has none of its own; leave styles out"
            )
        if not num_pictures:
            raise ConfigError(f"{name} needs a style picture; name a painting at least")
        return blend_weights(how.blend, num_pictures)
    if num_pictures:
        known = f" ({', '.join(model.style_names)})" if model.style_names else ""
        raise ConfigError(f"{name} has styles of its own{known} and takes no style picture; leave it out")
    names = method.styles or model.style_names
    if model.styles == "one":
        if how.blend is not None:
            raise ConfigError(f"{name} has one style; there is nothing to blend")
        model.weights_of(method.styles, (1.0,) * len(method.styles))
        return [1.0]
    if len(names) > 1 and how.blend is None and not method.styles:
        raise ConfigError(
            f"{name} has {len(names)} styles, {', '.join(names)}; choose one, or give blend a weight for each"
        )
    return model.weights_of(names, blend_weights(how.blend, len(names)))


def _notes(how: Stylization, model: Model, pictures: Sequence[Picture]) -> Iterator[str]:
    """What the user should know before anything is written, a line each."""
    for picture in pictures:
        yield from (f"{picture.name}: {note}" for note in picture.notes)
    yield from blend_notes(how.blend)
    if how.seed != 0 and model.network.rng is None:
        yield f"seed {how.seed} changes nothing: the network draws nothing at random"
