"""The two sides of a distillation: teachers that label a picture, and the student with its heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from velatura.backbones import VGG, Backbone, Preprocessing
from velatura.core.vgg_layout import vgg_layers
from velatura.engine.distill.start import choose_channels, fit_convolution, fit_head

__all__ = ["Student", "Teacher", "Teachers"]


@dataclass(frozen=True)
class Teacher:
    """A backbone and the layers that it teaches."""

    backbone: Backbone
    layers: tuple[str, ...]


class Teachers:
    """Several teachers as one: each layer has the one that teaches it.

    Args:
        teachers: Their layers are disjoint and, together, in order of depth.
        sample: Pictures, ``(B, 3, H, W)``, on which each channel's root mean square is measured;
            features are divided by it, so that every channel counts the same.
    """

    def __init__(self, teachers: Sequence[Teacher], sample: Tensor) -> None:
        self.teachers = tuple(teachers)
        self.layers = tuple(layer for teacher in teachers for layer in teacher.layers)
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("two teachers teach the same layer")
        self.scales: dict[str, Tensor] = {}
        features = self.raw(sample, self.layers)
        for layer, maps in features.items():
            rms = maps.square().mean((0, 2, 3)).sqrt()
            # A channel that is silent on the sample must not be blown up when it speaks.
            self.scales[layer] = rms.clamp_min(0.1 * float(rms.mean()))
        self.channels = {layer: maps.shape[1] for layer, maps in features.items()}

    @torch.no_grad()
    def raw(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features as each teacher has them; ``conv`` layers are taught by the ``relu``'s teacher."""
        found: dict[str, Tensor] = {}
        for teacher in self.teachers:
            own = [name for name in layers if name.replace("conv", "relu") in teacher.layers]
            found |= teacher.backbone(image, own)
        return found

    def label(self, image: Tensor) -> dict[str, Tensor]:
        """What the student is to predict: features divided by each channel's root mean square."""
        raw = self.raw(image, self.layers)
        return {layer: maps / self.scales[layer][:, None, None] for layer, maps in raw.items()}


class Student(nn.Module):
    """A narrow VGG-19 to the deepest layer taught, with a 1x1 head to the teacher at each.

    The heads live in the training checkpoint only.

    Args:
        widths: Channels of each of the five blocks.
        channels: The teachers' channels by layer: every ``relu`` from ``relu1_1`` up, in order.

    Raises:
        ValueError: A layer on the way is not taught.
    """

    def __init__(self, widths: Sequence[int], channels: Mapping[str, int]) -> None:
        super().__init__()
        layout = vgg_layers("vgg19")
        relus = [name for name in layout if name.startswith("relu")][: len(channels)]
        if list(channels) != relus:
            raise ValueError(f"expected every layer, {', '.join(relus)}, not {', '.join(channels)}")
        self.encoder = VGG(
            layout,
            {relu.replace("relu", "conv"): widths[int(relu[4]) - 1] for relu in relus},
            preprocessing=Preprocessing.torchvision(),
            pooling="average",
            padding="replicate",
            rescale=False,
            source="the student in training",
        )
        self.layers = tuple(channels)
        self.heads = nn.ModuleDict(
            {
                layer: nn.Conv2d(self.encoder.shapes[layer].channels, outgoing, 1)
                for layer, outgoing in channels.items()
            }
        )

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """The encoder's own feature maps in every taught layer."""
        maps: dict[str, Tensor] = self.encoder(image, self.layers)
        return maps

    @torch.no_grad()
    def start_from(self, teachers: Teachers, batches: Sequence[Tensor]) -> None:
        """Fits every convolution, then every head, to the teachers by least squares.

        Args:
            teachers: What to follow.
            batches: Pictures, each ``(B, 3, H, W)``; all pass through the network once a layer.

        Raises:
            ConfigError: The student is wider than a teacher.
        """
        convolutions = dict(zip(self.encoder.names, self.encoder.features, strict=True))
        for layer in self.layers:
            conv = layer.replace("relu", "conv")
            module = convolutions[conv]
            assert isinstance(module, nn.Conv2d)
            responses = [teachers.raw(batch, (conv,))[conv] for batch in batches]
            scaled = torch.cat([r.relu().movedim(1, 3).flatten(0, 2)[::7] for r in responses])
            scale = teachers.scales[layer]
            chosen = choose_channels(scaled / scale, module.out_channels)
            pairs = [(self._below(conv, b), r) for b, r in zip(batches, responses, strict=True)]
            fit_convolution(module, pairs, chosen, scale)
            head = self.heads[layer]
            assert isinstance(head, nn.Conv2d)
            labels = [response.relu() / scale[:, None, None] for response in responses]
            own = [self.encoder(batch, (layer,))[layer] for batch in batches]
            fit_head(head, list(zip(own, labels, strict=True)))

    def _below(self, conv: str, image: Tensor) -> Tensor:
        index = self.encoder.names.index(conv)
        if index == 0:
            inputs: Tensor = self.encoder.preprocessing(image)
            return inputs
        below = self.encoder.names[index - 1]
        maps: dict[str, Tensor] = self.encoder(image, (below,))
        return maps[below]
