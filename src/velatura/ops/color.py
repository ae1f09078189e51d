"""Colours of an image: how light it is, and how often each colour comes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_rgb", "chroma_histogram", "luma"]

_LUMA = (0.299, 0.587, 0.114)

# HistoGAN: log-chroma beyond e^3 = 20 times falls off the histogram; colours that are zero get a log.
_LOG_CHROMA = 3.0
_BLACK = 1e-6


def luma(image: Tensor) -> Tensor:
    """Lightness of gamma-encoded colours: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Args:
        image: sRGB in [0, 1], ``(B, 3, H, W)``.

    Returns:
        ``(B, 1, H, W)`` in [0, 1].

    Raises:
        ValueError: ``image`` has not three channels.
    """
    check_rgb(image)
    weights = image.new_tensor(_LUMA)[:, None, None]
    return (image * weights).sum(dim=1, keepdim=True)


def chroma_histogram(image: Tensor, *, bins: int = 64, width: float = 0.02) -> Tensor:
    r"""How often each colour comes, whatever its brightness: the RGB-uv histogram.

    For each channel, with the two others ``u`` and ``v``, each pixel adds its intensity
    :math:`\sqrt{R^2 + G^2 + B^2}` around :math:`(\log c/u, \log c/v)`, with the weight
    :math:`1 / (1 + (d/\tau)^2)` at a distance ``d`` along either axis (Afifi et al. 2021, HistoGAN).

    Args:
        image: ``(B, 3, H, W)`` in [0, 1].
        bins: Bins along each axis, evenly from -3 to 3.
        width: :math:`\tau`, the kernel's fall-off, in units of log-chroma.

    Returns:
        ``(B, 3, bins, bins)``, >= 0; each sample sums to 1, or to 0 where it is all black.

    Raises:
        ValueError: ``image`` has not three channels.
    """
    check_rgb(image)
    pixels = image.flatten(2)  # (B, 3, HW)
    intensity = pixels.square().sum(dim=1).sqrt()
    logs = (pixels + _BLACK).log()
    centres = torch.linspace(-_LOG_CHROMA, _LOG_CHROMA, bins, dtype=image.dtype, device=image.device)

    def near(one: int, other: int) -> Tensor:  # (B, HW, bins)
        chroma = (logs[:, one] - logs[:, other])[..., None]
        return 1 / (1 + ((chroma - centres) / width).square())

    planes = [
        (intensity[..., None] * near(channel, u)).mT @ near(channel, v)
        for channel, u, v in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    ]
    histogram = torch.stack(planes, dim=1)
    total = histogram.sum(dim=(1, 2, 3), keepdim=True)
    return histogram / torch.where(total > 0, total, torch.ones_like(total))


def check_rgb(image: Tensor) -> None:
    """Raises ``ValueError`` unless these are pictures of three channels, ``(B, 3, H, W)``."""
    if image.dim() != 4 or image.shape[1] != 3:
        raise ValueError(f"expected pictures of shape (B, 3, H, W), not {tuple(image.shape)}")
