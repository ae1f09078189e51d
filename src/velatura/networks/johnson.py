"""Johnson: one network a style, trained with perceptual losses.

Johnson, Alahi and Fei-Fei 2016, "Perceptual losses for real-time style transfer and super-resolution"; their
code, and the example of PyTorch in common use, differ from the paper where the settings say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from velatura.backbones.base import CAFFE_MEAN_BGR
from velatura.core.config import Setting
from velatura.core.errors import ConfigError, WeightsError
from velatura.networks.base import Network, NetworkConfig, Style, StyleCount, networks
from velatura.networks.blocks import (
    SHAVED,
    STRIDE,
    TransformationNetwork,
    Upsampling,
    draw_as_torch7,
    faded,
    mirrored_around,
)
from velatura.networks.statistics import InstanceNorm

__all__ = ["Johnson", "JohnsonNetwork", "from_pytorch_example"]

Padding = Literal["start", "reflect", "zeros"]
Output = Literal["tanh150", "unit", "linear"]


@networks.register("johnson")
@dataclass(frozen=True, kw_only=True)
class Johnson(NetworkConfig):
    """One network a style, trained with perceptual losses (Johnson et al. 2016).

    ==============================  =============  ===========  =============  ===========  ==========
    Source                          norm           padding      upsampling     output       parameters
    ==============================  =============  ===========  =============  ===========  ==========
    The paper                       ``batch``      ``start``    ``transposed`` ``unit``     1,679,235
    Its code, first models          ``batch``      ``start``    ``transposed`` ``tanh150``  1,679,235
    Its code, later models          ``instance``   ``start``    ``transposed`` ``tanh150``  424,899
    PyTorch's fast_neural_style     ``instance``   ``reflect``  ``nearest``    ``linear``   1,679,235
    ==============================  =============  ===========  =============  ===========  ==========

    The later models have half the width, 16. PyTorch's example also takes its pixels in ``rgb255``, and
    starts its norms at ones.
    """

    styles: ClassVar[StyleCount] = "one"

    width: Annotated[
        int, Ge(1), Setting("Channels at full size; twice at half of it, four times at a quarter")
    ] = 32
    norm: Annotated[
        Literal["batch", "instance"], Setting("Over what features are normalised: a batch, or each picture")
    ] = "batch"
    padding: Annotated[
        Padding,
        Setting("What is beyond the edge; start: a mirror of 40 pixels, then residual blocks that shrink"),
    ] = "start"
    upsampling: Annotated[
        Upsampling,
        Setting("How the size is doubled: by a stride of 1/2, or by repeating, then a convolution"),
    ] = "transposed"
    preprocessing: Annotated[
        Literal["caffe", "rgb255"], Setting("Pixels that it is shown: BGR less their mean, or RGB, 0 to 255")
    ] = "caffe"
    output: Annotated[
        Output,
        Setting("Its last step: 150 tanh around the mean, (tanh + 1) / 2 of the range, or nothing, 0 to 255"),
    ] = "tanh150"
    norm_weights: Annotated[
        Literal["uniform", "ones"], Setting("What scales of norms start at: drawn from 0 to 1, or 1")
    ] = "uniform"

    def build(self, *, num_styles: int = 1, rng: torch.Generator) -> JohnsonNetwork:
        """The network, its weights drawn as Torch 7 draws them.

        Weights and biases of convolutions are uniform within 1 / sqrt(fan in), which is the channels below
        times the kernel's area; shifts of norms are 0.

        Raises:
            ConfigError: More than one style is asked for.
        """
        if num_styles != 1:
            raise ConfigError(f"a johnson network learns 1 style, not {num_styles}; take cin for several")
        network = JohnsonNetwork(self)
        draw_as_torch7(network, rng, norms=self.norm_weights == "uniform")
        return network


class JohnsonNetwork(Network):
    """A photograph to its stylization in the one style that the network was trained for.

    Args:
        config: Its settings. The weights are not drawn: :meth:`Johnson.build` does that.
    """

    styles: ClassVar[StyleCount] = "one"
    mean: Tensor

    def __init__(self, config: Johnson) -> None:
        super().__init__()
        at_start = config.padding == "start"
        self.transform = TransformationNetwork(
            config.width,
            border="reflect" if config.padding == "reflect" else "zeros",
            residual_border="valid" if config.padding == "start" else config.padding,
            upsampling=config.upsampling,
            norm=InstanceNorm if config.norm == "instance" else nn.BatchNorm2d,
            last_norm=nn.Identity(),
        )
        self.margin = len(self.transform.residual) * SHAVED * STRIDE if at_start else 0
        self.preprocessing = config.preprocessing
        self.output = config.output
        self.register_buffer("mean", torch.tensor(CAFFE_MEAN_BGR)[:, None, None], persistent=False)

    def stylize(self, content: Tensor, style: Style | None, *, alpha: float) -> Tensor:  # noqa: ARG002 - it has its own
        """Photograph and stylization mixed in pixels: the network itself knows no strength."""
        framed = mirrored_around(content, margin=self.margin)
        return faded(content, self._unit(self.transform(self._own(framed))), alpha)

    def _own(self, pictures: Tensor) -> Tensor:
        """From RGB in [0, 1] to the pixels that the network is shown."""
        if self.preprocessing == "rgb255":
            return 255 * pictures
        return 255 * pictures.flip(1) - self.mean.to(pictures.dtype)

    def _unit(self, features: Tensor) -> Tensor:
        """From what the last convolution gives to RGB, about [0, 1]."""
        wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        match self.output:
            case "tanh150":
                return ((150 * wide.tanh() + self.mean.to(wide.dtype)) / 255).flip(1)
            case "unit":
                return (wide.tanh() + 1) / 2
            case "linear":
                return wide / 255
        raise ConfigError(f"johnson: unknown output {self.output!r}")


def _example_names() -> dict[str, str]:
    """Names of the modules in PyTorch's example, and ours."""
    names = {}
    for number in (1, 2, 3):
        names[f"conv{number}.conv2d"] = f"down.{number - 1}.conv"
        names[f"in{number}"] = f"down.{number - 1}.norm"
    for number in range(1, 6):
        for half, ours in ((1, "first"), (2, "second")):
            names[f"res{number}.conv{half}.conv2d"] = f"residual.{number - 1}.{ours}.conv"
            names[f"res{number}.in{half}"] = f"residual.{number - 1}.{ours}.norm"
    for number in (1, 2):
        names[f"deconv{number}.conv2d"] = f"up.{number - 1}.conv"
        names[f"in{number + 3}"] = f"up.{number - 1}.norm"
    return names | {"deconv3.conv2d": "last.conv"}


