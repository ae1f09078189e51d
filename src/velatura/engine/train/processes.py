"""Several processes that train one network: what ``torchrun`` says of them, and what they tell each other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from velatura.core.errors import ConfigError

__all__ = ["Processes", "joined_processes"]


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is.

    Args:
        rank: From 0; 0 alone writes.
        world: How many there are.
        local_rank: Which of those on this machine: the GPU to take.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, the same in each."""
        if self.world > 1:
            distributed.all_reduce(values)
            values /= self.world
        return values

    def any(self, value: bool) -> bool:
        """Whether ``value`` is true in any of the processes."""
        if self.world == 1:
            return value
        return float(self.mean(torch.tensor(float(value), device=self._device()))) > 0

    @staticmethod
    def _device() -> torch.device:
        """Where the processes tell each other something."""
        on_gpu = distributed.get_backend() == "nccl"
        return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")

    def shared(self, network: nn.Module) -> nn.Module:
        """The network, whose gradients become the mean over all processes on the way back."""
        if self.world == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)


@contextlib.contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """The processes that ``torchrun`` started, joined; a single one where it did not.

    Args:
        device: ``cuda`` joins by nccl, each process on a card of its own; anything else by gloo.

    Raises:
        ConfigError: The environment says half of what ``torchrun`` says.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    try:
        rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"WORLD_SIZE is {world}, but RANK or LOCAL_RANK is missing; start the processes by torchrun"
        ) from error
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(local_rank)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(rank, world, local_rank)
    finally:
        distributed.destroy_process_group()
