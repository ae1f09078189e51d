"""Scale mixing: the fine texture of one painting in the composition of another.

Gatys et al. 2017, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from velatura.backbones import Backbone, build_backbone
from velatura.colors import StyleColors
from velatura.core.errors import ConfigError, nearest_hint
from velatura.core.progress import OnProgress, Progress
from velatura.engine.method import FineStyle, Optimization
from velatura.engine.objective import IMAGE, Term
from velatura.engine.pyramid import Pyramid
from velatura.imaging import Picture
from velatura.initializations import Content
from velatura.jobs.result import Result
from velatura.jobs.stylization import Stylization, fingerprint, result_size

__all__ = ["check_fine", "fine_method", "mixed_style"]

Stylize = Callable[..., Result]


def check_fine(fine: Picture | None, num_styles: int, method: Optimization) -> None:
    """Raises ``ConfigError`` where a fine style does not go with the other paintings or the settings."""
    if fine is None:
        if method.fine != FineStyle():
            raise ConfigError("fine says how a fine style is laid on, and there is none; leave it out")
        return
    if num_styles != 1:
        raise ConfigError(
            f"a fine style goes with the composition of one painting, not of {num_styles}; name one"
        )


def fine_method(method: Optimization, backbone: Backbone) -> Optimization:
    """The optimisation that lays a fine style onto a painting.

    As the paper has it: it begins at the painting with the composition, has no content loss, and compares
    the low layers of the style alone, which see too little to move anything.

    Args:
        method: Whose backbone, style and optimiser it takes.
        backbone: The network, for the order of its layers.

    Raises:
        ConfigError: The network has no such layer, or the style none at or below it.
    """
    order = [IMAGE, *backbone.layers]
    last = _deepest(method, backbone)
    low = set(order[: order.index(last) + 1])
    terms = {name: _below(term, low) for name, term in method.terms.items() if term.of == "style"}
    terms = {name: term for name, term in terms.items() if term.layers and term.weight}
    if not terms:
        raise ConfigError(
            f"no layer of the style is at or below {last}, so that nothing would be taken of the fine style; "
            "set fine.until to a deeper layer"
        )
    return replace(
        method,
        terms=terms,
        initialization=Content(),
        pyramid=Pyramid(smallest=0, steps=(method.fine.steps,)),
        style_scale=1.0,
        style_size=None,
        fine=FineStyle(),
    )


def _deepest(method: Optimization, backbone: Backbone) -> str:
    until = method.fine.until
    if until in backbone.layers or until in backbone.missing:
        return backbone.check_layers([until])[0]
    # Nobody may have named it: it is that of a VGG where nothing else is set.
    of_style = {layer for term in method.terms.values() if term.of == "style" for layer in term.layers}
    deeper = [layer for layer in backbone.layers if layer in of_style][1:]
    advice = f"; set it to one of its layers, such as fine.until={deeper[0]}" if deeper else ""
    raise ConfigError(
        f"fine.until, the deepest layer that is taken of the fine style, is {until!r}, which "
        f"{method.backbone.name} has not{nearest_hint(until, backbone.layers) or advice} "
        f"(known: {', '.join(backbone.layers)})"
    )


def _below(term: Term, layers: set[str]) -> Term:
    # Of the one fine painting, there is nothing to blend.
    kept = {layer: weight for layer, weight in term.layers.items() if layer in layers}
    return replace(term, layers=kept, blend=None)


def mixed_style(
    coarse: Picture,
    fine: Picture,
    how: Stylization,
    content: Picture,
    stylize: Stylize,
    *,
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> tuple[list[Picture], Mapping[str, Any]]:
    """A new painting: the texture of one in the composition of another, as large as it will be looked at.

    Args:
        coarse: The painting whose composition it has.
        fine: The painting whose fine texture it has.
        how: The settings of the run that it is for.
        content: The photograph of that run.
        stylize: What paints a picture.
        on_progress: Told of every step.
        cancelled: Asked before every step.

    Returns:
        The painting, and the hashes of both that it was made of.
    """
    method = how.method
    assert isinstance(method, Optimization)
    size = result_size(content, how)
    edge = max(method.looked_at((coarse.height, coarse.width), size, size))
    laid_on = replace(
        how,
        method=fine_method(method, build_backbone(method.backbone, seed=how.seed)),
        size=edge,
        upsample=False,
        strength=1.0,
        blend=None,
        color=StyleColors(),
    )

    def report(progress: Progress) -> None:
        # Previews are of the run that this is for.
        on_progress(replace(progress, picture=None))

    steps = method.fine.steps
    on_progress(Progress(step=0, steps=steps, message="laying the fine style onto the painting"))
    made = stylize(coarse, [fine], laid_on, on_progress=report, cancelled=cancelled)
    return [replace(made.picture, name=coarse.name)], {
        "coarse_style": fingerprint(coarse),
        "fine_style": fingerprint(fine),
    }
