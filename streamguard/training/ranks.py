"""The processes of one training: one of them on its own, or several under torchrun, each with a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among them. Rank 0 writes files, logs and looks at the monitored groups."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of them."""
        if self.count == 1:
            return flag
        flags = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags.item() > 0)

    def of_first(self, value: Any) -> Any:
        """What it is in rank 0."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, 0, device=self.device)
        return values[0]

    def gathered(self, value: Any) -> list[Any]:
        """Every rank's."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values


@contextmanager
def open_ranks(device: str = "auto", rendezvous: str = "env://") -> Iterator[Ranks]:
    """As torchrun's environment says; without it, one. `rendezvous`: where the processes find each other."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    own = torch.device(name, local) if name == "cuda" else torch.device(name)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    if count == 1:
        yield Ranks(rank=0, count=1, device=own)
        return
    backend = "nccl" if own.type == "cuda" else "gloo"
    distributed.init_process_group(backend, rendezvous, rank=rank, world_size=count)
    try:
        yield Ranks(rank=rank, count=count, device=own)
    finally:
        distributed.destroy_process_group()


def use_threads(count: int) -> None:
    """For what this process computes on a CPU."""
    torch.set_num_threads(count)
