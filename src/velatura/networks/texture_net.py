"""Texture networks: from noise at several scales to a texture, or with a photograph to its stylization.

Ulyanov, Lebedev, Vedaldi and Lempitsky 2016, "Texture networks: feed-forward synthesis of textures and
stylized images"; Ulyanov, Vedaldi and Lempitsky 2017, "Improved texture networks".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones.base import CAFFE_MEAN_BGR
from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, networks
from velatura.networks.blocks import Convolution, draw_as_torch7, mirrored_positions
from velatura.networks.statistics import InstanceNorm
from velatura.ops.precision import at_least_float32

__all__ = ["TextureNet", "TextureNetwork"]

Padding = Literal["circular", "reflect", "replicate", "zeros"]
Task = Literal["texture", "stylization"]


@networks.register("texture-net")
@dataclass(frozen=True, kw_only=True)
class TextureNet(NetworkConfig):
    """Noise at several scales, joined from coarse to fine (Ulyanov et al. 2016, section 3.2).

    =======================  ===============  ======  ============  =========  ============  =====  ==========
    Source                   task             scales  norm          activation padding       noise  parameters
    =======================  ===============  ======  ============  =========  ============  =====  ==========
    2016, textures           ``texture``      5       ``batch``     ``leaky``  ``circular``  3      71,659
    2016, stylization        ``stylization``  6       ``batch``     ``leaky``  ``reflect``   3      118,211
    2017, code of pyramids   ``stylization``  6       ``instance``  ``relu``   ``reflect``   0      116,915
    =======================  ===============  ======  ============  =========  ============  =====  ==========

    Counted is all that is trained, weights and biases of the convolutions, scales and shifts of the norms,
    and not what the batch norms remember. A texture network of 6 scales has 116,915; the paper says about
    65,000. The other network of 2017, the one of its instructions, is ``johnson`` with instance norm.

    Departures: pixels are mirrored beyond the edges of a stylization, as in pystiche's replication; circular
    convolutions would bring the left edge to the right. A size that does not halve often enough is enlarged
    at the right and at the bottom, and cut: only textures whose edges are multiples of ``2 ** (scales - 1)``
    can be laid side by side.
    """

    styles: ClassVar[StyleCount] = "one"

    task: Annotated[
        Task, Setting("What it is given: noise alone, and a size; or noise and the photograph")
    ] = "texture"
    scales: Annotated[
        int, Interval(ge=1, le=10), Setting("Scales of noise, each half as large as the one above")
    ] = 5
    channels: Annotated[int, Ge(1), Setting("Channels that each scale adds")] = 8
    noise_channels: Annotated[int, Ge(0), Setting("Channels of noise at each scale")] = 3
    norm: Annotated[
        Literal["batch", "instance"], Setting("Over what features are normalised: a batch, or each picture")
    ] = "batch"
    activation: Annotated[
        Literal["leaky", "relu"], Setting("What becomes of values below 0: a hundredth of them, or nothing")
    ] = "leaky"
    padding: Annotated[
        Padding,
        Setting("What is beyond the edge: the opposite edge, a mirror image, the edge itself, or zeros"),
    ] = "circular"

    def __post_init__(self) -> None:
        if self.task == "texture" and self.noise_channels == 0:
            raise ConfigError(
                "texture-net: a texture is made of noise alone; give it noise_channels of 1 or more, or the "
                "task 'stylization'"
            )

    def build(self, *, num_styles: int = 1, rng: torch.Generator) -> TextureNetwork:
        """The network, its weights drawn as Torch 7 draws them; its noise has the seed 0.

        Weights and biases of convolutions are uniform within 1 / sqrt(fan in), which is the channels below
        times the kernel's area; scales of norms are uniform from 0 to 1, shifts are 0.

        Raises:
            ConfigError: More than one style is asked for.
        """
        if num_styles != 1:
            raise ConfigError(f"a texture network learns 1 style, not {num_styles}; take cin for several")
        network = TextureNetwork(self)
        draw_as_torch7(network, rng)
        return network


class TextureNetwork(Network):
    """Noise, and of a stylization the photograph, to pixels.

    Args:
        config: Its settings. The weights are not drawn: :meth:`TextureNet.build` does that.
    """

    styles: ClassVar[StyleCount] = "one"
    mean: Tensor

    def __init__(self, config: TextureNet) -> None:
        super().__init__()
        self.config = config
        self.stride = 2 ** (config.scales - 1)
        channels_in = config.noise_channels + (3 if config.task == "stylization" else 0)
        width = config.channels
        block = partial(_block, config=config)
        self.branches = nn.ModuleList(block(channels_in, width) for _ in range(config.scales))
        self.joins = nn.ModuleList(
            _Join(number * width, width, norm=_norm(config), block=block)
            for number in range(1, config.scales)
        )
        self.last = Convolution(config.scales * width, 3, 1, border="zeros")
        self.rng = generator(0, "noise") if config.noise_channels else None
        mean = torch.tensor(CAFFE_MEAN_BGR).flip(0)[:, None, None]
        self.register_buffer("mean", mean, persistent=False)

    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:  # noqa: ARG002 - has its own
        """The texture, or the stylization, laid over ``content`` by ``alpha``: the network knows no strength.

        A texture takes from ``content`` its size and, below an alpha of 1, what it is laid over.
        """
        features = at_least_float32(self.generate(self._inputs(content)))
        # What is learnt are pixels from 0 to 255, less their mean, for which the published steps are meant.
        pixels = (features + self.mean.to(features.dtype)) / 255
        cut = pixels[..., : content.shape[2], : content.shape[3]].to(content.dtype)
        return cut if alpha == 1 else content.lerp(cut, alpha)

    def generate(self, inputs: Sequence[Tensor]) -> Tensor:
        """Pixels less their mean, from what each scale is given.

        Args:
            inputs: From coarse to fine, each twice as large as the one before: noise of :meth:`draw_noise`
                for a texture; for a stylization the photograph at that size, then the noise.

        Returns:
            ``(B, 3, H, W)``, from about -128 to 128.
        """
        features: Tensor = self.branches[0](inputs[0])
        for branch, join, given in zip(self.branches[1:], self.joins, inputs[1:], strict=True):
            features = join(features, branch(given))
        pixels: Tensor = self.last(features)
        return pixels

    def draw_noise(self, count: int, size: tuple[int, int], rng: torch.Generator) -> list[Tensor]:
        """Uniform noise in [0, 1) for each scale; a picture's does not depend on how many are drawn with it.

        Args:
            count: Pictures ``B``.
            size: Height and width of the finest scale, multiples of :attr:`stride`.
            rng: Draws the noise, on its own device.

        Returns:
            From coarse to fine, each ``(B, noise_channels, h, w)``.
        """
        channels = self.config.noise_channels
        sizes = [(size[0] // ratio, size[1] // ratio) for ratio in self._ratios()]
        counts = [channels * height * width for height, width in sizes]
        drawn = torch.rand(count, sum(counts), generator=rng, device=rng.device)
        parts = zip(torch.split(drawn, counts, dim=1), sizes, strict=True)
        return [part.reshape(count, channels, *each) for part, each in parts]

    def _ratios(self) -> list[int]:
        return [2**power for power in reversed(range(self.config.scales))]

    def _inputs(self, content: Tensor) -> list[Tensor]:
        height, width = (_enlarged(length, self.stride) for length in content.shape[2:])
        inputs = [
            content.new_empty(len(content), 0, height // ratio, width // ratio) for ratio in self._ratios()
        ]
        if self.config.task == "stylization":
            whole = _mirrored(content, (height, width))
            inputs = [functional.avg_pool2d(whole, ratio) for ratio in self._ratios()]
        if self.rng is None:
            return inputs
        rng, count = (self.rng, len(content)) if self.training else (self.rng.clone_state(), 1)
        noise = self.draw_noise(count, (height, width), rng)
        return [
            torch.cat([given, part.to(given).expand(len(content), -1, -1, -1)], dim=1)
            for given, part in zip(inputs, noise, strict=True)
        ]


class _Join(nn.Module):
    """Coarse features at twice their size beside the next finer ones, each normalised, then a block.

    Args:
        coarse: Their channels.
        fine: Channels of the finer ones.
        norm: Makes a norm of so many channels; without it one scale would drown out the other.
        block: Makes the block.
    """

    def __init__(
        self,
        coarse: int,
        fine: int,
        *,
        norm: Callable[[int], nn.Module],
        block: Callable[[int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.coarse = norm(coarse)
        self.fine = norm(fine)
        self.block = block(coarse + fine, coarse + fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """``(B, C, H, W)`` and ``(B, c, 2H, 2W)`` to ``(B, C + c, 2H, 2W)``."""
        doubled = functional.interpolate(coarse, scale_factor=2, mode="nearest")
        joined: Tensor = self.block(torch.cat([self.coarse(doubled), self.fine(fine)], dim=1))
        return joined


def _block(channels_in: int, channels_out: int, *, config: TextureNet) -> nn.Sequential:
    """Convolutions of 3x3, 3x3 and 1x1, each normalised and rectified."""
    norm = _norm(config)
    layers: list[nn.Module] = []
    for number, kernel in enumerate((3, 3, 1)):
        given = channels_in if number == 0 else channels_out
        slope = 0.01 if config.activation == "leaky" else 0.0
        layers += [
            Convolution(given, channels_out, kernel, border=config.padding),
            norm(channels_out),
            nn.LeakyReLU(slope, inplace=True),
        ]
    return nn.Sequential(*layers)


def _norm(config: TextureNet) -> Callable[[int], nn.Module]:
    return InstanceNorm if config.norm == "instance" else nn.BatchNorm2d


def _enlarged(length: int, stride: int) -> int:
    """The next multiple of the stride; of one position, at the coarsest scale, a norm would leave nothing."""
    # Not by negative numbers, whose quotient an exported graph rounds towards 0.
    return (max(length, 2 * stride) + stride - 1) // stride * stride


def _mirrored(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures continued by their mirror image at the right and at the bottom, again and again if small."""
    bottom, right = size[0] - pictures.shape[2], size[1] - pictures.shape[3]
    if bottom < pictures.shape[2] and right < pictures.shape[3]:
        return functional.pad(pictures, (0, right, 0, bottom), mode="reflect")
    for axis, wanted in zip((2, 3), size, strict=True):
        own = pictures.shape[axis]
        positions = mirrored_positions(own, 0, wanted - own, device=pictures.device)
        pictures = pictures.index_select(axis, positions)
    return pictures
