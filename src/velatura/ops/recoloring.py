"""Colours of one picture given to another: by their moments, or by their whole distribution."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from velatura.ops.color import check_rgb
from velatura.ops.precision import in_float64
from velatura.ops.sqrtm import matrix_sqrt

__all__ = ["Basis", "color_moments", "linear_map", "match_distribution", "match_histogram", "match_moments"]

Basis: TypeAlias = Literal["mean-std", "cholesky", "pca", "monge"]
"""Which of the linear maps between two covariances."""

_AT_ONCE = 2**22
"""Values that are in float64 at a time: a picture of many megapixels would not fit twice."""


def color_moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the channels, summed in float64.

    Args:
        image: ``(B, C, H, W)``.

    Returns:
        ``(B, C)`` and ``(B, C, C)`` in float64; the covariance is the biased one, divided by ``HW``.
    """
    pieces = torch.split(image.flatten(2), max(1, _AT_ONCE // image.shape[1]), dim=2)
    num_pixels = image.shape[2] * image.shape[3]
    mean = torch.stack([in_float64(piece).sum(dim=2) for piece in pieces]).sum(dim=0) / num_pixels
    off = (in_float64(piece) - mean[:, :, None] for piece in pieces)
    return mean, torch.stack([piece @ piece.mT for piece in off]).sum(dim=0) / num_pixels


def linear_map(own: Tensor, wanted: Tensor, basis: Basis, *, epsilon: float = 1e-5) -> Tensor:
    r"""A matrix that carries colours of one covariance over to another: :math:`A \Sigma A^\top = \Sigma^*`.

    ``mean-std`` scales each channel alone, so that only the diagonals agree; ``cholesky`` is
    :math:`L^* L^{-1}`, ``pca`` :math:`\Sigma^{*1/2} \Sigma^{-1/2}` by eigenvectors, ``monge``
    :math:`\Sigma^{-1/2} (\Sigma^{1/2} \Sigma^* \Sigma^{1/2})^{1/2} \Sigma^{-1/2}` (Gatys et al. 2016,
    *Preserving color in neural artistic style transfer*, section 3.2; Pitié and Kokaram 2007), which of
    all moves the colours the least.

    Args:
        own: :math:`\Sigma`, ``(B, C, C)``.
        wanted: :math:`\Sigma^*`, ``(B, C, C)`` or ``(1, C, C)``.
        basis: Which.
        epsilon: Variance added in every direction to both, in units of the pixel range squared: what
            does not vary must not be blown up.

    Returns:
        ``(B, C, C)`` in float64; the identity where both are the same.
    """
    linear: Tensor
    floor = epsilon * torch.eye(own.shape[1], dtype=torch.float64, device=own.device)
    own, wanted = in_float64(own) + floor, in_float64(wanted) + floor
    match basis:
        case "mean-std":
            ratio = wanted.diagonal(dim1=1, dim2=2) / own.diagonal(dim1=1, dim2=2)
            linear = ratio.sqrt().diag_embed()
        case "cholesky":
            lower, other = torch.linalg.cholesky(own), torch.linalg.cholesky(wanted)
            linear = torch.linalg.solve_triangular(lower, other, upper=False, left=False)
        case "pca":
            linear = matrix_sqrt(wanted) @ torch.linalg.inv(matrix_sqrt(own))
        case "monge":
            root = matrix_sqrt(own)
            inverse = torch.linalg.inv(root)
            linear = inverse @ matrix_sqrt(root @ wanted @ root) @ inverse
    return linear


def match_moments(
    image: Tensor, mean: Tensor, matrix: Tensor, basis: Basis = "monge", *, epsilon: float = 1e-5
) -> Tensor:
    r"""Carries the colours of a picture over to another mean and covariance.

    .. math:: x' = A (x - m) + m^*

    Args:
        image: ``(B, C, H, W)``.
        mean: :math:`m^*`, ``(B, C)`` or ``(1, C)``.
        matrix: Covariance, ``(B, C, C)`` or ``(1, C, C)``.
        basis: Which linear map ``A``: see :func:`linear_map`.
        epsilon: As there.

    Returns:
        ``(B, C, H, W)``; colours may leave [0, 1].
    """
    own_mean, own = color_moments(image)
    linear = linear_map(own, matrix, basis, epsilon=epsilon)
    offset = in_float64(mean)[:, :, None]
    pieces = torch.split(image.flatten(2), max(1, _AT_ONCE // image.shape[1]), dim=2)
    moved = [(linear @ (in_float64(piece) - own_mean[:, :, None]) + offset).to(image) for piece in pieces]
    return torch.cat(moved, dim=2).view(image.shape)


def match_histogram(image: Tensor, reference: Tensor) -> Tensor:
    """Gives each channel of a picture the distribution that it has in another, by rank.

    The value of rank ``r`` of ``n`` becomes the mean of the reference's between the ranks ``r/n`` and
    ``(r+1)/n``; equal values stay equal, and get the mean of all of their ranks. So where no two values are
    equal and both have as many pixels, the sorted values are those of the reference; each channel's mean is
    so always.

    Args:
        image: ``(B, C, H, W)``.
        reference: ``(B, C, h, w)`` or ``(1, C, h, w)``.

    Returns:
        ``(B, C, H, W)``, within the range of the reference.
    """
    wanted = reference.expand(image.shape[0], -1, -1, -1)
    channels = [
        torch.stack([_ranked(one.flatten(), other.flatten()) for one, other in zip(*both, strict=True)])
        for both in zip(image, wanted, strict=True)
    ]
    return torch.stack(channels).view(image.shape)


def _ranked(values: Tensor, wanted: Tensor) -> Tensor:
    """One channel, ``(N,)``, with the distribution of another, ``(M,)``."""
    _, of_which, counts = torch.unique(values, return_inverse=True, return_counts=True)
    wanted, _ = wanted.sort()
    # The integral of the reference's quantile function is straight between whole ranks.
    integral = torch.cat([in_float64(wanted).new_zeros(1), in_float64(wanted).cumsum(dim=0)])
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(dim=0)]).double() * (len(wanted) / len(values))
    whole = ends.floor().long().clamp(max=len(wanted) - 1)
    at_ends = torch.lerp(integral[whole], integral[whole + 1], ends - whole)
    means = at_ends.diff() / ends.diff()
    return means.to(values)[of_which].clamp(wanted[0], wanted[-1])


def match_distribution(
    image: Tensor, reference: Tensor, *, rounds: int, generator: torch.Generator
) -> Tensor:
    """Gives a picture the joint distribution of the colours of another (Pitié et al. 2005).

    Each round turns the colours by a random rotation and matches the three histograms that are seen
    there; what the rounds settle at has the same histogram from every side.

    Args:
        image: ``(B, 3, H, W)``.
        reference: ``(B, 3, h, w)`` or ``(1, 3, h, w)``.
        rounds: How many rotations; the first is none.
        generator: Where they come from, on the processor.

    Returns:
        ``(B, 3, H, W)``; a little outside the reference's range at most.

    Raises:
        ValueError: A picture has not three channels.
    """
    check_rgb(image)
    check_rgb(reference)
    rotation = torch.eye(3, dtype=torch.float64)
    for _ in range(rounds):
        turn = rotation.to(image)
        seen, wanted = (torch.einsum("ij,bjhw->bihw", turn, one) for one in (image, reference))
        image = torch.einsum("ji,bjhw->bihw", turn, match_histogram(seen, wanted))
        rotation = _rotation(generator)
    return image


def _rotation(generator: torch.Generator) -> Tensor:
    """Evenly from all rotations, ``(3, 3)`` in float64 (Stewart 1980)."""
    turn, upper = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    rotation: Tensor = turn * upper.diagonal().sign()
    return rotation
