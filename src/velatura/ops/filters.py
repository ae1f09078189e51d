"""Filters on images: edges, and the energy of fine detail."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from velatura.ops.positions import check_features

__all__ = ["energy_above", "finest_band", "sobel_gradient", "sobel_magnitude"]


def sobel_magnitude(image: Tensor) -> Tensor:
    r"""Strength of the edges: :math:`\sqrt{g_x^2 + g_y^2}` of Sobel's gradient, an eighth of his kernel.

    A ramp that rises by ``s`` a pixel has magnitude ``s``. The outermost pixels are repeated
    beyond the edge.

    Args:
        image: ``(B, C, H, W)``.

    Returns:
        ``(B, C, H, W)``, >= 0.

    Raises:
        ValueError: ``image`` is not four-dimensional.
    """
    across, down = sobel_gradient(image)
    return (across.square() + down.square()).sqrt()


def sobel_gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's differences across and down, an eighth of his kernels: a ramp has its slope.

    Args:
        image: ``(B, C, H, W)``; the outermost pixels are repeated beyond the edge.

    Returns:
        From left to right and from top to bottom, each ``(B, C, H, W)``.

    Raises:
        ValueError: ``image`` is not four-dimensional.
    """
    check_features(image)
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    # Differences first: where the image is flat they are zero, whatever rounding does to sums.
    across = _smoothed(padded[..., 2:] - padded[..., :-2], axis=2)
    down = _smoothed(padded[..., 2:, :] - padded[..., :-2, :], axis=3)
    return across / 8, down / 8


def _smoothed(values: Tensor, *, axis: int) -> Tensor:
    """Sums with the weights 1, 2, 1; two entries shorter."""
    length = values.shape[axis] - 2
    before, here, after = (values.narrow(axis, start, length) for start in range(3))
    return before + 2 * here + after


def energy_above(image: Tensor, frequency: float) -> Tensor:
    r"""Variance of what varies faster than ``frequency``, under a Hann window.

    .. math:: E = \frac{1}{HW \sum_k w_k^2} \sum_{|f| \ge f_0} |\mathcal F(w (x - \bar x))(f)|^2

    Pictures of different sizes compare: white noise of variance :math:`\sigma^2` has
    :math:`\sigma^2` times the share of the frequencies that lie above. The window keeps the jump from
    one border to the opposite one from passing for detail.

    Args:
        image: ``(B, C, H, W)``.
        frequency: Least frequency that counts, in cycles a pixel, along any direction; 0.5 is the
            highest along an axis.

    Returns:
        ``(B, C)``, >= 0.

    Raises:
        ValueError: ``image`` is not four-dimensional.
    """
    check_features(image)
    height, width = image.shape[-2:]

    def axis(length: int) -> tuple[Tensor, Tensor]:
        # One pixel more at each end than Hann's zeros: every pixel counts something.
        window = torch.hann_window(length + 2, periodic=False, dtype=image.dtype, device=image.device)[1:-1]
        return window, torch.fft.fftfreq(length, dtype=image.dtype, device=image.device)

    (rows, vertical), (columns, horizontal) = axis(height), axis(width)
    window = rows[:, None] * columns
    mean = (image * window).sum(dim=(2, 3), keepdim=True) / window.sum()
    power = torch.fft.fft2((image - mean) * window).abs().square()
    counted = vertical[:, None].square() + horizontal.square() >= frequency**2
    energy: Tensor = (power * counted).sum(dim=(2, 3)) / (height * width * window.square().sum())
    return energy


def finest_band(image: Tensor) -> Tensor:
    r"""What the binomial filter (1, 4, 6, 4, 1) / 16 along both axes takes away.

    The first band of a Laplacian pyramid (Burt and Adelson 1983) that is not subsampled: of a wave along one
    axis it holds :math:`1 - \cos^4(\pi f)`, all at half a cycle a pixel, three quarters at a quarter of one.
    The outermost pixels are repeated beyond the edge.

    Args:
        image: ``(B, C, H, W)``.

    Returns:
        ``(B, C, H, W)``, zero where the image is flat.

    Raises:
        ValueError: ``image`` is not four-dimensional.
    """
    check_features(image)
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
    # Twice the weights 1, 2, 1 are 1, 4, 6, 4, 1.
    for axis in (2, 2, 3, 3):
        padded = _smoothed(padded, axis=axis)
    return image - padded / 256
