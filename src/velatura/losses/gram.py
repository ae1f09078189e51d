"""Gram: which features occur together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.losses.additive import Additive, Part, Sums
from velatura.losses.base import Loss, Target, check_divisor, losses, statistic
from velatura.ops.gram import GramScale, gram_divisor, gram_matrix
from velatura.ops.moments import moment_sums

__all__ = ["Gram"]


@losses.register("gram")
@dataclass(frozen=True, kw_only=True)
class Gram(Loss, Additive):
    r"""Squared error of Gram matrices: which features occur together, wherever they are.

    .. math:: E = \tfrac{1}{d} \sum_{ij} (G_{ij} - A_{ij})^2, \quad G = \tfrac1s F F^\top

    The divisor ``d`` is ``C^2`` for ``"mean"``, 1 for ``"sum"``, :math:`\sum A_{ij}^2` for
    ``"relative"``, and for ``"gatys"`` whatever makes the loss :math:`\tfrac{1}{4 N^2 M^2}` of the
    sum over unscaled matrices, with ``N`` channels and ``M`` positions.

    ====================================================  =========  =============
    Source                                                scale      reduction
    ====================================================  =========  =============
    Gatys et al. 2016, eq. 4; Shats and Aharon 2021       ``none``   ``gatys``
    the same, for a painting of another size              ``hw``     ``gatys``
    Gatys' PyTorch code                                   ``hw``     ``mean``
    Guillaumin 2017 (expectation, then over ``C^2``)      ``hw``     ``mean``
    Saric 2020, eqs. 2.1 and 2.3                          ``hw``     ``sum``
    Johnson et al. 2016, eq. 4 (squared Frobenius norm)   ``chw``    ``sum``
    neural-style, PyTorch tutorial, Li and Zhao 2018      ``chw``    ``mean``
    ====================================================  =========  =============

    The preset ``saric2020`` takes ``mean`` all the same, which is what PyTorch's loss gives by default.
    Bisht 2023 gives no formula; its weights, 1 and 1e6, are the tutorial's. With scale ``none`` painting and
    picture must have the same size for the loss to mean anything.
    """

    scale: Annotated[
        GramScale, Setting("What the Gram matrix is divided by: channels c, height h, width w")
    ] = "chw"
    reduction: Annotated[
        Literal["mean", "sum", "gatys", "relative"], Setting("What the squared error is divided by")
    ] = "mean"

    def target(self, features: Tensor, mask: Tensor | None = None) -> Target:
        """The Gram matrix: ``gram``, ``(B, C, C)``."""
        gram = gram_matrix(features, scale=self.scale, mask=mask)
        if self.reduction == "relative":
            check_divisor(_squared_norm(gram))
        return {"gram": gram}

    def forward(self, features: Tensor, target: Target, mask: Tensor | None = None) -> Tensor:
        """The squared error of the Gram matrices."""
        gram = gram_matrix(features, scale=self.scale, mask=mask)
        return self._error(gram, target, lambda: self._gatys_factor(features, mask))

    def sums(self, part: Part, target: Target) -> Sums:  # noqa: ARG002
        """The products of the channels, ``(B, C, C)``, and the positions."""
        positions, _, products = moment_sums(part.own, part.own_mask)
        return {"products": products, "positions": positions}

    def distance(self, sums: Sums, target: Target) -> Tensor:
        """The squared error of the Gram matrices."""
        channels = sums["products"].shape[1]

        def factor() -> Tensor:
            return (self._divisor(sums) / (channels * sums["positions"])).square() / 4

        return self._error(self._gram(sums), target, factor)

    def target_from(self, sums: Sums) -> Target:
        """The Gram matrix, as :meth:`target`."""
        gram = self._gram(sums)
        if self.reduction == "relative":
            check_divisor(_squared_norm(gram))
        return {"gram": gram}

    def _gram(self, sums: Sums) -> Tensor:
        return sums["products"] / self._divisor(sums)[:, None, None]

    def _divisor(self, sums: Sums) -> Tensor:
        positions = sums["positions"]
        match self.scale:
            case "none":
                return torch.ones_like(positions)
            case "hw":
                return positions
            case "chw":
                return sums["products"].shape[1] * positions
        raise ConfigError(f"gram: unknown scale {self.scale!r}")

    def _error(self, gram: Tensor, target: Target, gatys_factor: Callable[[], Tensor | float]) -> Tensor:
        wanted = statistic(target, "gram", like=gram)
        error = _squared_norm(gram - wanted)
        match self.reduction:
            case "mean":
                return error / gram.shape[1] ** 2
            case "sum":
                return error
            case "gatys":
                return error * gatys_factor()
            case "relative":
                return error / _squared_norm(wanted)
        raise ConfigError(f"gram: unknown reduction {self.reduction!r}")

    def _gatys_factor(self, features: Tensor, mask: Tensor | None) -> Tensor | float:
        used = gram_divisor(features, scale=self.scale, mask=mask)
        whole = gram_divisor(features, scale="chw", mask=mask)
        factor = (used / whole) ** 2 / 4
        return factor.reshape(-1) if isinstance(factor, Tensor) else factor


def _squared_norm(matrices: Tensor) -> Tensor:
    return matrices.square().sum(dim=(1, 2))
