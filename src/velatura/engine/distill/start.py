"""Where a student starts: each layer a least-squares fit to chosen channels of its teacher.

From noise, a narrow network needs thousands of steps to find features that the teacher has at
once. So each convolution is solved for: the teacher channels that explain the layer best are
chosen by a pivoted Cholesky factorisation of their covariance, and the student's 3x3 kernels are
the ridge regression of those channels' responses on what the student's layers below give.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.core.errors import ConfigError

__all__ = ["choose_channels", "fit_convolution", "fit_head"]


def choose_channels(features: Tensor, count: int) -> Tensor:
    """The ``count`` channels from which the others are predicted best, greedily.

    Args:
        features: Samples of one layer, ``(N, C)``.
        count: Channels to choose, at most ``C``.

    Returns:
        Indices of the channels, ``(count,)``, the most telling first.

    Raises:
        ConfigError: There are fewer channels.
    """
    if count > features.shape[1]:
        raise ConfigError(
            f"a student of {count} channels cannot follow a teacher of {features.shape[1]}; give it no more"
        )
    scaled = features / features.square().mean(0).sqrt().clamp_min(1e-6)
    residual = (scaled.T @ scaled / len(scaled)).double()
    chosen: list[int] = []
    for _ in range(count):
        # How much variance of all channels one more column would explain.
        gain = residual.square().sum(0) / residual.diagonal().clamp_min(1e-9)
        gain[chosen] = -1
        pivot = int(gain.argmax())
        chosen.append(pivot)
        column = residual[:, pivot]
        residual = residual - torch.outer(column, column) / column[pivot].clamp_min(1e-9)
    return torch.tensor(chosen)


def _ridge(gram: Tensor, cross: Tensor) -> Tensor:
    damping = 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution: Tensor = torch.linalg.solve(gram + damping, cross)
    return solution


def fit_convolution(
    convolution: nn.Conv2d,
    pairs: Iterable[tuple[Tensor, Tensor]],
    channels: Tensor,
    scale: Tensor,
) -> None:
    """Sets a 3x3 convolution to the regression of a teacher's responses on the layer below.

    Args:
        convolution: The student's, changed in place.
        pairs: What enters the student's convolution, ``(B, c, H, W)``, with the teacher's
            response before rectification, ``(B, C, H, W)``.
        channels: Which of the teacher's channels to follow, one for each output.
        scale: What each teacher channel is divided by, ``(C,)``.
    """
    gram, cross = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for below, response in pairs:
        padded = functional.pad(below, (1, 1, 1, 1), mode="replicate")
        patches = functional.unfold(padded, 3).transpose(1, 2).flatten(0, 1)
        patches = functional.pad(patches, (0, 1), value=1.0).double()
        wanted = (response / scale[:, None, None])[:, channels].flatten(2).transpose(1, 2).flatten(0, 1)
        gram = gram + patches.T @ patches
        cross = cross + patches.T @ wanted.double()
    solution = _ridge(gram, cross).float()  # (9 c + 1, outputs)
    with torch.no_grad():
        convolution.weight.copy_(solution[:-1].T.reshape(convolution.weight.shape))
        assert convolution.bias is not None
        convolution.bias.copy_(solution[-1])


def fit_head(head: nn.Conv2d, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Sets a 1x1 head to the regression of the teacher's features on the student's.

    Args:
        head: From the student's width to the teacher's, changed in place.
        pairs: Student features ``(B, c, H, W)`` with scaled teacher features ``(B, C, H, W)``.
    """
    gram, cross = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for student, teacher in pairs:
        inputs = functional.pad(student.flatten(2).transpose(1, 2).flatten(0, 1), (0, 1), value=1.0).double()
        gram = gram + inputs.T @ inputs
        cross = cross + inputs.T @ teacher.flatten(2).transpose(1, 2).flatten(0, 1).double()
    solution = _ridge(gram, cross).float()
    with torch.no_grad():
        head.weight.copy_(solution[:-1].T[:, :, None, None])
        assert head.bias is not None
        head.bias.copy_(solution[-1])
