"""Self-similarity: which positions of a feature map resemble which."""

from __future__ import annotations

from torch import Tensor

from velatura.ops.positions import check_features

__all__ = ["self_similarity_divergence"]

_ROWS = 1024


def self_similarity_divergence(features: Tensor, target: Tensor, *, temperature: float = 1.0) -> Tensor:
    r"""How far the self-similarity of ``features`` is from that of ``target``.

    .. math:: D_i = \sum_j S^*_{ij} \log \frac{S^*_{ij}}{S_{ij}}, \quad
        S_{ij} = \operatorname{softmax}_j \frac{f_i \cdot f_j}{t}

    Each row of the ``N x N`` similarity is a distribution over positions. Rows are taken a
    thousand at a time, so that memory grows with ``N`` and not with its square.

    Args:
        features: ``(B, C, H, W)``.
        target: The same shape.
        temperature: What products are divided by before the softmax, ``t``.

    Returns:
        The Kullback-Leibler divergence of each row, in nats, ``(B, HW)``, >= 0 up to rounding.

    Raises:
        ValueError: The shapes differ or are not four-dimensional.
    """
    check_features(features)
    if features.shape != target.shape:
        raise ValueError(
            f"self-similarity compares position by position: {tuple(features.shape)} and "
            f"{tuple(target.shape)} differ; bring both pictures to one size"
        )
    divergence = features.new_zeros(features.shape[0], features.shape[2:].numel())
    own, wanted = features.flatten(2), target.flatten(2)  # (B, C, HW)
    for start in range(0, own.shape[2], _ROWS):
        rows = slice(start, start + _ROWS)
        logs = (own[..., rows].mT @ own / temperature).log_softmax(dim=2)
        wanted_logs = (wanted[..., rows].mT @ wanted / temperature).log_softmax(dim=2)
        divergence[:, rows] = (wanted_logs.exp() * (wanted_logs - logs)).sum(dim=2)
    return divergence
