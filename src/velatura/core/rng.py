"""Seeds: every random number comes from a generator that somebody seeded by name."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["drawing_from", "generator"]


def generator(seed: int, stream: str) -> torch.Generator:
    """A generator for one named use of a seed, independent of every other use.

    Naming the stream keeps results stable: drawing one more number for the initialisation
    does not change the weights of a random network.

    Args:
        seed: The run's seed.
        stream: What the numbers are for, such as ``"initialization"``.

    Returns:
        A generator on the CPU, so that every device starts from the same numbers.
    """
    import torch

    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


@contextlib.contextmanager
def drawing_from(rng: torch.Generator) -> Iterator[None]:
    """What draws from PyTorch's own generator of the CPU draws from ``rng`` until the block ends.

    For layers that start as PyTorch starts them. Its generator is afterwards what it was.
    """
    import torch

    with torch.random.fork_rng([]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        yield
