"""Style transfer by optimising the pixels (Gatys et al. 2016), coarse to fine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval
from torch import Tensor

from velatura.backbones import Backbone, BackboneConfig
from velatura.core.config import PartOf, Setting
from velatura.core.errors import ConfigError
from velatura.core.progress import OnProgress, Progress, never, silent
from velatura.core.rng import generator
from velatura.engine.checkpoint import read_checkpoint, write_checkpoint
from velatura.engine.descent import Descent, Iterates
from velatura.engine.detail import limited_detail
from velatura.engine.objective import Objective, Term, Terms
from velatura.engine.precision import Precision, laid_out
from velatura.engine.pyramid import Pyramid, Scale
from velatura.initializations import Initialization, initializations
from velatura.ops.resize import fit, resize
from velatura.optimizers import ImageOptimizer, optimizers

__all__ = ["Checkpoints", "Optimization", "OptimizationStylizer", "Outcome"]

_ROLLED_BACK = "a step led too far: went back to the best picture, with half the step"


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """What an optimisation is made of."""

    backbone: Annotated[BackboneConfig, Setting("Network whose feature maps are compared")] = field(
        default_factory=BackboneConfig
    )
    terms: Annotated[Mapping[str, Term], Setting("The objective: weighted terms by name")]
    initialization: Annotated[Initialization, PartOf(initializations), Setting("Where the canvas starts")]
    optimizer: Annotated[ImageOptimizer, PartOf(optimizers), Setting("How the canvas moves")]
    pyramid: Annotated[Pyramid, Setting("Scales from coarse to fine")] = field(default_factory=Pyramid)
    iterates: Annotated[Iterates, Setting("What becomes of the canvases on the way")] = field(
        default_factory=Iterates
    )
    style_scale: Annotated[
        float,
        Interval(gt=0, le=16),
        Setting("Longer edge of the painting over that of the canvas: larger strokes above 1"),
    ] = 1.0
    detail: Annotated[
        float,
        Ge(0),
        Setting("Most energy of the finest detail of the result, over the painting's; 0: as it comes"),
    ] = 0.0

    def __post_init__(self) -> None:
        for name, term in self.terms.items():
            if term.of == "transfer":
                raise ConfigError(
                    f"term {name!r} is of 'transfer', which only a network in training has; "
                    "take its target from content or style"
                )


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Where a run is saved, and what it goes on from.

    Args:
        save_to: File to save to; none: nowhere.
        resume_from: File to go on from; none: start anew.
        every_s: Seconds between two saves.
        fingerprint: What a checkpoint must agree with to be taken up: settings and hashes.
    """

    save_to: Path | None = None
    resume_from: Path | None = None
    every_s: float = 10.0
    fingerprint: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an optimisation ends with.

    Args:
        pixels: ``(3, H, W)`` in [0, 1].
        history: One entry a step: ``scale`` and ``step`` (of the scale, from 1), ``size`` (height and
            width), ``loss`` and ``terms`` (before the step).
        interrupted: Whether it was cancelled before its last step.
    """

    pixels: Tensor
    history: list[dict[str, Any]]
    interrupted: bool


class OptimizationStylizer:
    """One method with its backbone, ready for pictures.

    Args:
        method: What the optimisation is made of.
        backbone: The network that ``method.backbone`` names, on the device to compute on.
        precision: What it computes in.
        strength: Factor on the weight of every term but those of the content. At 0 the content alone
            is optimised, at the last scale: from the photograph itself, nothing changes.
        seed: Seed of the initialisation.

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
    ) -> None:
        self.method, self.precision, self.seed, self.strength = method, precision, seed, strength
        self.backbone = laid_out(backbone, precision.memory_format)
        self.objective = Objective(self.backbone, _strengthen(method.terms, strength))
        self.device = next(backbone.buffers()).device

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
            styles: Paintings, each ``(3, h, w)`` in [0, 1].
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
        smallest = self.backbone.smallest_input(self.objective.layers)
        scales = self.method.pyramid.scales(size, smallest_input=smallest)
        if self.strength == 0:
            # Smaller scales would only blur what the last one starts from.
            scales = scales[-1:]
        run = _Run(self, scales, content, styles, blend, start, checkpoints or Checkpoints())
        return run.finish(on_progress, cancelled)

    def to_device(self, picture: Tensor) -> Tensor:
        """``(3, H, W)`` to ``(1, 3, H, W)``, where and how the backbone wants it."""
        return picture[None].to(self.device).contiguous(memory_format=self.precision.memory_format)

    def aim(self, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float], scale: Scale) -> Tensor:
        """Takes the targets at one scale; returns the content at that size, ``(1, 3, H, W)``."""
        small = resize(self.to_device(content), scale.size).clamp(0, 1)
        long_edge = round(max(scale.size) * self.method.style_scale)
        paintings = []
        for number, style in enumerate(styles, start=1):
            height, width = fit(style.shape[1], style.shape[2], long_edge)
            needed = self.backbone.smallest_input(self.objective.layers)
            if min(height, width) < needed:
                raise ConfigError(
                    f"style picture {number} is {width}x{height} pixels at the scale of {scale.size[1]}x"
                    f"{scale.size[0]}, and the deepest layer needs {needed}x{needed}; crop it to a squarer "
                    "shape, or leave out small scales (pyramid.smallest)"
                )
            paintings.append(resize(self.to_device(style), (height, width)).clamp(0, 1))
        with self.precision.autocast(self.device):
            self.objective.aim(small, paintings, blend)
        return small


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
        path = checkpoints.resume_from
        self.descent = self._begun() if path is None else self._resumed(path)

    def finish(self, on_progress: OnProgress, cancelled: Callable[[], bool]) -> Outcome:
        while not self._is_done() and not cancelled():
            if self._scale_is_done():
                self._climb()
            else:
                self._advance(on_progress)
        self._save()
        done = self._is_done()
        picture = self.descent.picture() if done else self.descent.picture_so_far()
        pixels = resize(picture, self.scales[-1].size).clamp(0, 1)[0].cpu().contiguous()
        if done and self.stylizer.method.detail > 0 and self.stylizer.strength > 0:
            pixels = limited_detail(
                pixels,
                self.stylizer.method.detail,
                content=self.content,
                styles=self.styles,
                blend=self.blend,
                style_scale=self.stylizer.method.style_scale,
                strength=self.stylizer.strength,
            )
        return Outcome(pixels=pixels, history=self.history, interrupted=not done)

    def _is_done(self) -> bool:
        return self.scale == len(self.scales) - 1 and self._scale_is_done()

    def _scale_is_done(self) -> bool:
        if self.step >= self.scales[self.scale].steps:
            return True
        of_this_scale = self.history[len(self.history) - self.step :]
        return self.descent.has_settled([entry["loss"] for entry in of_this_scale])

    def _aim(self) -> Tensor:
        return self.stylizer.aim(self.content, self.styles, self.blend, self.scales[self.scale])

    def _begun(self) -> Descent:
        stylizer = self.stylizer
        canvas = stylizer.method.initialization.draw(
            self._aim(),
            [stylizer.to_device(style) for style in self.styles],
            generator(stylizer.seed, "initialization"),
            blend=self.blend,
            strength=stylizer.strength,
            picture=None if self.start is None else stylizer.to_device(self.start),
        )
        return self._descent_from(canvas)

    def _resumed(self, path: Path) -> Descent:
        tensors, record = read_checkpoint(path, of=self.fingerprint)
        self.scale, self.step, self.history = record["scale"], record["step"], record["history"]
        descent = self._descent_from(self._aim())
        descent.restore(tensors)
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
        self._aim()
        self.descent.move_to(resize(self.descent.picture(), self.scales[self.scale].size))

    def _advance(self, on_progress: OnProgress) -> None:
        terms, taken_back = self.descent.step()
        self.step += 1
        scale = self.scales[self.scale]
        loss = sum(terms.values())
        where = {"scale": self.scale + 1, "step": self.step, "size": list(scale.size)}
        self.history.append({**where, "loss": loss, "terms": terms})
        if time.monotonic() - self.saved_at >= self.checkpoints.every_s:
            self._save()
        on_progress(
            Progress(
                step=sum(earlier.steps for earlier in self.scales[: self.scale]) + self.step,
                steps=sum(scale.steps for scale in self.scales),
                scale=self.scale + 1,
                scales=len(self.scales),
                size=scale.size,
                loss=loss,
                terms=terms,
                message=_ROLLED_BACK if taken_back else "",
                picture=lambda: self.descent.picture()[0].cpu(),
            )
        )

    def _save(self) -> None:
        if self.checkpoints.save_to is None:
            return
        where = {"scale": self.scale, "step": self.step, "history": self.history}
        write_checkpoint(self.checkpoints.save_to, self.descent.state(), where, of=self.fingerprint)
        self.saved_at = time.monotonic()
