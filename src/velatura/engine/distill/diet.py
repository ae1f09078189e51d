"""What a student is fed: photographs, paintings, disturbed pictures, and what an optimisation meets.

A network is exploited where it was never trained: an optimiser finds the inputs on which its
features lie. So half of the diet comes from the student itself. :class:`Chains` keeps a few
stylizations running against the student as it is now; their iterates, labelled by the teacher,
are the next lesson. The idea is imitation learning's DAgger (Ross et al. 2011), for pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from velatura.imaging import read_picture

__all__ = ["Chains", "Crops", "disturb", "stylize_towards", "uniform"]

Features = Callable[[Tensor], dict[str, Tensor]]


class Crops:
    """Random square crops from a list of pictures, flipped half of the time.

    Args:
        paths: Picture files; they are decoded when drawn.
        size: Edge of a crop in pixels; smaller pictures are enlarged to it.
    """

    def __init__(self, paths: Sequence[Path], *, size: int) -> None:
        if not paths:
            raise ValueError("no pictures to crop from")
        self.paths, self.size = list(paths), size

    def draw(self, generator: torch.Generator) -> Tensor:
        """One crop, ``(1, 3, size, size)`` in [0, 1]."""
        path = self.paths[int(torch.randint(len(self.paths), (), generator=generator))]
        image = read_picture(path).pixels[None]
        height, width = image.shape[-2:]
        zoom = max(self.size / min(height, width), 1 - 0.5 * uniform(generator))
        shape = (max(self.size, round(height * zoom)), max(self.size, round(width * zoom)))
        if shape != (height, width):
            image = functional.interpolate(image, shape, mode="bilinear", antialias=True)
        top = int(torch.randint(shape[0] - self.size + 1, (), generator=generator))
        left = int(torch.randint(shape[1] - self.size + 1, (), generator=generator))
        crop = image[..., top : top + self.size, left : left + self.size]
        flipped: Tensor = crop.flip(-1)
        return flipped if uniform(generator) < 0.5 else crop


def uniform(generator: torch.Generator) -> float:
    """A number in [0, 1)."""
    return float(torch.rand((), generator=generator))


def disturb(image: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """One of the ways in which the pictures of an optimisation are unlike photographs.

    Args:
        image: A crop, ``(1, 3, H, W)`` in [0, 1].
        other: Another one, to blend with.
        generator: Chooses the way and its size.

    Returns:
        Noise added (fine or coarse), two pictures blended, contrast and saturation stretched, a
        blur, or noise alone; ``(1, 3, H, W)`` in [0, 1].
    """
    way = int(torch.randint(6, (), generator=generator))
    amount = uniform(generator)
    if way == 0:
        noise = torch.randn(image.shape, generator=generator)
        changed = image + 0.01 * 30**amount * noise
    elif way == 1:
        coarse = torch.randn((1, 3, 32, 32), generator=generator)
        changed = image + 0.2 * amount * functional.interpolate(coarse, image.shape[-2:], mode="bicubic")
    elif way == 2:
        changed = torch.lerp(image, other, 0.2 + 0.6 * amount)
    elif way == 3:
        grey = image.mean(1, keepdim=True)
        changed = 0.5 + 2 * (amount + 0.1) * (grey + 2 * uniform(generator) * (image - grey) - 0.5)
    elif way == 4:
        small = functional.interpolate(image, scale_factor=0.15 + 0.5 * amount, mode="area")
        changed = functional.interpolate(small, image.shape[-2:], mode="bicubic")
    else:
        changed = uniform(generator) + 0.3 * amount * torch.randn(image.shape, generator=generator)
    clamped: Tensor = changed.clamp(0, 1)
    return clamped


class Chains:
    """Stylizations in progress against the student, a few Adam steps a turn, restarted now and then.

    Args:
        contents: Where the canvases start.
        styles: What they are drawn to.
        num_chains: Canvases kept.
        turns: How often a chain is advanced before it starts anew.
        steps: Adam steps a turn.
        lr: Step size, in units of the pixel range [0, 1].
    """

    def __init__(
        self,
        contents: Crops,
        styles: Crops,
        *,
        num_chains: int = 12,
        turns: int = 15,
        steps: int = 4,
        lr: float = 0.03,
    ) -> None:
        self.contents, self.styles = contents, styles
        self.turns, self.steps, self.lr = turns, steps, lr
        self.canvases: list[Tensor | None] = [None] * num_chains
        self.paintings: list[Tensor | None] = [None] * num_chains
        self.ages = [0] * num_chains

    def advance(self, features: Features, generator: torch.Generator) -> Tensor:
        """Moves one chain on and returns its canvas, ``(1, 3, size, size)`` in [0, 1].

        Args:
            features: The student's feature maps of an image; gradients reach the image.
            generator: Chooses the chain and its pictures.
        """
        index = int(torch.randint(len(self.canvases), (), generator=generator))
        canvas, painting = self.canvases[index], self.paintings[index]
        if canvas is None or painting is None or self.ages[index] >= self.turns:
            canvas = self._start(generator)
            painting = self.styles.draw(generator)
            # Chains of different ages: the first turn of a new one counts for several.
            self.ages[index] = int(torch.randint(self.turns // 2 + 1, (), generator=generator))
        canvas = stylize_towards(canvas, painting, features, steps=self.steps, lr=self.lr)
        self.canvases[index], self.paintings[index] = canvas, painting
        self.ages[index] += 1
        return canvas

    def _start(self, generator: torch.Generator) -> Tensor:
        canvas = self.contents.draw(generator)
        if uniform(generator) < 0.3:
            noise = torch.rand(canvas.shape, generator=generator)
            canvas = torch.lerp(canvas, noise, uniform(generator))
        return canvas


def stylize_towards(canvas: Tensor, painting: Tensor, features: Features, *, steps: int, lr: float) -> Tensor:
    """A few Adam steps on the pixels towards a painting's mean and covariance in every layer."""
    with torch.no_grad():
        targets = {layer: _moments(maps) for layer, maps in features(painting).items()}
    canvas = canvas.clone().requires_grad_()
    optimizer = torch.optim.Adam([canvas], lr=lr, betas=(0.9, 0.99))
    for _ in range(steps):
        optimizer.zero_grad()
        loss = canvas.new_zeros(())
        for layer, maps in features(canvas).items():
            for moment, target in zip(_moments(maps), targets[layer], strict=True):
                loss = loss + (moment - target).square().sum() / target.square().sum().add(1e-8)
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            canvas.clamp_(0, 1)
    return canvas.detach()


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    flat = features.flatten(2)  # (B, C, HW)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    return mean, centred @ centred.transpose(1, 2) / flat.shape[2]
