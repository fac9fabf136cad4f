"""What the processes of one training tell each other besides gradients: plans, clocks, signals. JSON and whole numbers.

Every rank must make the same decisions, or they wait for each other forever. Whatever depends on a clock, a signal or a
disk is therefore decided by rank 0, or is the largest of all ranks' numbers. Nothing is pickled.
"""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from glassmill.errors import UserError
from glassmill.run import team
from glassmill.run.device import Device

_trainings = itertools.count()
PATIENCE = timedelta(minutes=30)
"""How long ranks wait for one that is slow, such as rank 0 while it validates."""


class Ranks:
    """The processes that train one model together; alone, nothing is exchanged.

    Attributes:
        rank, size: This process, of so many.
        tensor_parallel: How many consecutive ranks compute each layer together. They are a replica, and read one share
            of every batch.
        replica, replicas: That of this rank, of so many.
    """

    def __init__(self, rank: int = 0, size: int = 1, tensor_parallel: int = 1) -> None:
        self.rank, self.size, self.tensor_parallel = rank, size, tensor_parallel
        self.replica, self.replicas = rank // tensor_parallel, size // tensor_parallel

    @classmethod
    def join(cls, device: Device, tensor_parallel: int = 1) -> Ranks:
        """Meet the others that torchrun started: gloo on the CPU, NCCL between GPUs.

        Raises:
            UserError: WORLD_SIZE was set without torchrun.
        """
        rank, _, size = device.place
        if size == 1:
            return cls()
        if not distributed.is_initialized():
            from torch._C._distributed_c10d import PrefixStore

            if device.kind == "cuda":
                torch.cuda.set_device(device.torch_device)
            distributed.init_process_group(
                "cpu:gloo,cuda:nccl" if device.kind == "cuda" else "gloo",
                store=PrefixStore(f"training-{next(_trainings)}", team.store()),
                rank=rank,
                world_size=size,
                timeout=PATIENCE,
            )
        return cls(rank, size, tensor_parallel)

    def tell(self, value: Any) -> Any:
        """What rank 0 gives, on all ranks; anything that JSON can say."""
        if self.size == 1:
            return value
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        length = torch.tensor([len(text)])
        distributed.broadcast(length, 0)
        text = text if self.rank == 0 else torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(text, 0)
        return json.loads(text.numpy().tobytes())

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """Of each number the largest that any rank has."""
        if self.size == 1:
            return numbers
        found = torch.tensor(numbers, dtype=torch.int64)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return tuple(found.tolist())

    def meet(self) -> None:
        """Wait until all ranks are here."""
        self.largest(0)

    def part(self) -> None:
        """Nothing more is exchanged. The backend's threads end while Python lives: one that drops a tensor after Python
        has ended aborts the process."""
        if self.size > 1:
            gc.collect()  # wrapped models hold on to the group, in cycles
            distributed.destroy_process_group()


@contextmanager
def others_may_die(ranks: Ranks) -> Iterator[None]:
    """A rank that dies breaks the exchanges of the others: they say so in one line, and end too."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, distributed.DistError) or any(name in str(error) for name in ("gloo", "NCCL"))
        if ranks.size == 1 or not lost or isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(
            f"rank {ranks.rank} lost another process of this training; start the same command again to continue, or "
            "give torchrun --max-restarts"
        ) from None
