"""The colour mode of a run: which one, and what it does to the run's pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor

from velatura.colors import ColorMode, colors
from velatura.core.config import PartOf, Setting, annotations_of, to_mapping
from velatura.core.errors import ConfigError
from velatura.core.progress import OnProgress, Progress
from velatura.imaging import Picture
from velatura.jobs.schema import assign, build
from velatura.networks import StyleCount
from velatura.ops.resize import resize

__all__ = ["Coloring", "check_color", "color_mode", "color_notes", "split_color", "with_color_setting"]

# What a JPEG makes of grey.
_GREY = 2 / 255


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The setting alone, to lay changes over."""

    color: Annotated[ColorMode, PartOf(colors), Setting("Whose colours the result has")]


def split_color(changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Changes of the colour mode, ``color`` and ``color.*``, and the others."""
    ours = {path: value for path, value in changes.items() if path.partition(".")[0] == "color"}
    return ours, {path: value for path, value in changes.items() if path not in ours}


def color_mode(
    color: Any = None, palette: float | None = None, changes: Mapping[str, Any] | None = None
) -> ColorMode:
    """The colour mode that was asked for.

    Args:
        color: Its name, a table of ``name`` and settings, or itself; None: ``style``.
        palette: Its setting of this name.
        changes: Dotted path to value, such as ``{"color.name": "luminance", "color.space": "yiq"}``.

    Raises:
        ConfigError: An unknown name or setting, a value out of range, or one that is set twice; a palette
            for a mode without.
    """
    given = dict(changes or {})
    if color is not None:
        path = "color.name" if isinstance(color, str) else "color"
        if {"color", "color.name"} & given.keys():
            raise ConfigError(
                "the colour mode is set twice, by color and by a change of settings; leave one out"
            )
        given[path] = to_mapping(color) if isinstance(color, ColorMode) else color
    if palette is not None:
        if "color.palette" in given:
            raise ConfigError("palette is set twice, by itself and by color.palette; leave one out")
        given["color.palette"] = palette
    without = {path: value for path, value in given.items() if path != "color.palette"}
    mode = _laid_over(without)
    if without == given:
        return mode
    if "palette" not in annotations_of(type(mode)):
        raise ConfigError(
            f"palette goes from the photo's colours to the painting's, and the colour mode {mode.name!r} has "
            "none; choose another mode, such as match-monge"
        )
    return _laid_over(given)


def _laid_over(changes: Mapping[str, Any]) -> ColorMode:
    return build(_Chosen, assign(_Chosen, {"color": {"name": "style"}}, changes)).color


def with_color_setting(stylization: Mapping[str, Any]) -> dict[str, Any]:
    """A record's settings, where it is of before there were colour modes, with what it then did."""
    how = {"color": {"name": "style"}, **stylization}
    method = how.get("method")
    if isinstance(method, Mapping) and "colors" in method:
        how["method"] = {name: value for name, value in method.items() if name != "colors"}
        if method["colors"] == "photo":
            how["color"] = to_mapping(color_mode("match-monge"))
    return how


def check_color(mode: ColorMode, styles: StyleCount, network: str) -> None:
    """Refuses a mode that needs paintings for a network that has none.

    Args:
        mode: The colour mode.
        styles: How many styles the network has: its paintings are known to it where it takes any.
        network: Its name, for the message.
    """
    if styles == "any":
        return
    other = "or take a network for any style, such as adain-slim"
    if mode.recolors:
        raise ConfigError(
            f"{network} has learnt the colours of its styles, and no painting is recoloured; leave out the "
            f"colour mode {mode.name!r} (keep-colors), choose luminance, {other}"
        )
    if mode.composes and mode.palette > 0:
        raise ConfigError(f"{network} knows no painting to take a palette from; leave palette out, {other}")


def color_notes(mode: ColorMode, content: Picture) -> Iterator[str]:
    """What to say of a mode that has nothing to give."""
    if not (mode.recolors or mode.composes) or mode.palette > 0:
        return
    if float(content.pixels.amax(dim=0).sub(content.pixels.amin(dim=0)).max()) <= _GREY:
        yield f"the photograph is grey, and with the colours of {mode.name!r} so is the result"


class Coloring:
    """A colour mode between the pictures of one run and what stylizes them.

    Args:
        mode: The colour mode.
        content: The photograph, ``(3, H, W)`` in [0, 1].
        styles: The paintings, each ``(3, h, w)`` in [0, 1].
        blend: Weight of each painting; they sum to 1.
        size: Height and width of the result, in pixels.
        style_sizes: Height and width that each painting is looked at, in pixels.
    """

    def __init__(
        self,
        mode: ColorMode,
        content: Tensor,
        styles: Sequence[Tensor],
        *,
        blend: Sequence[float],
        size: tuple[int, int],
        style_sizes: Sequence[tuple[int, int]],
    ) -> None:
        self.mode, self.blend = mode, blend
        self._photo, self._paintings = content, [style[None] for style in styles]
        self.content, self.styles = content, list(styles)
        if mode.recolors or mode.composes:
            # First, because what has other pixels has other moments: a grain is flattened where it is made
            # smaller.
            self._paintings = [
                resize(style, looked_at).clamp(0, 1)
                for style, looked_at in zip(self._paintings, style_sizes, strict=True)
            ]
            given, styles_given = mode.prepare(self._at(size), self._paintings)
            self.styles = [style[0] for style in styles_given]
            if mode.composes:
                self.content = given[0]

    def start(self, picture: Tensor | None) -> Tensor | None:
        """A picture to start from, ``(3, h, w)``, as the photograph is given."""
        if picture is None or not self.mode.composes:
            return picture
        return self.mode.prepare(picture[None], [])[0][0]

    def finished(self, pixels: Tensor) -> Tensor:
        """A result ``(3, H, W)``, of whatever size, in the colours that it is to have."""
        if not self.mode.composes:
            return pixels
        content = self._at((pixels.shape[1], pixels.shape[2]))
        return self.mode.finish(pixels[None], content, self._paintings, self.blend)[0]

    def seen(self, on_progress: OnProgress) -> OnProgress:
        """``on_progress``, with pictures on the way in those colours too."""
        if not self.mode.composes:
            return on_progress

        def report(progress: Progress) -> None:
            picture = progress.picture
            if picture is not None:
                progress = replace(progress, picture=lambda: self.finished(picture().clamp(0, 1)))
            on_progress(progress)

        return report

    def _at(self, size: tuple[int, int]) -> Tensor:
        """The photograph at a size, ``(1, 3, *size)``."""
        return resize(self._photo[None], size).clamp(0, 1)