# What InstanceNorm2d once kept by mistake: the networks of the example came with them, and never read them.
_DEPRECATED = re.compile(r"(^|\.)in\d\.(running_mean|running_var|num_batches_tracked)$")


def from_pytorch_example(state: Mapping[str, Tensor]) -> tuple[Johnson, dict[str, Tensor]]:
    """Settings and weights from a state dict of ``TransformerNet``, PyTorch's example ``fast_neural_style``.

    .. code-block:: python

        config, weights = from_pytorch_example(torch.load("candy.pth", weights_only=True))
        network = config.build(rng=generator(0, "network weights"))
        network.load_state_dict(weights)

    Args:
        state: Weights by the example's keys, such as ``res1.conv1.conv2d.weight``; of any width.

    Raises:
        WeightsError: A key or a shape is not of that network; the message names it.
    """
    verdict = "these are not weights of PyTorch's fast_neural_style: "
    ours = {
        f"{theirs}.{kind}": f"transform.{name}.{kind}"
        for theirs, name in _example_names().items()
        for kind in ("weight", "bias")
    }
    given = {key: value for key, value in state.items() if not _DEPRECATED.search(key)}
    for complaint, keys in (
        ("they lack", ours.keys() - given.keys()),
        ("they have", given.keys() - ours.keys()),
    ):
        if keys:
            raise WeightsError(f"{verdict}{complaint} {', '.join(sorted(keys)[:3])}")
    config = Johnson(
        width=len(given["conv1.conv2d.weight"]),
        norm="instance",
        padding="reflect",
        upsampling="nearest",
        preprocessing="rgb255",
        output="linear",
        norm_weights="ones",
    )
    weights = {ours[key]: value for key, value in given.items()}
    with torch.device("meta"):
        own = JohnsonNetwork(config).state_dict()
    for theirs, key in ours.items():
        if weights[key].shape != own[key].shape:
            came, due = tuple(weights[key].shape), tuple(own[key].shape)
            raise WeightsError(f"{verdict}{theirs} is {came}, not {due}")
    return config, weights
