"""Style transfer by optimising the pixels (Gatys et al. 2016), coarse to fine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError, OutputError
from velatura.core.memory import give_back_freed_memory
from velatura.core.progress import OnProgress, Progress, never, silent
from velatura.core.rng import generator
from velatura.engine.checkpoint import Checkpoints, read_checkpoint, write_checkpoint
from velatura.engine.descent import Descent
from velatura.engine.detail import detail_of, limited_detail
from velatura.engine.method import Optimization
from velatura.engine.objective import Term, Terms
from velatura.engine.outcome import Outcome
from velatura.engine.precision import Precision, laid_out
from velatura.engine.pyramid import Scale, work_done
from velatura.engine.regional import Placement, RegionalObjective
from velatura.engine.tiled import TiledObjective
from velatura.ops.resize import resize, resize_within
from velatura.ops.wrap import resize_wrapped

__all__ = ["OptimizationStylizer"]

_OF_OBJECTIVE = "objective."
_ROLLED_BACK = "a step led too far: went back to the best picture, with half the step"


class OptimizationStylizer:
    """One method with its backbone, ready for pictures.

    Args:
        method: What the optimisation is made of.
        backbone: The network that ``method.backbone`` names, on the device to compute on.
        precision: What it computes in.
        strength: Factor on the weight of every term but those of the content. At 0 the content alone
            is optimised, at the last scale: from the photograph itself, nothing changes.
        seed: Seed of the initialisation.
        placement: Where which paintings go; None: all of them everywhere.

    Raises:
        ConfigError: No term has a weight, or there is none for the strength to weigh; or the
            architecture has no such layer.
        WeightsError: The weights file ends below a layer.
    """

    def __init__(
        self,
        method: Optimization,
        backbone: Backbone,
        *,
        precision: Precision,
        strength: float = 1.0,
        seed: int = 0,
        placement: Placement | None = None,
    ) -> None:
        self.method, self.precision, self.seed, self.strength = method, precision, seed, strength
        self.placement = placement
        self.backbone = laid_out(backbone, precision.memory_format)
        self.objective = self._objective(_strengthen(method.terms, strength))
        self.device = next(backbone.buffers()).device

    def _objective(self, terms: Terms) -> TiledObjective:
        edge, statistics = self.method.tile, self.method.tile_statistics
        if self.placement is None:
            return TiledObjective(self.backbone, terms, edge=edge, statistics=statistics)
        return RegionalObjective(
            self.backbone, terms, guiding=self.method.guides, edge=edge, statistics=statistics
        )

    def __call__(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        *,
        blend: Sequence[float],
        size: tuple[int, int],
        start: Tensor | None = None,
        checkpoints: Checkpoints | None = None,
        on_progress: OnProgress = silent,
        cancelled: Callable[[], bool] = never,
    ) -> Outcome:
        """Paints ``content`` in the style of ``styles``.

        Args:
            content: The photograph, ``(3, H, W)`` in [0, 1].
            styles: Paintings, each ``(3, h, w)`` in about [0, 1].
            blend: Weight of each painting; they sum to 1.
            size: Height and width of the result, in pixels.
            start: The picture that the initialisation ``picture`` starts from, ``(3, h, w)``.
            checkpoints: Where to save, and what to go on from.
            on_progress: Told of every step.
            cancelled: Asked before every step.

        Returns:
            The picture, at ``size`` also where the run was cancelled at a smaller scale.

        Raises:
            ConfigError: A picture is too small for the deepest layer, or the checkpoint is of
                another run.
            VelaturaError: The loss is not finite at the start, or steps lead too far whatever their size.
        """
        run = _Run(self, self.scales(size), content, styles, blend, start, checkpoints or Checkpoints())
        return run.finish(on_progress, cancelled)

    def scales(self, size: tuple[int, int]) -> list[Scale]:
        """The scales that a run passes through to a height and width.

        Raises:
            ConfigError: The picture is too small for the deepest layer.
        """
        smallest = self.backbone.smallest_input(self.objective.layers)
        multiples = self.backbone.wrap_multiples(self.objective.layers)
        scales = self.method.pyramid.scales(size, smallest_input=smallest, multiples=multiples)
        # Where the start stays, smaller scales would only blur what the last one starts from.
        return scales[-1:] if self.strength == 0 else scales

    def resized(self, canvas: Tensor, size: tuple[int, int]) -> Tensor:
        """A canvas ``(1, 3, H, W)`` at another size, without a seam where the backbone goes round."""
        wrap = self.backbone.wrap
        return resize(canvas, size) if wrap == "none" else resize_wrapped(canvas, size, wrap)

    def to_device(self, picture: Tensor) -> Tensor:
        """``(3, H, W)`` to ``(1, 3, H, W)``, where and how the backbone wants it."""
        return picture[None].to(self.device).contiguous(memory_format=self.precision.memory_format)

    def photograph(self, content: Tensor, size: tuple[int, int]) -> Tensor:
        """The content at a size, ``(1, 3, *size)``."""
        return resize(self.to_device(content), size).clamp_(0, 1)

    def aim(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        blend: Sequence[float],
        scale: Scale,
        last: Scale | None = None,
    ) -> Tensor:
        """Takes the targets at one scale of those up to the last; returns the content at that size."""
        small = self.photograph(content, scale.size)
        paintings = []
        for number, style in enumerate(styles, start=1):
            height, width = self.looked_at(style, scale.size, (last or scale).size)
            needed = self.backbone.smallest_input(self.objective.layers)
            if min(height, width) < needed:
                raise ConfigError(
                    f"style picture {number} is {width}x{height} pixels at the scale of {scale.size[1]}x"
                    f"{scale.size[0]}, and the deepest layer needs {needed}x{needed}; crop it to a squarer "
                    "shape, or leave out small scales (pyramid.smallest)"
                )
            paintings.append(resize_within(self.to_device(style), (height, width)))
        with self.precision.autocast(self.device):
            if isinstance(self.objective, RegionalObjective):
                assert self.placement is not None
                self.objective.aim_regions(small, paintings, self.placement)
            else:
                self.objective.aim(small, paintings, blend)
        return small

    def looked_at(self, style: Tensor, size: tuple[int, int], finished: tuple[int, int]) -> tuple[int, int]:
        """Size that a painting ``(3, h, w)`` is looked at: see :meth:`Optimization.looked_at`."""
        return self.method.looked_at((style.shape[1], style.shape[2]), size, finished)

    def begun(
        self, photograph: Tensor, styles: Sequence[Tensor], blend: Sequence[float], start: Tensor | None
    ) -> Tensor:
        """The canvas before the first step, ``(1, 3, H, W)``."""

        def draw(weights: Sequence[float]) -> Tensor:
            # One seed: regions differ in their paintings, and not in their noise.
            return self.method.initialization.draw(
                photograph,
                styles,
                generator(self.seed, "initialization"),
                blend=weights,
                strength=self.strength,
                picture=start,
            )

        if self.placement is None:
            return draw(blend)
        return self.placement.sized((photograph.shape[2], photograph.shape[3])).drawn(draw, photograph)

    def held(
        self, picture: Tensor, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float]
    ) -> Tensor:
        """A finished canvas with no more detail than is allowed; in regions, as it is."""
        if self.method.detail == 0 or self.strength == 0 or self.placement is not None:
            return picture
        size = (picture.shape[2], picture.shape[3])
        painted = detail_of(
            content,
            styles,
            blend,
            edge=max(size),
            style_sizes=[self.looked_at(style, size, size) for style in styles],
            strength=self.strength,
        )
        return limited_detail(picture, self.method.detail * painted, wrap=self.backbone.wrap)

    def shown(self, picture: Tensor, content: Tensor) -> Tensor:
        """What is seen of a canvas: the photograph itself where no painting goes."""
        if self.placement is None:
            return picture
        size = (picture.shape[2], picture.shape[3])
        return self.placement.sized(size).with_photograph(picture, self.photograph(content, size))


def _strengthen(terms: Terms, strength: float) -> dict[str, Term]:
    if strength not in (0, 1) and not any(term.weight for term in terms.values() if term.of != "content"):
        raise ConfigError(
            f"a strength of {strength:g} has no effect: it weighs the terms that are not of the content, "
            "and none of those has a weight; leave it out"
        )
    return {
        name: term if term.of == "content" else replace(term, weight=term.weight * strength)
        for name, term in terms.items()
    }


class _Run:
    """One picture on its way through the scales."""

    def __init__(
        self,
        stylizer: OptimizationStylizer,
        scales: list[Scale],
        content: Tensor,
        styles: Sequence[Tensor],
        blend: Sequence[float],
        start: Tensor | None,
        checkpoints: Checkpoints,
    ) -> None:
        self.stylizer, self.scales, self.checkpoints = stylizer, scales, checkpoints
        self.content, self.styles, self.blend, self.start = content, styles, blend, start
        self.history: list[dict[str, Any]] = []
        self.scale, self.step = 0, 0
        self.fingerprint = {
            **checkpoints.fingerprint,
            "list of scales": [[*scale.size, scale.steps] for scale in scales],
        }
        self.saved_at = time.monotonic()
        self.not_saved: list[str] = []
        path = checkpoints.resume_from
        self.descent = self._begun() if path is None else self._resumed(path)

    def finish(self, on_progress: OnProgress, cancelled: Callable[[], bool]) -> Outcome:
        while not self._is_done() and not cancelled():
            if self._scale_is_done():
                self._climb()
            else:
                self._advance(on_progress)
        self.not_saved = []
        self._save()
        done = self._is_done()
        picture = self.descent.picture() if done else self.descent.picture_so_far()
        # In place: the picture is a copy already.
        picture = self.stylizer.resized(picture, self.scales[-1].size).clamp_(0, 1)
        if done:
            picture = self.stylizer.held(picture, self.content, self.styles, self.blend)
        pixels = self.stylizer.shown(picture, self.content)[0].cpu().contiguous()
        return Outcome(pixels=pixels, history=self.history, interrupted=not done, notes=tuple(self.not_saved))

    def _is_done(self) -> bool:
        return self.scale == len(self.scales) - 1 and self._scale_is_done()

    def _scale_is_done(self) -> bool:
        if self.step >= self.scales[self.scale].steps:
            return True
        of_this_scale = self.history[len(self.history) - self.step :]
        return self.descent.has_settled([entry["loss"] for entry in of_this_scale])

    def _aim(self) -> Tensor:
        return self.stylizer.aim(
            self.content, self.styles, self.blend, self.scales[self.scale], self.scales[-1]
        )

    def _begun(self) -> Descent:
        stylizer = self.stylizer
        canvas = stylizer.begun(
            self._aim(),
            [stylizer.to_device(style) for style in self.styles],
            self.blend,
            None if self.start is None else stylizer.to_device(self.start),
        )
        return self._descent_from(canvas)

    def _resumed(self, path: Path) -> Descent:
        tensors, record = read_checkpoint(path, of=self.fingerprint)
        self.scale, self.step, self.history = record["scale"], record["step"], record["history"]
        descent = self._descent_from(self._aim())
        descent.restore(tensors)
        objective = {key: value for key, value in tensors.items() if key.startswith(_OF_OBJECTIVE)}
        self.stylizer.objective.restore(
            {key.removeprefix(_OF_OBJECTIVE): value for key, value in objective.items()}
        )
        return descent

    def _descent_from(self, canvas: Tensor) -> Descent:
        stylizer = self.stylizer
        return Descent(
            canvas,
            stylizer.objective,
            stylizer.method.optimizer,
            iterates=stylizer.method.iterates,
            precision=stylizer.precision,
        )

    def _climb(self) -> None:
        self.scale, self.step = self.scale + 1, 0
        give_back_freed_memory()
        self._aim()
        self.descent.move_to(self.stylizer.resized(self.descent.picture(), self.scales[self.scale].size))
        give_back_freed_memory()

    def _advance(self, on_progress: OnProgress) -> None:
        terms, taken_back = self.descent.step()
        self.step += 1
        scale = self.scales[self.scale]
        loss = sum(terms.values())
        where = {"scale": self.scale + 1, "step": self.step, "size": list(scale.size)}
        self.history.append({**where, "loss": loss, "terms": terms})
        failed_before = bool(self.not_saved)
        if time.monotonic() - self.saved_at >= self.checkpoints.every_s:
            self._save()
        not_saved = [] if failed_before else self.not_saved
        on_progress(
            Progress(
                step=sum(earlier.steps for earlier in self.scales[: self.scale]) + self.step,
                steps=sum(scale.steps for scale in self.scales),
                work=work_done(self.scales, self.scale, self.step),
                scale=self.scale + 1,
                scales=len(self.scales),
                size=scale.size,
                loss=loss,
                terms=terms,
                message="; ".join([*([_ROLLED_BACK] if taken_back else []), *not_saved, *self._notes()]),
                picture=lambda: self.stylizer.shown(self.descent.picture(), self.content)[0].cpu(),
            )
        )

    def _notes(self) -> list[str]:
        """What the objective has to say, once."""
        notes, self.stylizer.objective.notes = self.stylizer.objective.notes, []
        return notes

    def _save(self) -> None:
        if self.checkpoints.save_to is None:
            return
        where = {"scale": self.scale, "step": self.step, "history": self.history}
        of_objective = {
            f"{_OF_OBJECTIVE}{key}": value for key, value in self.stylizer.objective.state().items()
        }
        try:
            write_checkpoint(
                self.checkpoints.save_to, self.descent.state() | of_objective, where, of=self.fingerprint
            )
        except OutputError as error:
            # The picture may well have room, on another disk: the run is worth more than its checkpoint.
            self.not_saved.append(f"{error}; what was saved before stays")
        self.saved_at = time.monotonic()
